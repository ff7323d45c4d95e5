//! The keys of `%train`.

use super::tokens::{LOSS_ON, MAX_LENGTH, PACKING, STRIDE};
use super::{DATA_NAME, metric, preference};
use crate::{AUTO, KeyKind, KeySpec, Settings, SpecError, Value};

/// Values of `schedule`, named as in transformers.
pub const SCHEDULES: &[&str] = &[
    "constant",
    "linear",
    "cosine",
    "cosine_with_min_lr",
    "constant_with_warmup",
    "inverse_sqrt",
    "polynomial",
    "reduce_on_plateau",
];

/// Values of `optim`.
pub const OPTIMIZERS: &[&str] = &["adamw", "adafactor", "lion", "sgd", "adamw_8bit"];

/// Pairs of keys of which a run has at most one.
const EXCLUSIVE: [(&str, &str); 2] = [("steps", "epochs"), ("warmup", "warmup_ratio")];

/// Keys that act with one value of another key only.
const DEPENDENT: [(&str, &str, &str); 7] = [
    ("min_lr_rate", "schedule", "cosine_with_min_lr"),
    ("power", "schedule", "polynomial"),
    ("lr_patience", "schedule", "reduce_on_plateau"),
    ("lr_factor", "schedule", "reduce_on_plateau"),
    ("momentum", "optim", "sgd"),
    ("pattern", "best", "regex"),
    ("gamma", "loss", "simpo"),
];

/// Keys of `%train` (and of every method verb that trains in one line).
pub const TRAIN: &[KeySpec] = &[
    KeySpec {
        name: "steps",
        aliases: &["max_steps"],
        kind: KeyKind::Integer { min: 1, max: 100_000_000 },
        default: "200",
        help: "optimizer steps",
    },
    KeySpec {
        name: "epochs",
        aliases: &["num_train_epochs", "num_epochs"],
        kind: KeyKind::Float { min: 0.001, max: 1e6 },
        default: "",
        help: "passes over the training examples, instead of steps; fractions are allowed, and the number of steps is shown",
    },
    KeySpec {
        name: "lr",
        aliases: &["learning_rate"],
        kind: KeyKind::FloatOrAuto { min: 0.0, max: 1e3 },
        default: "",
        help: "peak learning rate; without it, or with lr=auto, the default of the method, which is smaller for wider models",
    },
    KeySpec {
        name: "batch",
        aliases: &["batch_size", "per_device_train_batch_size"],
        kind: KeyKind::IntegerOrAuto { min: 1, max: 65_536 },
        default: "8",
        help: "examples per micro-batch; batch=auto takes as many as fit into memory, up to 64; padding costs no computation",
    },
    KeySpec {
        name: "gradient_accumulation_steps",
        aliases: &["accumulate"],
        kind: KeyKind::Integer { min: 1, max: 65_536 },
        default: "1",
        help: "micro-batches per step (gradient accumulation); the loss is averaged over all their tokens",
    },
    MAX_LENGTH,
    STRIDE,
    PACKING,
    LOSS_ON,
    KeySpec {
        name: "schedule",
        aliases: &["lr_scheduler_type"],
        kind: KeyKind::Choice(SCHEDULES),
        default: "cosine",
        help: "learning rate schedule; constant and reduce_on_plateau have no warm-up",
    },
    KeySpec {
        name: "min_lr_rate",
        aliases: &[],
        kind: KeyKind::Float { min: 0.0, max: 1.0 },
        default: "0.1",
        help: "with schedule=cosine_with_min_lr: the last learning rate as a fraction of the peak",
    },
    KeySpec {
        name: "power",
        aliases: &[],
        kind: KeyKind::Float { min: 0.0, max: 100.0 },
        default: "1",
        help: "with schedule=polynomial: the exponent",
    },
    KeySpec {
        name: "lr_patience",
        aliases: &[],
        kind: KeyKind::Integer { min: 0, max: 1_000_000 },
        default: "10",
        help: "with schedule=reduce_on_plateau: validations without improvement before the learning rate is reduced",
    },
    KeySpec {
        name: "lr_factor",
        aliases: &[],
        kind: KeyKind::Float { min: 0.0, max: 1.0 },
        default: "0.1",
        help: "with schedule=reduce_on_plateau: factor of each reduction",
    },
    KeySpec {
        name: "warmup",
        aliases: &["warmup_steps"],
        kind: KeyKind::Integer { min: 0, max: 100_000_000 },
        default: "10",
        help: "warm-up steps, during which the learning rate rises from 0",
    },
    KeySpec {
        name: "warmup_ratio",
        aliases: &[],
        kind: KeyKind::Float { min: 0.0, max: 1.0 },
        default: "",
        help: "warm-up steps as a fraction of all steps, instead of warmup",
    },
    KeySpec {
        name: "optim",
        aliases: &["optimizer"],
        kind: KeyKind::Choice(OPTIMIZERS),
        default: "adamw",
        help: "optimizer; adamw_8bit keeps its states in 8 bits, adafactor in rows and columns, lion one instead of two, sgd none",
    },
    KeySpec {
        name: "adam_beta1",
        aliases: &[],
        kind: KeyKind::Float { min: 0.0, max: 0.999_999_999 },
        default: "0.9",
        help: "decay rate of the first moment of adamw, adamw_8bit and lion",
    },
    KeySpec {
        name: "adam_beta2",
        aliases: &[],
        kind: KeyKind::Float { min: 0.0, max: 0.999_999_999 },
        default: "",
        help: "decay rate of the second moment; without it 0.999, and 0.99 for lion",
    },
    KeySpec {
        name: "adam_epsilon",
        aliases: &[],
        kind: KeyKind::Float { min: 0.0, max: 1.0 },
        default: "1e-8",
        help: "added to the denominator of adamw and adamw_8bit",
    },
    KeySpec {
        name: "momentum",
        aliases: &[],
        kind: KeyKind::Float { min: 0.0, max: 0.999_999_999 },
        default: "0",
        help: "momentum of sgd",
    },
    KeySpec {
        name: "weight_decay",
        aliases: &["decay", "adam_weight_decay"],
        kind: KeyKind::Float { min: 0.0, max: 10.0 },
        default: "0",
        help: "weight decay: decoupled from the gradient, except for sgd, which adds it to the gradient",
    },
    KeySpec {
        name: "max_grad_norm",
        aliases: &["clip"],
        kind: KeyKind::Float { min: 0.0, max: 1e9 },
        default: "1",
        help: "gradients are clipped to this global norm; 0 switches clipping off",
    },
    KeySpec {
        name: "label_smoothing",
        aliases: &["label_smoothing_factor"],
        kind: KeyKind::Float { min: 0.0, max: 0.999 },
        default: "0",
        help: "share of the target that is spread over all tokens (over all classes of a classifier) in the training loss; validation losses are without it",
    },
    KeySpec {
        name: "neftune_noise_alpha",
        aliases: &["neftune"],
        kind: KeyKind::Float { min: 0.0, max: 1e6 },
        default: "0",
        help: "strength of the noise on the token vectors (NEFTune), for example 5; 0 for none",
    },
    KeySpec {
        name: "gradient_checkpointing",
        aliases: &["checkpoint"],
        kind: KeyKind::Bool,
        default: "false",
        help: "recompute the activations of each block in the backward pass instead of saving them: less memory, about 50 % more time",
    },
    DATA_NAME,
    KeySpec {
        name: "eval_every",
        aliases: &["eval_steps"],
        kind: KeyKind::Integer { min: 0, max: 100_000_000 },
        default: "",
        help: "steps between validations; without it a tenth of the run; 0 switches validation off",
    },
    KeySpec {
        name: "eval_examples",
        aliases: &[],
        kind: KeyKind::Integer { min: 1, max: 100_000_000 },
        default: "64",
        help: "validation examples used during training, the same in every validation",
    },
    KeySpec {
        name: "best",
        aliases: &["metric_for_best_model"],
        kind: KeyKind::Text,
        default: "loss",
        help: "metric of the best weights, which the run keeps, of early_stopping and of schedule=reduce_on_plateau: loss, accuracy for data with labels, or a metric of generated text such as exact_match, rougeL, or your own from lab().metric",
    },
    KeySpec {
        help: "with best=regex: the regular expression; its first group, or the whole match, is the answer",
        ..metric::PATTERN
    },
    KeySpec {
        help: "with best=METRIC: maximum number of tokens of a generated answer",
        ..metric::MAX_NEW_TOKENS
    },
    KeySpec { help: "with best=METRIC: end a generated answer before this text", ..metric::STOP },
    KeySpec {
        name: "early_stopping",
        aliases: &["early_stopping_patience"],
        kind: KeyKind::Integer { min: 0, max: 1_000_000 },
        default: "0",
        help: "stop after this many validations without a better value of the metric best; 0 for never",
    },
    KeySpec {
        name: "load_best",
        aliases: &["load_best_model_at_end"],
        kind: KeyKind::Bool,
        default: "false",
        help: "attach the best weights at the end of the run instead of the last ones",
    },
    KeySpec {
        name: "bg",
        aliases: &["background"],
        kind: KeyKind::Bool,
        default: "false",
        help: "train in the background: the cell returns at once; %watch shows the curve, %jobs lists the jobs, %stop ends one; %generate, %eval and %compare work meanwhile",
    },
    KeySpec {
        name: "save_every",
        aliases: &[],
        kind: KeyKind::Integer { min: 0, max: 100_000 },
        default: "60",
        help: "seconds between checkpoints; 0 saves only the last one",
    },
    KeySpec {
        name: "seed",
        aliases: &["data_seed"],
        kind: KeyKind::Integer { min: 0, max: i64::MAX },
        default: "",
        help: "seed of the data order and dropout; without it the seed of the session (see %seed)",
    },
    preference::LOSS,
    preference::BETA,
    preference::GAMMA,
    preference::REFERENCE,
];

/// Checks the keys of `%train`: each value, and that they can be given together.
///
/// # Errors
/// Those of [`Settings::check`]; [`SpecError::Exclusive`] for `steps` with `epochs` and `warmup`
/// with `warmup_ratio`; [`SpecError::NeedsKey`] for a key that has no effect.
pub fn check_train(settings: &Settings) -> Result<(), SpecError> {
    settings.check(TRAIN)?;
    check_exclusive(settings)?;
    check_dependent(&[settings])
}

/// Whether a key acts with one value of another key only, such as `power`.
#[must_use]
pub fn is_dependent(key: &str) -> bool {
    DEPENDENT.iter().any(|(name, ..)| *name == key)
}

/// Checks that each key has an effect in at least one of several runs that it is given to.
///
/// # Errors
/// [`SpecError::NeedsKey`].
pub fn check_dependent(runs: &[&Settings]) -> Result<(), SpecError> {
    for (key, other, value) in DEPENDENT {
        let mut found = runs
            .iter()
            .filter(|settings| settings.values.contains_key(key))
            .map(|settings| settings.text(TRAIN, other).unwrap_or_default());
        let Some(first) = found.next() else { continue };
        if first != value && found.all(|found| found != value) {
            return Err(SpecError::NeedsKey { key, other, value, found: first });
        }
    }
    Ok(())
}

/// Checks that at most one of two keys is given that set the same thing.
///
/// # Errors
/// [`SpecError::Exclusive`].
pub fn check_exclusive(settings: &Settings) -> Result<(), SpecError> {
    let given = |name: &str| settings.values.contains_key(name);
    match EXCLUSIVE.into_iter().find(|(one, other)| given(one) && given(other)) {
        Some((one, other)) => Err(SpecError::Exclusive { one, other }),
        None => Ok(()),
    }
}

/// The keys of a run, replaced by those of its resumption. A key also replaces the one that it
/// excludes, such as `epochs` the number of `steps`.
#[must_use]
pub fn overlaid(old: &Settings, new: &Settings) -> Settings {
    let mut both = old.clone();
    for (one, other) in EXCLUSIVE.into_iter().flat_map(|(one, other)| [(one, other), (other, one)])
    {
        if new.values.contains_key(one) {
            both.values.remove(other);
        }
    }
    // A key of the old schedule or optimizer has no effect with another one.
    for (key, other, value) in DEPENDENT {
        if new.text(TRAIN, other).is_some_and(|text| text != value)
            && new.values.contains_key(other)
        {
            both.values.remove(key);
        }
    }
    both.values.extend(new.values.clone());
    both
}

/// The keys without `lr=auto`, which is the default.
#[must_use]
pub fn without_auto(mut settings: Settings) -> Settings {
    if settings.values.get("lr") == Some(&Value::Text(AUTO.to_owned())) {
        settings.values.remove("lr");
    }
    settings
}

#[cfg(test)]
mod tests;
