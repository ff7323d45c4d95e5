//! Parameter-efficient fine-tuning: what is attached to the slots of graft-nn's layers, and HF PEFT's files.
//!
//! [`attach()`] builds an adapter from keys and lets it act; [`load()`] reads what HF PEFT or [`Adapter::save`] wrote. An [`Adapter`] is
//! switched, merged, scaled, saved and trained without touching the model's code. This crate knows no model family: it sees layers,
//! their Hugging Face paths and their roles. A new method is one file in `methods/` and one line in its list.

mod acting;
mod adapter;
mod adapterhub;
mod allowance;
mod anatomy;
mod attach;
mod change;
mod combine;
mod config_file;
mod counts;
mod decomposition;
mod default_targets;
mod error;
mod fields;
mod initial;
mod layers;
mod limits;
mod merge;
mod methods;
mod opened;
mod own_weights;
mod parameter_table;
mod patterns;
mod ranks;
mod selected;
mod shared;
mod slots;
mod sources;
mod targets;
mod torch_rng;
mod update_dropout;
mod weights_file;

pub use acting::Acting;
pub use adapter::Adapter;
pub use allowance::Allowance;
pub use anatomy::{Anatomy, Grid, Neighbour, anatomy, attention_to_prompt, neighbours};
pub use attach::{AttachContext, attach, load};
pub use change::{Change, changes};
pub use combine::{Combined, combine};
pub use counts::{Counts, counts};
pub use error::PeftError;
pub use parameter_table::parameter_table;
pub use sources::{InputBatch, Inputs, Originals};
