//! The settings of a run, read from the keys of `%train`.

use graft_chat::LossOn;
use graft_spec::{Settings, training::TRAIN};

use crate::encode::EncodeOptions;
use crate::optimizer::AdamW;
use crate::preference::Objective;
use crate::schedule::{Decay, Schedule};

/// The settings of a run. Together with the model, the adapter and the data they determine its
/// losses.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainConfig {
    /// Number of optimizer steps.
    pub steps: u64,
    /// Peak learning rate.
    pub lr: f64,
    /// B: examples per micro-batch.
    pub batch: usize,
    /// Micro-batches per step (gradient accumulation).
    pub accumulate: u64,
    /// Longest example in tokens; `None` for the model's context length.
    pub max_length: Option<usize>,
    /// The text that carries loss; `None` for the default of the data.
    pub loss_on: Option<LossOn>,
    /// Whether a row holds several examples, up to the length limit.
    pub packing: bool,
    /// Tokens that a piece of a long example repeats; `None` cuts long examples.
    pub stride: Option<usize>,
    /// Learning-rate decay after the warm-up.
    pub decay: Decay,
    /// Steps of linear warm-up.
    pub warmup: u64,
    /// Constants of the optimizer.
    pub optimizer: AdamW,
    /// Gradients are clipped to this global norm; 0 turns clipping off.
    pub max_grad_norm: f64,
    /// Whether gradient checkpointing is on: blocks are recomputed in the backward pass.
    pub recompute: bool,
    /// Steps between validations; 0 turns validation off.
    pub eval_every: u64,
    /// Number of validation examples used during training.
    pub eval_examples: usize,
    /// Seconds between checkpoints; 0 saves only at the end.
    pub save_every: u64,
    /// Seed of the data order and of dropout.
    pub seed: u64,
    /// The loss on pairs of answers; `None` for the cross-entropy of tokens.
    pub preference: Option<Objective>,
}

impl TrainConfig {
    /// Reads settings that have been checked against the keys of `%train`. `default_lr` is the
    /// method's learning rate and `session_seed` the seed when the keys are absent.
    pub fn from_settings(settings: &Settings, default_lr: f64, session_seed: u64) -> Self {
        let whole = |name: &str| settings.integer(TRAIN, name).map(i64::unsigned_abs);
        let steps = whole("steps").unwrap_or(200);
        let decay = match settings.text(TRAIN, "schedule").as_deref() {
            Some("constant") => Decay::Constant,
            Some("linear") => Decay::Linear,
            _ => Decay::Cosine,
        };
        Self {
            steps,
            lr: settings.float(TRAIN, "lr").unwrap_or(default_lr),
            batch: whole("batch").unwrap_or(8) as usize,
            accumulate: whole("gradient_accumulation_steps").unwrap_or(1),
            max_length: whole("max_length").map(|length| length as usize),
            loss_on: loss_on(settings.text(TRAIN, "loss_on")),
            packing: settings.bool(TRAIN, "packing"),
            stride: whole("stride").map(|stride| stride as usize),
            decay,
            warmup: whole("warmup").unwrap_or(10),
            optimizer: AdamW {
                weight_decay: settings.float(TRAIN, "weight_decay").unwrap_or(0.0),
                ..AdamW::default()
            },
            max_grad_norm: settings.float(TRAIN, "max_grad_norm").unwrap_or(1.0),
            recompute: settings.bool(TRAIN, "gradient_checkpointing"),
            eval_every: whole("eval_every").unwrap_or((steps / 10).max(1)),
            eval_examples: whole("eval_examples").unwrap_or(64) as usize,
            save_every: whole("save_every").unwrap_or(60),
            seed: whole("seed").unwrap_or(session_seed),
            preference: Objective::from_settings(settings),
        }
    }

    /// How the run reads its examples.
    pub fn encode_options(&self) -> EncodeOptions {
        let Self { max_length, loss_on, stride, .. } = *self;
        EncodeOptions { max_length, loss_on, stride }
    }

    /// The learning-rate schedule of the run.
    pub fn schedule(&self) -> Schedule {
        Schedule { peak: self.lr, warmup: self.warmup, steps: self.steps, decay: self.decay }
    }
}

/// The value of a key `loss_on` that has been checked.
pub fn loss_on(value: Option<String>) -> Option<LossOn> {
    value.and_then(|value| LossOn::parse(&value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use graft_spec::Value;

    #[test]
    fn absent_keys_have_the_documented_defaults() {
        let config = TrainConfig::from_settings(
            &Settings::default().with("steps", Value::Integer(50)),
            3e-4,
            7,
        );
        assert_eq!(
            (config.steps, config.lr, config.batch, config.eval_every, config.seed),
            (50, 3e-4, 8, 5, 7)
        );
        assert_eq!(
            (config.decay, config.warmup, config.max_grad_norm, config.save_every),
            (Decay::Cosine, 10, 1.0, 60)
        );
    }
}
