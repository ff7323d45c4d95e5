//! `%model save`.

use std::path::Path;

use graft_models::SavedModel;
use graft_nn::{DType, Linear, Model, Weight};
use graft_spec::{Failure, Settings, training};

use crate::{CommandContext, SessionError, SessionState, verbs::format::quoted};

/// Saves the current model with its merged adapters as a Hugging Face folder for transformers, and
/// returns a message with the written files.
///
/// # Errors
/// [`SessionError::NoModel`]; [`SessionError::NotMerged`] while an adapter is active but not
/// merged; those of [`graft_models::save_folder`].
pub fn save(cx: &CommandContext, directory: &str, settings: &Settings) -> Result<String, Failure> {
    settings.check(training::MODEL_SAVE)?;
    let state = cx.state();
    let model = state.model()?;
    let base = model.loaded.model.as_ref();
    refuse_unmerged(&state, base)?;
    let dtype = match settings.text(training::MODEL_SAVE, "dtype").as_deref() {
        Some("bf16") => DType::BF16,
        Some("f16") => DType::F16,
        _ => DType::F32,
    };
    let files = graft_models::save_loaded(
        Path::new(directory),
        &SavedModel { loaded: &model.loaded, dtype },
    )?;
    let others: Vec<_> = files
        .into_iter()
        .filter(|name| !["config.json", "model.safetensors"].contains(&name.as_str()))
        .collect();
    Ok(format!(
        "saved `{}` in `{directory}`, {}: config.json, model.safetensors ({}{}), {}; can be loaded \
         with transformers",
        model.source,
        merged_text(&state, base),
        if has_nf4(base) { "nf4 (bitsandbytes), the rest " } else { "" },
        dtype.as_str(),
        others.join(", ")
    ))
}

/// Refuses to save while an adapter is active that the saved model would not include.
fn refuse_unmerged(state: &SessionState, base: &dyn Model) -> Result<(), SessionError> {
    let is_left_out =
        |adapter: &&graft_peft::Adapter| adapter.is_active(base) && !adapter.is_merged();
    match state.adapters.iter().map(|attached| &attached.adapter).find(is_left_out) {
        None => Ok(()),
        Some(adapter) => Err(SessionError::NotMerged {
            name: adapter.name().to_owned(),
            method: adapter.spec().verb,
        }),
    }
}

fn merged_text(state: &SessionState, base: &dyn Model) -> String {
    let names: Vec<_> = state
        .adapters
        .iter()
        .map(|attached| &attached.adapter)
        .filter(|adapter| adapter.is_merged() && adapter.is_active(base))
        .map(|adapter| adapter.name().to_owned())
        .collect();
    if names.is_empty() {
        "without adapters".to_owned()
    } else {
        format!("with {} merged into the weights", quoted(&names))
    }
}

/// Whether the saved model contains weights in the NF4 format of bitsandbytes.
fn has_nf4(base: &dyn Model) -> bool {
    let is_nf4 = |linear: &Linear| match linear.weight().weight() {
        Weight::Packed(packed) => packed.name() == "nf4" && !linear.fan_in_fan_out(),
        Weight::Dense(_) => false,
    };
    graft_nn::packable(base).into_iter().any(is_nf4)
}
