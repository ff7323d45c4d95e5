//! The keys of a run in the form that its header records: numbers instead of `auto` and epochs.

use graft_spec::{
    Settings, Value,
    training::{TRAIN, without_auto},
};
use graft_train::{Examples, TrainConfig, schedule::Decay};

use crate::{CommandContext, SessionState, state::LoadedData, verbs::format::counted};

/// The keys without `lr=auto`, and with a number of steps instead of `epochs`: a resumed run keeps
/// its length. The second value describes the steps. With `packing` or `stride`, an epoch has as
/// many rows as the examples fill.
pub(crate) fn resolved(
    state: &SessionState,
    settings: &Settings,
    data: &LoadedData,
) -> (Settings, Option<String>) {
    let mut settings = without_auto(settings.clone());
    let Some(epochs) = settings.float(TRAIN, "epochs") else { return (settings, None) };
    let rows = rows_per_epoch(state, &settings, data);
    let examples = rows.unwrap_or(data.dataset.train.len());
    let steps = TrainConfig::steps_of_epochs(&settings, epochs, examples);
    settings.values.remove("epochs");
    settings.set("steps", Value::Integer(i64::try_from(steps).unwrap_or(i64::MAX)));
    let passes = if epochs == 1.0 { "1 epoch".to_owned() } else { format!("{epochs} epochs") };
    let unit = if rows.is_some() { "row" } else { "example" };
    let (examples, steps) = (counted(examples, unit), counted(steps as usize, "step"));
    (settings, Some(format!("{passes} of {examples}: {steps}")))
}

/// The rows of an epoch where they are not the examples. Examples that cannot be encoded are
/// reported by the run.
fn rows_per_epoch(state: &SessionState, settings: &Settings, data: &LoadedData) -> Option<usize> {
    if !settings.bool(TRAIN, "packing") && settings.integer(TRAIN, "stride").is_none() {
        return None;
    }
    let model = state.model().ok()?;
    let config = TrainConfig::from_settings(settings, 0.0, state.seed);
    let (network, tokenizer) = (&model.loaded.model, &model.loaded.tokenizer);
    let examples =
        Examples::new(network.as_ref(), tokenizer.as_ref(), &data.dataset, &config).ok()?;
    Some(examples.rows_per_epoch())
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
