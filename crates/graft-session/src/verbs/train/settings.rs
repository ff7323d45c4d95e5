//! The keys of a run in the form that its header records: numbers instead of `auto` and epochs.

use graft_spec::{
    Settings, Value,
    training::{TRAIN, without_auto},
};
use graft_train::{TrainConfig, schedule::Decay};

use crate::{CommandContext, state::LoadedData, verbs::format::counted};

/// The keys without `lr=auto`, and with a number of steps instead of `epochs`: a resumed run keeps
/// its length. The second value describes the steps.
pub(crate) fn resolved(settings: &Settings, data: &LoadedData) -> (Settings, Option<String>) {
    let mut settings = without_auto(settings.clone());
    let Some(epochs) = settings.float(TRAIN, "epochs") else { return (settings, None) };
    let examples = data.dataset.train.len();
    let steps = TrainConfig::steps_of_epochs(&settings, epochs, examples);
    settings.values.remove("epochs");
    settings.set("steps", Value::Integer(i64::try_from(steps).unwrap_or(i64::MAX)));
    let passes = if epochs == 1.0 { "1 epoch".to_owned() } else { format!("{epochs} epochs") };
    let (examples, steps) = (counted(examples, "example"), counted(steps as usize, "step"));
    (settings, Some(format!("{passes} of {examples}: {steps}")))
}

/// Warns about keys that will have no effect in this run.
pub(super) fn warn(cx: &CommandContext, settings: &Settings, config: &TrainConfig) {
    let is_given = |name: &str| {
        settings.float(TRAIN, name).is_some_and(|value| value > 0.0)
            && settings.values.contains_key(name)
    };
    let schedule = settings.text(TRAIN, "schedule").unwrap_or_default();
    if !config.decay.has_warmup() && (is_given("warmup") || is_given("warmup_ratio")) {
        cx.warn(format!(
            "schedule={schedule} has no warm-up, so `warmup` has no effect; \
             schedule=constant_with_warmup has one"
        ));
    }
    if let Decay::ReduceOnPlateau(plateau) = config.decay {
        let validations = config.steps.div_ceil(config.eval_every.max(1));
        if validations <= plateau.patience {
            cx.warn(format!(
                "the learning rate will not be reduced: lr_patience={} needs more validations than \
                 the {validations} of this run; for example lr_patience=2",
                plateau.patience
            ));
        }
    }
}
