//! `%lora combine a,b`.

use graft_protocol::Level;
use graft_spec::{Failure, Settings, combination::KEYS, methods};

use super::{
    attach::{AttachReport, install, workbench},
    labels,
};
use crate::{CommandContext, provenance::Origin};

/// What a combination lost is said from here on; less is rounding.
const WORTH_SAYING: f64 = 0.9995;

/// Makes one adapter of several and takes it in use; they stay attached and are silent.
///
/// # Errors
/// [`crate::SessionError::NoModel`], [`crate::SessionError::UnknownAdapter`], and those of [`graft_peft::combine`]; then nothing has changed.
pub fn combine(
    desk: &CommandContext,
    names: &[String],
    settings: &Settings,
) -> Result<AttachReport, Failure> {
    settings.check(KEYS)?;
    let state = desk.state();
    let model = state.model()?;
    let attached = names.iter().map(|name| state.adapter(name)).collect::<Result<Vec<_>, _>>()?;
    let name = settings.text(KEYS, methods::ADAPTER_NAME.name).unwrap_or_default();
    let mut kept = 1.0;
    let mut report = install(
        desk,
        &state,
        &model,
        &name,
        Origin::other(format!("combination of {}", names.join(", "))),
        || {
            let adapters: Vec<_> = attached.iter().map(|attached| &attached.adapter).collect();
            let combined = graft_peft::combine(&workbench(&state, &model), &adapters, settings)?;
            kept = combined.kept;
            Ok((combined.adapter, Vec::new()))
        },
    )?;
    // Heads whose classes mean different things have no classes in common.
    let names = attached
        .first()
        .and_then(|first| first.label_names())
        .filter(|names| attached.iter().all(|other| other.label_names().as_ref() == Some(names)));
    labels::put(desk, &report.attached, names.map(|names| names.to_vec()));
    if kept < WORTH_SAYING {
        let text = format!(
            "its ranks hold {:.1} % of the combined update; a larger svd_rank holds more",
            100.0 * kept
        );
        report.notes.push((Level::Info, text));
    }
    Ok(report)
}
