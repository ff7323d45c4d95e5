//! Conversations and chat templates, rendered as Hugging Face transformers renders them.
//!
//! A [`Conversation`] holds messages, tools and documents. A [`ChatTemplate`] turns it into text
//! and reports which characters the assistant wrote; [`encode()`] turns the text into tokens and a
//! loss mask. [`Templates`] reads the templates of a model folder, and [`builtin`] has common ones.
//!
//! A template is code from a stranger. It can only compute text: it has no files, no network, a
//! limited number of steps and a limited output. This crate must not depend on tensors; the caller
//! passes the tokenizer as a function.

pub mod builtin;
mod conversation;
mod encode;
mod error;
mod folder;
mod generation;
mod loss;
mod prefixes;
mod python;
mod render;
mod template;

pub use conversation::Conversation;
pub use encode::{Encoded, Token, encode, encode_prompt};
pub use error::ChatError;
pub use folder::Templates;
pub use loss::{Loss, LossOn};
pub use template::{ChatTemplate, Ending, Rendered, SpecialTokens};
