//! The settings of a run, read from the keys of `%train`.

use graft_chat::LossOn;
use graft_spec::{Settings, training::TRAIN};

use crate::encode::EncodeOptions;
use crate::optimizer::{OptimizerConfig, OptimizerKind};
use crate::preference::Objective;
use crate::schedule::{Decay, Plateau, Schedule};

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
    /// The optimizer and its constants.
    pub optimizer: OptimizerConfig,
    /// Gradients are clipped to this global norm; 0 turns clipping off.
    pub max_grad_norm: f64,
    /// Share of the target that the training loss spreads over all classes.
    pub label_smoothing: f64,
    /// Strength of the noise on the token vectors (NEFTune); 0 for none.
    pub neftune_noise_alpha: f64,
    /// Whether gradient checkpointing is on: blocks are recomputed in the backward pass.
    pub recompute: bool,
    /// Steps between validations; 0 turns validation off.
    pub eval_every: u64,
    /// Number of validation examples used during training.
    pub eval_examples: usize,
    /// The metric of the best weights, of early stopping and of reductions on a plateau.
    pub best: String,
    /// The regular expression of `best=regex`.
    pub pattern: Option<String>,
    /// Most tokens of an answer that is generated for a metric.
    pub max_new_tokens: usize,
    /// The text before which such an answer ends; empty for none.
    pub stop: String,
    /// Validations without improvement after which the run stops; 0 for never.
    pub early_stopping: u64,
    /// Whether the best weights are restored at the end of the run.
    pub load_best: bool,
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
        let number = |name: &str| settings.float(TRAIN, name);
        let steps = whole("steps").unwrap_or(200);
        Self {
            steps,
            lr: number("lr").unwrap_or(default_lr),
            batch: whole("batch").unwrap_or(8) as usize,
            accumulate: whole("gradient_accumulation_steps").unwrap_or(1),
            max_length: whole("max_length").map(|length| length as usize),
            loss_on: loss_on(settings.text(TRAIN, "loss_on")),
            packing: settings.bool(TRAIN, "packing"),
            stride: whole("stride").map(|stride| stride as usize),
            decay: decay(settings),
            warmup: match number("warmup_ratio") {
                Some(ratio) => (ratio * steps as f64).ceil() as u64,
                None => whole("warmup").unwrap_or(10),
            },
            optimizer: optimizer(settings),
            max_grad_norm: number("max_grad_norm").unwrap_or(1.0),
            label_smoothing: number("label_smoothing").unwrap_or(0.0),
            neftune_noise_alpha: number("neftune_noise_alpha").unwrap_or(0.0),
            recompute: settings.bool(TRAIN, "gradient_checkpointing"),
            eval_every: whole("eval_every").unwrap_or((steps / 10).max(1)),
            eval_examples: whole("eval_examples").unwrap_or(64) as usize,
            best: settings.text(TRAIN, "best").unwrap_or_else(|| "loss".to_owned()),
            pattern: settings.text(TRAIN, "pattern").filter(|pattern| !pattern.is_empty()),
            max_new_tokens: whole("max_new_tokens").unwrap_or(128) as usize,
            stop: settings.text(TRAIN, "stop").unwrap_or_default(),
            early_stopping: whole("early_stopping").unwrap_or(0),
            load_best: settings.bool(TRAIN, "load_best"),
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

    /// Optimizer steps of a number of epochs over `examples` training examples, with the batch size
    /// and the accumulation of these settings. The last step is complete, so a run may read a few
    /// examples more.
    pub fn steps_of_epochs(settings: &Settings, epochs: f64, examples: usize) -> u64 {
        let config = Self::from_settings(settings, 0.0, 0);
        let per_epoch = examples.div_ceil(config.batch.max(1)) as f64;
        ((epochs * per_epoch / config.accumulate.max(1) as f64).ceil() as u64).max(1)
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

/// The schedule that the keys describe.
fn decay(settings: &Settings) -> Decay {
    let number = |name: &str| settings.float(TRAIN, name).unwrap_or_default();
    match settings.text(TRAIN, "schedule").as_deref() {
        Some("constant") => Decay::Constant,
        Some("constant_with_warmup") => Decay::ConstantWithWarmup,
        Some("linear") => Decay::Linear,
        Some("cosine_with_min_lr") => Decay::CosineWithMin(number("min_lr_rate")),
        Some("inverse_sqrt") => Decay::InverseSqrt,
        Some("polynomial") => Decay::Polynomial(number("power")),
        Some("reduce_on_plateau") => Decay::ReduceOnPlateau(Plateau {
            patience: settings.integer(TRAIN, "lr_patience").unwrap_or_default().unsigned_abs(),
            factor: number("lr_factor"),
        }),
        _ => Decay::Cosine,
    }
}

/// The optimizer that the keys describe.
fn optimizer(settings: &Settings) -> OptimizerConfig {
    let number = |name: &str| settings.float(TRAIN, name);
    let kind = settings.text(TRAIN, "optim").and_then(|name| OptimizerKind::parse(&name));
    let defaults = OptimizerConfig::of(kind.unwrap_or_default());
    OptimizerConfig {
        kind: defaults.kind,
        beta1: number("adam_beta1").unwrap_or(defaults.beta1),
        beta2: number("adam_beta2").unwrap_or(defaults.beta2),
        epsilon: number("adam_epsilon").unwrap_or(defaults.epsilon),
        weight_decay: number("weight_decay").unwrap_or(defaults.weight_decay),
        momentum: number("momentum").unwrap_or(defaults.momentum),
    }
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

    #[test]
    fn the_steps_of_epochs_cover_all_examples() {
        let settings = |batch, accumulate| {
            Settings::default()
                .with("batch", Value::Integer(batch))
                .with("gradient_accumulation_steps", Value::Integer(accumulate))
        };
        let steps = |batch, accumulate, epochs, examples| {
            TrainConfig::steps_of_epochs(&settings(batch, accumulate), epochs, examples)
        };
        assert_eq!(steps(8, 1, 3.0, 24), 9);
        assert_eq!(steps(8, 1, 1.0, 25), 4);
        assert_eq!(steps(8, 2, 3.0, 24), 5);
        assert_eq!(steps(8, 1, 0.5, 24), 2);
        assert_eq!(steps(8, 1, 0.001, 24), 1);
    }

    #[test]
    fn the_warm_up_may_be_a_fraction_and_lion_has_its_own_beta() {
        let settings = Settings::default()
            .with("steps", Value::Integer(45))
            .with("warmup_ratio", Value::Float(0.1))
            .with("optim", Value::Text("lion".to_owned()));
        let config = TrainConfig::from_settings(&settings, 1e-3, 0);
        assert_eq!((config.warmup, config.optimizer.beta2), (5, 0.99));
        let settings = settings.with("adam_beta2", Value::Float(0.95));
        assert_eq!(TrainConfig::from_settings(&settings, 1e-3, 0).optimizer.beta2, 0.95);
    }
}
