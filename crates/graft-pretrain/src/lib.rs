//! The recipe of the embedded model `tiny` and the bundled data sets, which are made from the
//! documentation of the Rust toolchain.
//!
//! `cargo xtask pretrain` runs five stages in order:
//!
//! 1. [`corpus`]: HTML to text, split by page
//! 2. [`datasets`]: `which-book`, `error-codes` and `rust-docs`
//! 3. [`vocabulary`]: byte-level BPE
//! 4. [`pretrain`]: the model
//! 5. [`card`]: held-out measurements, samples and README
//!
//! Every stage can be reproduced from the seed and the version of the toolchain. The kernel does
//! not use this crate; its output is in `crates/*/assets`.

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

/// `std::result::Result` with [`PretrainError`].
pub type Result<T> = std::result::Result<T, PretrainError>;
