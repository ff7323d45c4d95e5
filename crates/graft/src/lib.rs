//! The crate that Rust cells name: [`lab()`] opens the session that the magics work on, and everything a cell can hold has a path here.
//!
//! ```no_run
//! use graft::prelude::*;
//!
//! # fn main() -> graft::Result<()> {
//! let model = lab().load_model("tiny")?;
//! let adapter = model.attach(Lora::new().r(8).target_modules(["q_proj", "v_proj"]))?;
//! lab().load_data("which-book")?;
//! let run = lab().train(Train::new().steps(200))?;
//! println!("{run}\n{}", lab().eval(Eval::new())?);
//! adapter.save("my-adapter")?;
//! # Ok(())
//! # }
//! ```
//!
//! Types are concrete and live for ever (`Clone + Send + Sync`, no lifetimes), because a cell keeps its variables for the next one,
//! and generic code is compiled again in every cell. The installed copy is one shared library, so that all cells have one candle.

pub mod prelude;

mod adapter;
pub mod boot;
mod card;
mod cell_end;
mod cell_error;
mod chart;
mod data;
mod display;
mod drawing;
mod error;
mod evaluation;
mod generated;
mod lab;
mod last_value;
mod link;
mod model;
mod options;
mod plain;
mod run;
mod runs;
mod standalone;
mod table;
mod tensor;
mod tokenizer;
mod tree;

pub use adapter::Adapter;
pub use card::Card;
#[doc(hidden)]
pub use cell_end::{cell_failed, cell_panicked, variable_lost};
#[doc(hidden)]
pub use cell_error::{cell_error, typed_cell_error};
pub use chart::Chart;
pub use data::Data;
pub use display::{
    DisplayHandle, Html, Json, Latex, Markdown, Mime, Png, Show, Shown, Svg, VegaLite,
};
pub use drawing::{Drawing, Painted};
pub use error::{Error, Result};
pub use evaluation::{Evaluation, Score};
pub use generated::{Comparison, Generated};
pub use lab::{Lab, lab};
pub use last_value::LastValue;
pub use model::{Model, Module};
pub use options::{
    Ablate, AdaLora, BitFit, Bottleneck, Combine, DataOptions, Dora, Eval, Full, Generate, Ia3,
    LnTuning, LoHa, LoKr, Lora, MemoryOptions, Method, ModelOptions, Oft, PTuning, Plot,
    PrefixTuning, PromptTuning, RunWeights, Shira, Train, TrainableTokens, Vera,
};
pub use run::{Run, Step};
pub use runs::Runs;
pub use table::Table;
pub use tokenizer::Tokenizer;
pub use tree::Tree;

/// The tensor library under everything: `graft::candle::Tensor`.
pub use candle_core as candle;
/// candle's layers, losses and optimisers.
pub use candle_nn;
/// Drawing.
pub use plotters;

// Also at the root: rust-analyzer prints the shortest path, and evcxr stores a cell's variables by what it prints.
pub use candle_core::{D, DType, Device, IndexOp, Shape, Tensor, Var};

#[cfg(test)]
mod tests;
