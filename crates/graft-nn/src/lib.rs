//! Neural network layers on candle, with slots for adapters and fused differentiable operations.
//!
//! This crate is the shared foundation of Graft's tensor crates. Models are built from its layers,
//! methods insert adapters into the layers' [`Slot`]s, and the trainer computes the [`gradients()`]
//! of [`Trainable`]s. It contains no model family and no PEFT method.
//!
//! * Operations: [`ops`] (fused CustomOps that compute only the gradients that are needed) and
//!   [`Rng`] (values depend on names, not on the order of calls).
//! * Layers: [`Linear`], [`Embedding`], [`Norm`]. Each weight is a [`Parameter`], frozen until
//!   [`Parameter::train`] is called.
//! * Interfaces: [`Model`], [`Site`], [`LinearAdapter`], [`SoftPrompt`], [`Prefix`],
//!   [`ResidualAdapter`], [`TokenEncoder`], [`TrainingHook`]; a [`Context`] is passed to every
//!   layer.
//! * Files: [`tensor_file`] reads and writes safetensors; [`atomic_file`] and [`atomic_folder`]
//!   replace files and folders as a whole; [`regular_file`] rejects pipes and devices.
//! * Process: [`device`] selects the device, [`memory`] measures free and used memory, and
//!   [`tune_process`] configures the allocator.
//!
//! # Examples
//! A linear layer with an adapter of its own, here a trained rescaling `y = (W x + b) ∘ s`:
//!
//! ```
//! use std::sync::Arc;
//!
//! use graft_nn::{Context, Device, Linear, LinearAdapter, Result, Role, Tensor, Trainable};
//! use graft_nn::{Var, gradients};
//!
//! /// The scale `s`, (d_out).
//! struct Rescale(Var);
//!
//! impl LinearAdapter for Rescale {
//!     fn forward(&self, base: &Linear, x: &Tensor, _cx: &Context) -> Result<Tensor> {
//!         Ok(base.base_forward(x)?.broadcast_mul(&self.0)?) // (.., d_out)
//!     }
//!
//!     fn delta(&self, base: &Linear) -> Result<Option<Tensor>> {
//!         let weight = base.weight().tensor(); // (d_out, d_in)
//!         let scaled = weight.broadcast_mul(&self.0.unsqueeze(1)?)?;
//!         Ok(Some((scaled - weight)?))
//!     }
//! }
//!
//! # fn main() -> Result<()> {
//! let device = Device::Cpu;
//! let weight = Tensor::new(&[[1f32, 2.], [3., 4.]], &device)?;
//! let layer = Linear::new("model.layers.0.mlp.up_proj", Role::Up, weight, None)?;
//! let scale = Var::new(&[10f32, 1.], &device)?;
//! layer.slot().insert("rescale", Arc::new(Rescale(scale.clone())));
//!
//! // An adapter has no effect until it is active.
//! let x = Tensor::new(&[[1f32, 1.]], &device)?;
//! let cx = Context::eval();
//! assert_eq!(layer.forward(&x, &cx)?.to_vec2::<f32>()?, [[3., 7.]]);
//! layer.slot().set_active(&["rescale"]);
//! let y = layer.forward(&x, &cx)?;
//! assert_eq!(y.to_vec2::<f32>()?, [[30., 7.]]);
//!
//! // The frozen weight needs no gradient; the scale has one.
//! let trainable = Trainable::new("rescale", scale);
//! let gradient = gradients(&y.sum_all()?, &[trainable])?;
//! assert_eq!(gradient[0].to_vec1::<f32>()?, [3., 7.]);
//! # Ok(())
//! # }
//! ```

pub mod atomic_file;
pub mod atomic_folder;
pub mod device;
pub mod memory;
pub mod message;
pub mod ops;
pub mod packed;
pub mod regular_file;
pub mod tensor_file;

mod activation_memory;
mod attention_probs;
mod context;
mod dropout;
mod embedding;
mod encoder_decoder;
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
mod role;
mod sequences;
mod site;
mod slot;
mod token_encoder;
mod trainable;
mod training_hook;
mod untied_weight;
mod weight;

pub use candle_core::{DType, Device, Tensor, Var};

pub use activation_memory::SavedActivations;
pub use attention_probs::AttentionProbs;
pub use context::{Context, Mode};
pub use dropout::{Dropout, DropoutMask};
pub use embedding::{Embedding, EmbeddingAdapter, SoftPrompt};
pub use encoder_decoder::{Encoded, EncoderDecoder};
pub use error::{NnError, Result};
pub use gradients::{gradients, gradients_through};
pub use graft_random::{Rng, Stream};
pub use instructions::Instructions;
pub use kv_cache::KvCache;
pub use label_names::LabelNames;
pub use linear::{Linear, LinearAdapter};
pub use model::{Hidden, Model, ModelShape, Task, packable};
pub use norm::{Norm, NormKind};
pub use packed::{Packed, Quantization};
pub use parallel::{summed, threads};
pub use parameter::{Parameter, WeightOverride};
pub use prefix::Prefix;
pub use prefixes::Prefixes;
pub use process::tune_process;
pub use recompute::Recompute;
pub use residual_add::{ResidualAdapter, ResidualAdd, Sublayer};
pub use role::Role;
pub use sequences::{Positions, Sequences};
pub use site::{Layer, Site};
pub use slot::Slot;
pub use token_encoder::TokenEncoder;
pub use trainable::Trainable;
pub use training_hook::TrainingHook;
pub use untied_weight::UntiedWeight;
pub use weight::Weight;
