//! The recipe that makes the embedded model `tiny` and the bundled data sets, from the documentation that ships with the Rust toolchain.
//!
//! `cargo xtask pretrain` runs the five stages in order: [`corpus`] (HTML to text, split by page), [`datasets`] (`which-book`, `error-codes`),
//! [`vocabulary`] (byte-level BPE), [`pretrain`] (the model), [`card`] (held-out figures, samples, README). Every stage is reproducible from the
//! seed and the toolchain's version. Nothing here is used by the kernel; it only produces files under `crates/*/assets`.

pub mod card;
pub mod corpus;
pub mod datasets;
pub mod error;
pub mod held_out;
pub mod ngram;
pub mod paths;
pub mod pretrain;
pub mod recipe;
pub mod stream;
pub mod vocabulary;

pub use error::PretrainError;

/// What the stages of this crate return.
pub type Result<T> = std::result::Result<T, PretrainError>;
