//! A mock Jupyter frontend: real sockets, a client's manners, and no mercy.
//!
//! A protocol test is a few lines: connect a [`Frontend`], run a cell, look at the messages. It checks by itself what holds
//! for every message (the signature, the kernel's one session, the parent header) and fails a test that leaves a message
//! unread. It knows no type of the kernel, so that a mistake there cannot hide in a shared definition.
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
