//! Language models in Hugging Face format: model families, loading and saving, tokenizers and
//! generation.
//!
//! [`load()`] loads `tiny` (the embedded model), a folder, a GGUF file, or `ORG/NAME` from the Hub.
//! It returns a [`Loaded`] with the model as a `dyn graft_nn::Model` and its [`Tokenizer`].
//! [`generate()`] continues a text. This crate contains no PEFT method: adapters attach to the
//! slots of graft-nn's layers. A new family is one file like [`llama`] and one line in
//! `families.rs`.
//!
//! # Examples
//! ```
//! use graft_models::{GenerateOptions, generate, load};
//! use graft_nn::{Device, Model, TokenEncoder};
//! use graft_spec::Settings;
//!
//! # fn main() -> Result<(), graft_models::ModelError> {
//! let loaded = load("tiny", &Settings::default(), &Device::Cpu, &mut |_, _, _| {})?;
//! assert_eq!(loaded.model.shape().family, "llama");
//! assert!(!loaded.tokenizer.encode("To be")?.is_empty());
//!
//! let options = GenerateOptions { max_new_tokens: 5, ..GenerateOptions::default() };
//! let text = generate(&*loaded.model, &loaded.tokenizer, "To be", &options, &mut |_| true)?;
//! assert!(text.tokens <= 5);
//! # Ok(())
//! # }
//! ```

pub mod bert;
mod bnb;
pub mod decoder;
pub mod distilbert;
pub mod gemma;
pub mod gemma2;
pub mod gemma3;
pub mod gpt2;
pub mod gpt_neox;
pub mod granite;
pub mod llama;
pub mod mistral;
pub mod modernbert;
pub mod olmo2;
pub mod phi3;
pub mod qwen2;
pub mod qwen3;
pub mod roberta;
pub mod smollm3;
pub mod t5;

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
mod weight_spec;
mod window;

use std::path::PathBuf;

pub use base_dropout::unapplied_dropout;
pub use bert::{Bert, BertConfig};
pub use embed::embed;
pub use error::ModelError;
pub use families::random_model;
pub use generate::{
    BatchPrompt, GenerateOptions, Generated, StopReason, generate, generate_batch, generate_from,
    prompt_ids,
};
pub use gpt2::{Gpt2, Gpt2Config};
pub use llama::{Llama, LlamaConfig};
pub use load::{Loaded, ModelFiles, OriginalWeights, load, load_model};
pub use modernbert::{ModernBert, ModernBertConfig};
pub use published::{Published, published, published_names};
pub use save::{FolderParts, SavedModel, save_folder, save_loaded};
pub use t5::{T5, T5Config};
pub use tokenizer::Tokenizer;
pub use weight_spec::WeightSpec;

/// The folder of the embedded models: `$GRAFT_ASSETS`, or the assets of this crate. `tiny` is a
/// subfolder.
pub fn assets() -> PathBuf {
    std::env::var_os("GRAFT_ASSETS")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("assets"), PathBuf::from)
}
