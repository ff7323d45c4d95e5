//! Language models from Hugging Face folders: one file per family, the loader, the tokenizer, and generation.
//!
//! [`load()`] takes `tiny` (the embedded model), a folder, or `ORG/NAME` on the Hub, and gives a [`Loaded`]: the model behind graft-nn's
//! `Model` trait and its [`Tokenizer`]. [`generate()`] continues a text with it. This crate knows no PEFT method: adapters act through
//! the slots of graft-nn's layers. A new family is one file like [`llama`] and one line in `families.rs`.

pub mod bert;
mod bnb;
pub mod gpt2;
pub mod llama;
pub mod mistral;
pub mod qwen2;
pub mod qwen3;

mod activation;
mod base_dropout;
mod embed;
mod error;
mod families;
mod finite;
mod generate;
mod gguf;
mod id2label;
mod load;
mod parts;
mod published;
mod rope;
mod save;
mod side_file;
mod sizes;
mod tokenizer;
mod window;

use std::path::PathBuf;

pub use base_dropout::unapplied_dropout;
pub use bert::{Bert, BertConfig};
pub use embed::embed;
pub use error::ModelError;
pub use families::random_model;
pub use generate::{GenerateOptions, Generated, StopReason, generate};
pub use gpt2::{Gpt2, Gpt2Config};
pub use llama::{Llama, LlamaConfig};
pub use load::{Loaded, ModelFiles, OriginalWeights, load, load_model};
pub use published::{Published, published, published_names};
pub use save::{FolderParts, SavedModel, save_folder, save_loaded};
pub use tokenizer::Tokenizer;

/// One weight that a config asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WeightSpec {
    /// Hugging Face name, such as `model.layers.0.self_attn.q_proj.weight`.
    pub name: String,
    /// Sizes, outermost first.
    pub shape: Vec<usize>,
}

impl WeightSpec {
    pub(crate) fn new(name: String, shape: &[usize]) -> Self {
        Self { name, shape: shape.to_vec() }
    }
}

/// Where the embedded models are: `$GRAFT_ASSETS`, or this crate's own folder. `tiny` is a folder in it.
pub fn assets() -> PathBuf {
    std::env::var_os("GRAFT_ASSETS")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("assets"), PathBuf::from)
}
