//! A Jupyter kernel server: sockets, channels, messages and the history of cells.
//!
//! [`Server::bind`] reads the connection file of a client and binds the five sockets;
//! [`Server::run`] answers requests until a client shuts the kernel down. Cells, completion and
//! inspection are delegated to an [`Interpreter`]; this crate does not know which language runs. It
//! depends on neither evcxr nor the engine nor tensors.

mod cell_output;
mod channels;
mod connection;
mod error_content;
mod execution_queue;
mod history;
mod interpreter;
mod kernel;
mod kernel_info;
mod log;
mod mime_bundle;
mod reply;
mod request;
mod server;
mod text_stream;
mod user_expressions;
mod wire;

pub use connection::ConnectionError;
pub use history::{History, history_file};
pub use interpreter::{Completeness, CompletionItem, Completions, Interpreter};
pub use kernel_info::{HelpLink, KernelInfo, LanguageInfo};
pub use server::{KernelConfig, Server};

#[cfg(test)]
mod tests;
