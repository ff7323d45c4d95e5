//! Layers on candle with named adapter slots, and the differentiable fused operations under them.
//!
//! This crate binds the rooms of Graft: models are built from its layers, methods put adapters into the layers' [`Slot`]s,
//! the trainer asks for [`gradients()`] of [`Trainable`]s. It knows no model family, no PEFT method and no file format.
//!
//! * Numbers: [`ops`] (CustomOps whose backward never computes what nobody asked for), [`Rng`] (values depend on names, not on order).
//! * Layers: [`Linear`], [`Embedding`], [`Norm`]; each weight is a [`Parameter`], frozen until [`Parameter::train`].
//! * Bindings: [`Model`], [`Site`], [`LinearAdapter`], [`SoftPrompt`], [`TokenEncoder`], [`Context`].

pub mod atomic_file;
pub mod atomic_folder;
pub mod device;
pub mod memory;
pub mod ops;
pub mod packed;
pub mod regular_file;
pub mod tensor_file;

mod activation_memory;
mod attention_probs;
mod context;
mod dropout;
mod embedding;
mod error;
mod floats;
mod gradients;
mod instructions;
mod kernel;
mod kv_cache;
mod label_names;
mod linear;
mod matrix;
mod model;
mod norm;
mod parallel;
mod parameter;
mod prefix;
mod prefixes;
mod process;
mod recompute;
mod residual_add;
mod rng;
mod role;
mod sequences;
mod site;
mod slot;
mod token_encoder;
mod trainable;
mod training_hook;
mod weight;

pub use candle_core::{DType, Device, Tensor, Var};

pub use activation_memory::SavedActivations;
pub use attention_probs::AttentionProbs;
pub use context::{Context, Mode};
pub use dropout::{Dropout, DropoutMask};
pub use embedding::{Embedding, EmbeddingAdapter, SoftPrompt};
pub use error::{NnError, Result};
pub use gradients::{gradients, gradients_through};
pub use instructions::Instructions;
pub use kv_cache::KvCache;
pub use label_names::LabelNames;
pub use linear::{Linear, LinearAdapter, UntiedWeight};
pub use model::{Hidden, Model, ModelShape, Task, packable};
pub use norm::{Norm, NormKind};
pub use packed::{Packed, Quantization};
pub use parallel::summed;
pub use parameter::{Parameter, WeightOverride};
pub use prefix::Prefix;
pub use prefixes::Prefixes;
pub use process::tune_process;
pub use recompute::Recompute;
pub use residual_add::{ResidualAdapter, ResidualAdd, Sublayer};
pub use rng::{Rng, Stream};
pub use role::Role;
pub use sequences::{Positions, Sequences};
pub use site::{Layer, Site};
pub use slot::Slot;
pub use token_encoder::TokenEncoder;
pub use trainable::Trainable;
pub use training_hook::TrainingHook;
pub use weight::Weight;
