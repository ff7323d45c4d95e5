//! The names that every cell imports: [`lab()`], its handles, the builders, and common names of
//! candle.

/// [`Ablate`](crate::Ablate), and a builder for each method and each set of options.
pub use crate::options::*;
pub use crate::{
    Adapter, Chart, Checks, Comparison, D, DType, Data, Device, Evaluation, Generated,
    GeneratedTexts, IndexOp, Lab, LastValue, Model, Run, Runs, Show, StepEvent, Table, Tensor,
    Tokenizer, Var, lab,
};

/// rust-analyzer prints the type of a `VarBuilder` with this trait, without its path. evcxr
/// compiles that type into the next cell, so the name must be in scope.
#[doc(hidden)]
pub use candle_nn::var_builder::SimpleBackend;

/// The crates that cells can use without a `:dep`. The compiler gets them from the session's
/// `rustc` wrapper as extern crates, so that a `:dep` of another version can replace them.
/// rust-analyzer does not use the wrapper and finds them here.
#[cfg(feature = "analysis")]
pub use {candle_core, candle_nn, plotters, serde_json, tokenizers};
