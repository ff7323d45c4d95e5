//! The keys of a run in the form that its header records: numbers instead of `auto` and epochs.

use std::sync::Arc;

use graft_spec::{
    Settings, Value, methods,
    training::{TRAIN, without_auto},
};
use graft_train::{EncodedExamples, TrainConfig, schedule::Decay};

use crate::{
    CommandContext,
    state::{LoadedData, LoadedModel},
    verbs::format::counted,
};

/// The key that puts several examples into one row.
const PACKING: &str = "packing";

/// Keys in the form that the header of a run records.
#[derive(Default)]
pub(crate) struct Resolved {
    /// Keys without `lr=auto`, and with a number of steps instead of `epochs`: a resumed run keeps
    /// its length.
    pub(crate) settings: Settings,
    /// Describes the steps of `epochs`.
    pub(crate) length: Option<String>,
    /// The examples, if they had to be encoded to be counted.
    pub(crate) encoded: Option<Arc<EncodedExamples>>,
}

/// Resolves the keys of a run. An epoch has as many rows as the examples with loss fill, which
/// depends on the tokens of the model; `None` for keys without `epochs`.
///
/// # Errors
/// Those of [`EncodedExamples::new`].
pub(crate) fn resolved(
    model: Option<&LoadedModel>,
    settings: &Settings,
    data: &LoadedData,
) -> graft_train::Result<Resolved> {
    let mut settings = without_auto(settings.clone());
    let epochs = settings.float(TRAIN, "epochs");
    let (Some(epochs), Some(model)) = (epochs, model) else {
        return Ok(Resolved { settings, ..Resolved::default() });
    };
    let config = TrainConfig::from_settings(&settings, 0.0, 0);
    let (network, tokenizer) = (&model.loaded.model, &model.loaded.tokenizer);
    let encoded =
        EncodedExamples::new(network.as_ref(), tokenizer.as_ref(), &data.dataset, &config)?;
    let rows = encoded.rows_per_epoch();
    let steps = TrainConfig::steps_of_epochs(&settings, epochs, rows);
    settings.values.remove("epochs");
    settings.set("steps", Value::Integer(i64::try_from(steps).unwrap_or(i64::MAX)));
    let passes = if epochs == 1.0 { "1 epoch".to_owned() } else { format!("{epochs} epochs") };
    let is_example = !config.packing && config.stride.is_none();
    let rows = counted(rows, if is_example { "example" } else { "row" });
    let length = Some(format!("{passes} of {rows}: {}", counted(steps as usize, "step")));
    Ok(Resolved { settings, length, encoded: Some(Arc::new(encoded)) })
}

/// [`resolved`] before a method is attached. The virtual tokens of a soft prompt precede every
/// example, so its rows cannot be packed.
///
/// # Errors
/// Those of [`EncodedExamples::new`].
pub(crate) fn resolved_for(
    method: &str,
    model: Option<&LoadedModel>,
    settings: &Settings,
    data: &LoadedData,
) -> graft_train::Result<Resolved> {
    let mut counted = settings.clone();
    let packing = counted.values.remove(PACKING).filter(|_| has_virtual_tokens(method));
    let Some(packing) = packing else { return resolved(model, settings, data) };
    let mut resolved = resolved(model, &counted, data)?;
    resolved.settings.set(PACKING, packing);
    Ok(resolved)
}

/// Whether a method puts virtual tokens in front of every example.
pub(crate) fn has_virtual_tokens(method: &str) -> bool {
    let keys = methods::by_verb(method).map_or(&[] as &[_], |spec| spec.keys);
    keys.iter().any(|key| key.name == "num_virtual_tokens")
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
