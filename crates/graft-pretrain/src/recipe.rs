//! The hyperparameters of the recipe: model size, learning-rate schedule and seed.

use graft_models::llama::{LlamaConfig, Variant};
use graft_nn::ops::RopeScaling;
use graft_train::TrainConfig;
use graft_train::optimizer::{OptimizerConfig, OptimizerKind};
use graft_train::schedule::Decay;

use crate::vocabulary::VOCABULARY;

/// Seed of the initial weights and of the order of the text.
pub const SEED: u64 = 20_260;

/// The optimizer.
pub const OPTIMIZER: OptimizerConfig =
    OptimizerConfig { beta2: 0.98, weight_decay: 0.1, ..OptimizerConfig::of(OptimizerKind::AdamW) };

/// Gradients are clipped to this norm.
pub const CLIP: f64 = 1.0;

/// Validation windows used during training.
pub const VALIDATION_WINDOWS: usize = 16;

/// One cycle of the learning rate: warm-up to a peak, then cosine decay to 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Phase {
    /// Optimizer steps.
    pub steps: u64,
    /// The last steps read long windows, so that all positions of the context are trained; the
    /// other steps read short windows, which are cheaper.
    pub long_steps: u64,
    /// Peak learning rate.
    pub peak: f64,
    /// Warm-up steps.
    pub warmup: u64,
    /// Seed of the order of the text.
    pub seed: u64,
}

/// The cycles. Each starts with the weights of the previous one and a new optimizer.
pub const PHASES: [Phase; 1] =
    [Phase { steps: 3_000, long_steps: 400, peak: 2e-3, warmup: 150, seed: SEED }];

/// Tokens per window and windows per step, for short windows.
pub const SHORT: (usize, usize) = (256, 8);
/// Tokens per window and windows per step, for long windows: as many tokens per step.
pub const LONG: (usize, usize) = (512, 4);

/// The model configuration: 3.7 million parameters. It has four layers rather than six, because the
/// text has only a few million tokens and a larger model learns less in the same time.
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

/// The training settings of a cycle.
pub fn training(phase: &Phase) -> TrainConfig {
    TrainConfig {
        steps: phase.steps,
        lr: phase.peak,
        batch: SHORT.1,
        accumulate: 1,
        max_length: None,
        loss_on: None,
        packing: false,
        stride: None,
        decay: Decay::Cosine,
        warmup: phase.warmup,
        optimizer: OPTIMIZER,
        max_grad_norm: CLIP,
        label_smoothing: 0.0,
        neftune_noise_alpha: 0.0,
        recompute: false,
        eval_every: 100,
        eval_examples: VALIDATION_WINDOWS,
        best: "loss".to_owned(),
        pattern: None,
        max_new_tokens: 128,
        stop: String::new(),
        early_stopping: 0,
        load_best: false,
        save_every: 120,
        seed: phase.seed,
        preference: None,
    }
}
