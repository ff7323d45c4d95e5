//! The keys of `%train` and `%resume` as a builder.
// Generated from graft-spec by tests/it/builders.rs. Do not edit: change the key's `KeySpec` and
// run `GRAFT_BLESS=1 cargo test -p graft --test it builders`.

use graft_spec::Settings;

use crate::options::{auto, flag, integer, number, text};

/// Options of [`Lab::train`](crate::Lab::train) and [`Lab::resume_with`](crate::Lab::resume_with):
/// the keys of `%train` and `%resume`.
///
/// An option that is not set has the default of its key.
///
/// # Examples
/// ```
/// use graft::prelude::*;
///
/// let options = Train::new().steps(200).batch(8);
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[must_use = "a builder has no effect until it is passed to a call"]
pub struct Train {
    settings: Settings,
}

impl Train {
    /// Starts with the default of every key.
    pub fn new() -> Self {
        Self::default()
    }

    /// Optimizer steps.
    ///
    /// Default: `200`. At least 1.
    pub fn steps(self, value: usize) -> Self {
        Self { settings: self.settings.with("steps", integer(value)) }
    }

    /// Passes over the training examples, instead of steps; fractions are allowed, and the number
    /// of steps is shown.
    ///
    /// At least 0.001.
    pub fn epochs(self, value: f64) -> Self {
        Self { settings: self.settings.with("epochs", number(value)) }
    }

    /// Peak learning rate; without it, or with `lr=auto`, the default of the method, which is
    /// smaller for wider models.
    ///
    /// From 0 to 1,000.
    pub fn lr(self, value: f64) -> Self {
        Self { settings: self.settings.with("lr", number(value)) }
    }

    /// [`lr`](Self::lr) chosen by Graft: `lr=auto`.
    pub fn lr_auto(self) -> Self {
        Self { settings: self.settings.with("lr", auto()) }
    }

    /// Examples per micro-batch; `batch=auto` takes as many as fit into memory, up to 64; padding
    /// costs no computation.
    ///
    /// Default: `8`. From 1 to 65,536.
    pub fn batch(self, value: usize) -> Self {
        Self { settings: self.settings.with("batch", integer(value)) }
    }

    /// [`batch`](Self::batch) chosen by Graft: `batch=auto`.
    pub fn batch_auto(self) -> Self {
        Self { settings: self.settings.with("batch", auto()) }
    }

    /// Micro-batches per step (gradient accumulation); the loss is averaged over all their tokens.
    ///
    /// Default: `1`. From 1 to 65,536.
    pub fn gradient_accumulation_steps(self, value: usize) -> Self {
        Self { settings: self.settings.with("gradient_accumulation_steps", integer(value)) }
    }

    /// Maximum length of an example in tokens; without it the context length of the model; longer
    /// examples are cut and counted.
    ///
    /// From 2 to 1,000,000.
    pub fn max_length(self, value: usize) -> Self {
        Self { settings: self.settings.with("max_length", integer(value)) }
    }

    /// Split examples that are longer than `max_length` into pieces instead of cutting them; each
    /// piece repeats this many tokens of the piece before it, without loss; 0 repeats none.
    ///
    /// From 0 to 1,000,000.
    pub fn stride(self, value: usize) -> Self {
        Self { settings: self.settings.with("stride", integer(value)) }
    }

    /// Put several examples into each row of a batch, up to `max_length` tokens; each example
    /// attends only to itself; batch then counts rows.
    ///
    /// Default: `false`.
    pub fn packing(self, value: bool) -> Self {
        Self { settings: self.settings.with("packing", flag(value)) }
    }

    /// Text that carries loss: `assistant`, every message of the `assistant`; `completion`, the
    /// last message or the `completion`; `all`, also the prompt; without it the messages of the
    /// `assistant`, or the `completion`.
    ///
    /// One of `assistant`, `completion`, `all`.
    pub fn loss_on(self, value: &str) -> Self {
        Self { settings: self.settings.with("loss_on", text(value)) }
    }

    /// Learning rate schedule; `constant` and `reduce_on_plateau` have no warm-up.
    ///
    /// Default: `cosine`. One of `constant`, `linear`, `cosine`, `cosine_with_min_lr`,
    /// `constant_with_warmup`, `inverse_sqrt`, `polynomial`, `reduce_on_plateau`.
    pub fn schedule(self, value: &str) -> Self {
        Self { settings: self.settings.with("schedule", text(value)) }
    }

    /// With `schedule=cosine_with_min_lr`: the last learning rate as a fraction of the peak.
    ///
    /// Default: `0.1`. From 0 to 1.
    pub fn min_lr_rate(self, value: f64) -> Self {
        Self { settings: self.settings.with("min_lr_rate", number(value)) }
    }

    /// With `schedule=polynomial`: the exponent.
    ///
    /// Default: `1`. From 0 to 100.
    pub fn power(self, value: f64) -> Self {
        Self { settings: self.settings.with("power", number(value)) }
    }

    /// With `schedule=reduce_on_plateau`: validations without improvement before the learning rate
    /// is reduced.
    ///
    /// Default: `10`. From 0 to 1,000,000.
    pub fn lr_patience(self, value: usize) -> Self {
        Self { settings: self.settings.with("lr_patience", integer(value)) }
    }

    /// With `schedule=reduce_on_plateau`: factor of each reduction.
    ///
    /// Default: `0.1`. From 0 to 1.
    pub fn lr_factor(self, value: f64) -> Self {
        Self { settings: self.settings.with("lr_factor", number(value)) }
    }

    /// Warm-up steps, during which the learning rate rises from 0.
    ///
    /// Default: `10`. At least 0.
    pub fn warmup(self, value: usize) -> Self {
        Self { settings: self.settings.with("warmup", integer(value)) }
    }

    /// Warm-up steps as a fraction of all steps, instead of warmup.
    ///
    /// From 0 to 1.
    pub fn warmup_ratio(self, value: f64) -> Self {
        Self { settings: self.settings.with("warmup_ratio", number(value)) }
    }

    /// optimizer; `adamw_8bit` keeps its states in 8 bits, `adafactor` in rows and columns, `lion`
    /// one instead of two, `sgd` none.
    ///
    /// Default: `adamw`. One of `adamw`, `adafactor`, `lion`, `sgd`, `adamw_8bit`.
    pub fn optim(self, value: &str) -> Self {
        Self { settings: self.settings.with("optim", text(value)) }
    }

    /// Decay rate of the first moment of adamw, `adamw_8bit` and lion.
    ///
    /// Default: `0.9`. From 0 to 0.999999999.
    pub fn adam_beta1(self, value: f64) -> Self {
        Self { settings: self.settings.with("adam_beta1", number(value)) }
    }

    /// Decay rate of the second moment; without it 0.999, and 0.99 for lion.
    ///
    /// From 0 to 0.999999999.
    pub fn adam_beta2(self, value: f64) -> Self {
        Self { settings: self.settings.with("adam_beta2", number(value)) }
    }

    /// Added to the denominator of adamw and `adamw_8bit`.
    ///
    /// Default: `1e-8`. From 0 to 1.
    pub fn adam_epsilon(self, value: f64) -> Self {
        Self { settings: self.settings.with("adam_epsilon", number(value)) }
    }

    /// Momentum of sgd.
    ///
    /// Default: `0`. From 0 to 0.999999999.
    pub fn momentum(self, value: f64) -> Self {
        Self { settings: self.settings.with("momentum", number(value)) }
    }

    /// Weight decay: decoupled from the gradient, except for sgd, which adds it to the gradient.
    ///
    /// Default: `0`. From 0 to 10.
    pub fn weight_decay(self, value: f64) -> Self {
        Self { settings: self.settings.with("weight_decay", number(value)) }
    }

    /// Gradients are clipped to this global norm; 0 switches clipping off.
    ///
    /// Default: `1`. At least 0.
    pub fn max_grad_norm(self, value: f64) -> Self {
        Self { settings: self.settings.with("max_grad_norm", number(value)) }
    }

    /// Share of the target that is spread over all tokens (over all classes of a classifier) in the
    /// training loss; validation losses are without it.
    ///
    /// Default: `0`. From 0 to 0.999.
    pub fn label_smoothing(self, value: f64) -> Self {
        Self { settings: self.settings.with("label_smoothing", number(value)) }
    }

    /// Strength of the noise on the token vectors (NEFTune), for example 5; 0 for none.
    ///
    /// Default: `0`. At least 0.
    pub fn neftune_noise_alpha(self, value: f64) -> Self {
        Self { settings: self.settings.with("neftune_noise_alpha", number(value)) }
    }

    /// Recompute the activations of each block in the backward pass instead of saving them: less
    /// memory, about 50 % more time.
    ///
    /// Default: `false`.
    pub fn gradient_checkpointing(self, value: bool) -> Self {
        Self { settings: self.settings.with("gradient_checkpointing", flag(value)) }
    }

    /// Name of the data set; default: the current one.
    pub fn data(self, value: &str) -> Self {
        Self { settings: self.settings.with("data", text(value)) }
    }

    /// Steps between validations; without it a tenth of the run; 0 switches validation off.
    ///
    /// At least 0.
    pub fn eval_every(self, value: usize) -> Self {
        Self { settings: self.settings.with("eval_every", integer(value)) }
    }

    /// Validation examples used during training, the same in every validation.
    ///
    /// Default: `64`. At least 1.
    pub fn eval_examples(self, value: usize) -> Self {
        Self { settings: self.settings.with("eval_examples", integer(value)) }
    }

    /// Metric of the best weights, which the run keeps, of `early_stopping` and of
    /// `schedule=reduce_on_plateau`: loss, accuracy for data with labels, or a metric of generated
    /// text such as `exact_match`, rougeL, or your own from lab().metric.
    ///
    /// Default: `loss`.
    pub fn best(self, value: &str) -> Self {
        Self { settings: self.settings.with("best", text(value)) }
    }

    /// With `best=regex`: the regular expression; its first group, or the whole match, is the
    /// answer.
    pub fn pattern(self, value: &str) -> Self {
        Self { settings: self.settings.with("pattern", text(value)) }
    }

    /// With `best=METRIC`: maximum number of tokens of a generated answer.
    ///
    /// Default: `128`. From 1 to 100,000.
    pub fn max_new_tokens(self, value: usize) -> Self {
        Self { settings: self.settings.with("max_new_tokens", integer(value)) }
    }

    /// With `best=METRIC`: end a generated answer before this text.
    pub fn stop(self, value: &str) -> Self {
        Self { settings: self.settings.with("stop", text(value)) }
    }

    /// Stop after this many validations without a better value of the metric best; 0 for never.
    ///
    /// Default: `0`. From 0 to 1,000,000.
    pub fn early_stopping(self, value: usize) -> Self {
        Self { settings: self.settings.with("early_stopping", integer(value)) }
    }

    /// Attach the best weights at the end of the run instead of the last ones.
    ///
    /// Default: `false`.
    pub fn load_best(self, value: bool) -> Self {
        Self { settings: self.settings.with("load_best", flag(value)) }
    }

    /// Seconds between checkpoints; 0 saves only the last one.
    ///
    /// Default: `60`. From 0 to 100,000.
    pub fn save_every(self, value: usize) -> Self {
        Self { settings: self.settings.with("save_every", integer(value)) }
    }

    /// Seed of the data order and dropout; without it the seed of the session (see `%seed`).
    ///
    /// At least 0.
    pub fn seed(self, value: u64) -> Self {
        Self { settings: self.settings.with("seed", integer(value)) }
    }

    /// Loss on preference data (prompt, chosen, rejected): `dpo`, `ipo` and `hinge` compare with a
    /// reference model, `orpo` and `simpo` need none; other data is trained with the cross-entropy
    /// of its tokens.
    ///
    /// One of `dpo`, `ipo`, `hinge`, `orpo`, `simpo`.
    pub fn loss(self, value: &str) -> Self {
        Self { settings: self.settings.with("loss", text(value)) }
    }

    /// With `loss=`: scale of the rewards; a higher beta keeps the model closer to its reference,
    /// and weights the odds ratio of orpo; simpo is usually trained with 2 to 2.5.
    ///
    /// Default: `0.1`. From 0.0001 to 1,000.
    pub fn beta(self, value: f64) -> Self {
        Self { settings: self.settings.with("beta", number(value)) }
    }

    /// With `loss=simpo`: margin by which the reward of the chosen answer should exceed that of the
    /// rejected one.
    ///
    /// Default: `0.5`. From 0 to 1,000.
    pub fn gamma(self, value: f64) -> Self {
        Self { settings: self.settings.with("gamma", number(value)) }
    }

    /// With `loss=`: reference model. `base` is the model with the adapter switched off, `start`
    /// the adapter as it is before the run; without it `base` for a new adapter, `start` for one
    /// with trained weights.
    ///
    /// One of `base`, `start`.
    pub fn reference(self, value: &str) -> Self {
        Self { settings: self.settings.with("reference", text(value)) }
    }
}

impl From<Train> for Settings {
    fn from(builder: Train) -> Self {
        builder.settings
    }
}
