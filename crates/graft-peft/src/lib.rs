//! Parameter-efficient fine-tuning: what is attached to the slots of graft-nn's layers, and HF PEFT's files.
//!
//! [`attach()`] builds an adapter from keys and lets it act; [`load()`] reads what HF PEFT or [`Adapter::save`] wrote. An [`Adapter`] is
//! switched, merged, scaled, saved and trained without touching the model's code. This crate knows no model family: it sees layers,
//! their Hugging Face paths and their roles. A new method is one file in `methods/` and one line in its list.

mod acting;
mod adapter;
mod adapter_state;
mod adapterhub;
mod allowance;
mod attach;
mod attach_context;
mod combine;
mod config_file;
mod counts;
mod decomposition;
mod default_targets;
mod error;
mod fields;
mod init_data;
mod init_source;
mod initializer;
mod layers;
mod limits;
mod merge;
mod method;
mod methods;
mod own_weights;
mod parameter_table;
mod patterns;
mod ranks;
mod selected;
mod slots;
mod stored_weights;
mod suggest;

mod targets;
mod torch_rng;
mod trained_modules;
mod update_dropout;
mod update_norm;
mod weight_analysis;
mod weights_file;

pub use acting::Acting;
pub use adapter::Adapter;
pub use allowance::Allowance;
pub use attach::{attach, load};
pub use attach_context::AttachContext;
pub use combine::{Combined, combine};
pub use counts::{Counts, counts};
pub use error::PeftError;
pub use init_data::{InputBatch, Inputs, Originals};
pub use parameter_table::parameter_table;
pub use update_norm::{UpdateNorm, update_norms};
pub use weight_analysis::{
    Grid, LayerAnalysis, NearestToken, analyze_layer, attention_to_prompt, nearest_tokens,
};
