//! The option schema of Graft: the keys of every method and command, their values, and errors with
//! hints.
//!
//! A [`KeySpec`] defines one `key=value` option: its name, kind, default and help text.
//! [`methods`], [`training`], [`combination`] and [`ablation`] list the keys of each magic, and
//! [`options`] the builders of the commands; [`Settings`] holds the values that a user gave.
//! Parser, completion, help, the Rust builders and the session all read these definitions. Errors
//! implement [`Hint`] and cross crate and process boundaries as [`Failure`]. This crate has no
//! tensors and no wire format.

pub mod ablation;
pub mod chat;
pub mod check;
pub mod combination;
pub mod failure;
pub mod methods;
pub mod number;
pub mod options;
pub mod settings;
pub mod suggest;
pub mod training;
pub mod user_file;

mod error;

pub use error::SpecError;
pub use failure::{Failure, Hint, Span};
pub use settings::{AUTO, KeyKind, KeySpec, Settings, Value};
