//! Fine-tuning language models from Rust: the crate that the cells of a Graft notebook use.
//!
//! [`lab()`] returns the session. In a notebook it is the session of the magics; in your own
//! program, the first call starts one. Everything a cell can store in a variable has a public path
//! here.
//!
//! # Examples
//! ```
//! use graft::prelude::*;
//!
//! # fn main() -> graft::Result<()> {
//! # let folder = tempfile::tempdir()?;
//! # std::env::set_current_dir(&folder)?;
//! let model = lab().load_model("tiny")?; // the embedded model; or a folder, or ORG/NAME
//! let adapter = model.attach(Lora::new().r(8).target_modules(["q_proj", "v_proj"]))?;
//! lab().load_data("which-book")?;
//! let run = lab().train(Train::new().steps(4).batch(2))?;
//! assert_eq!(run.losses()?.len(), 4);
//! let evaluation = lab().eval(Eval::new().examples(8))?;
//! println!("{run}\n{evaluation}");
//! adapter.save("my-adapter")?; // HF PEFT can load it
//! assert!(std::path::Path::new("my-adapter/adapter_config.json").exists());
//! # Ok(())
//! # }
//! ```
//!
//! * Handles: [`Lab`], [`Model`], [`Adapter`], [`Data`], [`Run`], [`Runs`], [`Tokenizer`].
//! * Methods: [`Lora`] and the other builders that implement [`Method`], with equation, shapes and
//!   paper.
//! * Options: [`Train`], [`Eval`], [`Generate`], [`Ablate`] and others.
//! * Display: [`Lab::display`], [`Table`], [`Chart`], [`Html`] and others.
//! * Your own methods and training loops: [`Model::network`], [`Adapter::variables`], [`nn`],
//!   [`candle`].
//!
//! # Outside a notebook
//! A program needs `graft` as its only dependency and no setup. `cargo run -p graft --example NAME`
//! runs one of these:
//!
//! | example | shows |
//! |---|---|
//! | `fine_tune` | load, attach, train, evaluate, generate |
//! | `own_method` | your own adapter in the layers of a model |
//! | `own_loop` | your own training loop with a custom loss |
//! | `exchange_with_peft` | save an adapter for HF PEFT and load it again |
//!
//! # Design
//! Types are concrete, `Clone + Send + Sync` and without lifetimes, because a cell keeps its
//! variables for the next one, and generic code is compiled again in every cell. In a notebook this
//! crate is one shared library, so that all cells use the same candle.

pub mod prelude;

mod adapter;
pub mod boot;
mod card;
mod cell_end;
mod cell_error;
mod chart;
mod checks;
mod data;
mod display;
mod drawing;
mod error;
mod evaluation;
mod generated;
mod lab;
mod last_value;
mod link;
mod magic_values;
mod model;
mod options;
mod plain;
mod run;
mod runs;
mod standalone;
mod table;
mod tensor;
mod tokenizer;
mod tokens;
mod tree;

pub use adapter::Adapter;
pub use card::Card;
#[doc(hidden)]
pub use cell_end::{cell_failed, cell_panicked, variable_lost};
#[doc(hidden)]
pub use cell_error::{cell_error, typed_cell_error};
pub use chart::Chart;
pub use checks::Checks;
pub use data::Data;
pub use display::{
    DisplayHandle, Html, Json, Latex, Markdown, Mime, Png, Show, Shown, Svg, VegaLite,
};
pub use drawing::{Drawing, Painted};
pub use error::{Error, Result};
pub use evaluation::{Evaluation, Metric, Score};
pub use generated::{Comparison, Generated, GeneratedTexts};
pub use lab::{Lab, lab};
pub use last_value::LastValue;
#[doc(hidden)]
pub use magic_values::{MagicValues, magic_values};
pub use model::{Model, Module};
pub use options::*;
pub use run::{Run, Step};
pub use runs::Runs;
pub use table::Table;
pub use tokenizer::Tokenizer;
pub use tokens::Tokens;
pub use tree::Tree;

/// The tensor library: `graft::candle::Tensor`.
pub use candle_core as candle;
// The compiler names the types of variables by this path.
/// Layers, losses and optimizers of candle.
pub use candle_nn;
/// The layers of the models, with slots for adapters. Your own methods use them.
pub use graft_nn as nn;
/// A finished step, the argument of [`Lab::on_step`].
pub use graft_train::StepEvent;
/// The plotting library of [`Lab::draw`].
pub use plotters;
#[doc(hidden)]
pub use {candle_core, graft_nn};

// Also at the root: rust-analyzer prints the shortest path of a type, and evcxr compiles that path
// into the code that stores a cell's variables.
pub use candle_core::{D, DType, Device, IndexOp, Shape, Tensor, Var};

#[cfg(test)]
mod tests;
