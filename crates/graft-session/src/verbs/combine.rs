//! `%lora combine a,b`.

use graft_protocol::Level;
use graft_spec::{Failure, Settings, combination::KEYS, methods};

use super::{
    attach::{AttachReport, attach_context, install},
    labels,
};
use crate::{CommandContext, provenance::Origin};

/// A larger fraction of the update is complete up to rounding.
const COMPLETE: f64 = 0.9995;

/// Combines adapters into a new one and makes it the one in use. The others stay attached and
/// become inactive.
///
/// # Errors
/// [`crate::SessionError::NoModel`], [`crate::SessionError::UnknownAdapter`], and those of
/// [`graft_peft::combine`]; in these cases nothing changes.
pub fn combine(
    cx: &CommandContext,
    names: &[String],
    settings: &Settings,
) -> Result<AttachReport, Failure> {
    settings.check(KEYS)?;
    let state = cx.state();
    let model = state.model()?;
    let attached = names.iter().map(|name| state.adapter(name)).collect::<Result<Vec<_>, _>>()?;
    let name = settings.text(KEYS, methods::ADAPTER_NAME.name).unwrap_or_default();
    let mut kept = 1.0;
    let mut report = install(
        cx,
        &state,
        &model,
        &name,
        Origin::other(format!("combination of {}", names.join(", "))),
        || {
            let adapters: Vec<_> = attached.iter().map(|attached| &attached.adapter).collect();
            let combined =
                graft_peft::combine(&attach_context(&state, &model), &adapters, settings)?;
            kept = combined.kept;
            Ok((combined.adapter, Vec::new()))
        },
    )?;
    // Label names are kept only if all heads have the same ones.
    let names = attached
        .first()
        .and_then(|first| first.label_names())
        .filter(|names| attached.iter().all(|other| other.label_names().as_ref() == Some(names)));
    labels::put(cx, &report.attached, names.map(|names| names.to_vec()));
    if kept < COMPLETE {
        let text = format!(
            "its ranks contain {:.1} % of the combined update; a larger svd_rank contains more",
            100.0 * kept
        );
        report.notes.push((Level::Info, text));
    }
    Ok(report)
}
