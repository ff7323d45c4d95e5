//! A mock Jupyter frontend with real sockets.
//!
//! A protocol test takes a few lines: connect a [`Frontend`], run a cell, inspect the messages. The
//! frontend checks the properties of every message (signature, session of the kernel, parent
//! header) and fails a test that leaves a message unread. It shares no types with the kernel, so
//! that a mistake cannot hide in a common definition.
//!
//! ```no_run
//! use graft_testkit::{ConnectionFile, Frontend};
//!
//! let file = ConnectionFile::ipc("key");
//! // start a kernel with file.path(), then
//! let mut frontend = Frontend::connect(&file);
//! let cell = frontend.execute("%status");
//! assert_eq!(cell.reply.content["status"], "ok");
//! ```

#![allow(clippy::expect_used, clippy::panic)]

mod cell;
mod connection_file;
mod frontend;
mod message;

pub use cell::Cell;
pub use connection_file::ConnectionFile;
pub use frontend::{Channel, Frontend};
pub use message::Message;
