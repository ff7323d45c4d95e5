//! The numbers of the recipe: sizes of the model, course of the training, seed.

use graft_models::llama::{LlamaConfig, Variant};
use graft_nn::ops::RopeScaling;
use graft_train::TrainConfig;
use graft_train::optimizer::AdamW;
use graft_train::schedule::Decay;

use crate::vocabulary::VOCABULARY;

/// Decides the first weights and the order of the text.
pub const SEED: u64 = 20_260;

/// The optimizer.
pub const OPTIMIZER: AdamW = AdamW { beta1: 0.9, beta2: 0.98, epsilon: 1e-8, weight_decay: 0.1 };

/// Gradients are scaled down to this norm.
pub const CLIP: f64 = 1.0;

/// Windows that are watched during training.
pub const VALIDATION_WINDOWS: usize = 16;

/// One cycle of the learning rate: up to a peak, then half a cosine down to 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Phase {
    /// Optimizer steps.
    pub steps: u64,
    /// The last steps read long windows, so that positions up to the model's context are trained; the others read short ones, which cost less.
    pub long_steps: u64,
    /// Learning rate at the peak.
    pub peak: f64,
    /// Steps up to the peak.
    pub warmup: u64,
    /// Decides the order of the text.
    pub seed: u64,
}

/// The cycles, each from the weights of the one before with a fresh optimizer.
pub const PHASES: [Phase; 1] =
    [Phase { steps: 3_000, long_steps: 400, peak: 2e-3, warmup: 150, seed: SEED }];

/// Tokens per window, and windows per step, of the short and of the long windows.
pub const SHORT: (usize, usize) = (256, 8);
/// See [`SHORT`]; as many tokens per step.
pub const LONG: (usize, usize) = (512, 4);

/// The sizes: 3.7 million parameters. Four layers and not six: the text is a few million tokens, and a larger model learns less from them in the same hour.
pub fn model() -> LlamaConfig {
    LlamaConfig {
        vocab_size: VOCABULARY,
        hidden_size: 256,
        intermediate_size: 688,
        num_hidden_layers: 4,
        num_attention_heads: 4,
        num_key_value_heads: 4,
        head_dim: 64,
        max_position_embeddings: LONG.0,
        rms_norm_eps: 1e-5,
        rope_theta: 10_000.0,
        rope_scaling: RopeScaling::Default,
        tie_word_embeddings: true,
        attention_bias: false,
        mlp_bias: false,
        initializer_range: 0.02,
        variant: Variant::default(),
    }
}

/// The course of a cycle: AdamW, with decay of the matrices.
pub fn training(phase: &Phase) -> TrainConfig {
    TrainConfig {
        steps: phase.steps,
        lr: phase.peak,
        batch: SHORT.1,
        accumulate: 1,
        max_length: None,
        decay: Decay::Cosine,
        warmup: phase.warmup,
        optimizer: OPTIMIZER,
        max_grad_norm: CLIP,
        recompute: false,
        eval_every: 100,
        eval_examples: VALIDATION_WINDOWS,
        save_every: 120,
        seed: phase.seed,
    }
}
