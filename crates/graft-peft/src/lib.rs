//! Parameter-efficient fine-tuning: adapters for the layers of graft-nn, in the file formats of
//! Hugging Face PEFT.
//!
//! [`attach()`] builds an adapter from the keys of a method and activates it; [`load()`] reads an
//! adapter that HF PEFT or [`Adapter::save`] wrote. An [`Adapter`] can be activated, merged,
//! scaled, saved and trained without changes to the model's code. The crate does not depend on the
//! model families: it works on layers, their Hugging Face paths and their roles. To add a method,
//! add one file to `methods/` and one line to its list.
//!
//! # Examples
//! Attach LoRA to the embedded model, change its weights, save it, and load it again:
//!
//! ```
//! use graft_nn::{Context, Device, Tensor};
//! use graft_peft::{AttachContext, attach, load};
//! use graft_spec::{Settings, Value};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let loaded = graft_models::load("tiny", &Settings::default(), &Device::Cpu, &mut |_, _, _| {})?;
//! let model = &*loaded.model;
//! let ids = Tensor::new(&[[1u32, 2, 3]], &Device::Cpu)?; // (B, T)
//! let logits = || Ok::<_, Box<dyn std::error::Error>>(
//!     model.logits(&ids, None, &Context::eval())?.flatten_all()?.to_vec1::<f32>()?,
//! );
//! let base = logits()?;
//!
//! // B is zero, so attaching does not change the output.
//! let cx = AttachContext::new(model, "tiny", 0);
//! let keys = Settings::default().with("r", Value::Integer(4));
//! let adapter = attach(&cx, "lora", &keys)?;
//! assert_eq!(logits()?, base);
//!
//! // A training step changes the variables; here they are set by hand.
//! for trainable in adapter.trainables() {
//!     trainable.var.set(&(trainable.var.ones_like()? * 0.1)?)?;
//! }
//! let adapted = logits()?;
//! assert_ne!(adapted, base);
//!
//! // HF PEFT can load the saved folder.
//! let folder = tempfile::tempdir()?;
//! adapter.save(folder.path(), "tiny")?;
//! adapter.detach(model)?;
//! assert_eq!(logits()?, base);
//! let (again, warnings) = load(&cx, folder.path(), "again")?;
//! assert!(again.is_active(model) && warnings.is_empty(), "{warnings:?}");
//! assert_eq!(logits()?, adapted);
//! # Ok(())
//! # }
//! ```

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
mod modules_to_save;
mod own_weights;
mod parameter_table;
mod patterns;
mod ranks;
mod regular_file;
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
pub use adapter::{Adapter, Extras};
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
