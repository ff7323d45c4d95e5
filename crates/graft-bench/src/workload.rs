//! What every contender trains: a Llama of a given shape with LoRA on all its linear maps, and the tokens.

use clap::ValueEnum;
use graft_models::llama::{LlamaConfig, Variant};
use graft_nn::ops::RopeScaling;
use graft_train::batch::{Batch, Encoded};
use graft_train::memory::{Sizes, of_model};

use crate::{Result, contender};

/// Rank of the adapters; `lora_alpha` is twice that.
pub const RANK: usize = 8;

/// Peak of the learning rate.
pub const LEARNING_RATE: f64 = 1e-3;

/// Sizes of model and batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Shape {
    /// C 256, F 688, 4 layers, 4 heads, V 2,048; B 8, T 128: the embedded model's size.
    Tiny,
    /// C 768, F 2,048, 8 layers, 12 heads, V 8,192; B 4, T 256.
    D768,
}

impl Shape {
    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tiny => "tiny",
            Self::D768 => "d768",
        }
    }

    /// The model.
    pub fn config(self) -> LlamaConfig {
        let [vocab_size, hidden_size, intermediate_size, num_hidden_layers, heads] = match self {
            Self::Tiny => [2048, 256, 688, 4, 4],
            Self::D768 => [8192, 768, 2048, 8, 12],
        };
        LlamaConfig {
            vocab_size,
            hidden_size,
            intermediate_size,
            num_hidden_layers,
            num_attention_heads: heads,
            num_key_value_heads: heads,
            head_dim: hidden_size / heads,
            max_position_embeddings: self.tokens(),
            rms_norm_eps: 1e-5,
            rope_theta: 10_000.0,
            rope_scaling: RopeScaling::Default,
            tie_word_embeddings: false,
            attention_bias: false,
            mlp_bias: false,
            initializer_range: 0.02,
            variant: Variant::default(),
        }
    }

    /// B.
    pub fn rows(self) -> usize {
        match self {
            Self::Tiny => 8,
            Self::D768 => 4,
        }
    }

    /// T.
    pub fn tokens(self) -> usize {
        match self {
            Self::Tiny => 128,
            Self::D768 => 256,
        }
    }

    /// Sizes of the training, for [`graft_train::memory::Memory::predict`].
    ///
    /// # Errors
    /// Those of making the model.
    pub fn with_sizes<T>(self, work: impl FnOnce(&Sizes<'_>) -> T) -> Result<T> {
        let (model, adapter) = contender::model(self)?;
        Ok(work(&Sizes { added: adapter.trainable_parameters(), rows: self.rows(), tokens: self.tokens(), ..of_model(&model) }))
    }

    /// The micro-batch of every step: rows of full length in which every token but the first is a label.
    pub fn batch(self) -> Batch {
        let (length, vocab) = (self.tokens(), self.config().vocab_size);
        // The recipe is repeated in the Python contender.
        let id = |place: usize| ((place * 7919 + place * place * 31) % vocab) as u32;
        let rows: Vec<Encoded> = (0..self.rows())
            .map(|row| {
                let ids: Vec<u32> = (row * length..(row + 1) * length).map(id).collect();
                let labels = ids.iter().map(|id| i64::from(*id)).collect();
                Encoded { ids, labels, class: None }
            })
            .collect();
        Batch::of(&rows.iter().collect::<Vec<_>>())
    }
}
