//! Operations on an attached adapter: detach, merge, unmerge, scale, save, list, use, enable.

use std::{path::Path, sync::Arc};

use graft_peft::Extras;
use graft_protocol::{Block, Cell, Reply, Table};
use graft_spec::Failure;

use super::{format::thousands, labels};
use crate::{CommandContext, SessionError, SessionState, state::AttachedAdapter};

/// Finds the adapter that a command refers to: the named one; else the one in use if it is of the
/// command's method, or no method is given; else the last one of that method.
///
/// # Errors
/// [`SessionError::UnknownAdapter`], [`SessionError::NoAdapter`],
/// [`SessionError::NoAdapterOfMethod`].
pub fn find(
    state: &SessionState,
    method: Option<&str>,
    name: Option<&str>,
) -> Result<Arc<AttachedAdapter>, SessionError> {
    if let Some(name) = name {
        return state.adapter(name);
    }
    let fits = |attached: &Arc<AttachedAdapter>| {
        method.is_none_or(|verb| attached.adapter.spec().verb == verb)
    };
    let found = state
        .adapter_in_use()
        .filter(fits)
        .or_else(|| state.adapters.iter().rev().find(|attached| fits(attached)).cloned());
    found.ok_or_else(|| match method {
        Some(method) if !state.adapters.is_empty() => SessionError::NoAdapterOfMethod {
            method: method.to_owned(),
            known: state
                .adapters
                .iter()
                .map(|attached| {
                    format!("{} ({})", attached.adapter.name(), attached.adapter.spec().verb)
                })
                .collect(),
        },
        _ => SessionError::NoAdapter {
            method: method.and_then(graft_spec::methods::by_verb).map_or("lora", |spec| spec.verb),
        },
    })
}

/// Detaches an adapter and restores the base.
///
/// # Errors
/// Those of [`graft_peft::Adapter::detach`].
pub fn detach(cx: &CommandContext, attached: &AttachedAdapter) -> Result<(), Failure> {
    let model = cx.state().model()?;
    attached.adapter.detach(model.loaded.model.as_ref())?;
    cx.change(|state| state.forget_adapter(attached.adapter.name()));
    Ok(())
}

/// Merges the update of an adapter into the base weights.
///
/// # Errors
/// Those of [`graft_peft::Adapter::merge`].
pub fn merge(cx: &CommandContext, attached: &AttachedAdapter) -> Result<(), Failure> {
    attached.adapter.merge(cx.state().model()?.loaded.model.as_ref())?;
    cx.publish();
    Ok(())
}

/// Undoes a merge.
///
/// # Errors
/// Those of [`graft_peft::Adapter::unmerge`].
pub fn unmerge(cx: &CommandContext, attached: &AttachedAdapter) -> Result<(), Failure> {
    attached.adapter.unmerge(cx.state().model()?.loaded.model.as_ref())?;
    cx.publish();
    Ok(())
}

/// Sets the scale of an adapter: 1 is as trained, 0 is the base.
///
/// # Errors
/// Those of [`graft_peft::Adapter::set_scale`].
pub fn set_scale(
    cx: &CommandContext,
    attached: &AttachedAdapter,
    factor: f64,
) -> Result<(), Failure> {
    attached.adapter.set_scale(cx.state().model()?.loaded.model.as_ref(), factor)?;
    cx.publish();
    Ok(())
}

/// Writes `adapter_config.json` and `adapter_model.safetensors` as HF PEFT does, and the label
/// names of a classifier.
///
/// # Errors
/// Those of [`graft_peft::Adapter::save_with`].
pub fn save(
    cx: &CommandContext,
    attached: &AttachedAdapter,
    directory: &str,
) -> Result<(), Failure> {
    let model = cx.state().model()?;
    let names = attached.label_names().or_else(|| model.label_names());
    let file = labels::file(names.as_ref().map(|names| names.as_slice()));
    let resized = model.loaded.is_resized.then_some(model.loaded.model.as_ref());
    let extras = Extras { files: &[file], resized };
    Ok(attached.adapter.save_with(Path::new(directory), &model.source, &extras)?)
}

/// Makes an adapter the one in use. The others stay attached and become inactive.
///
/// # Errors
/// [`SessionError::NoModel`], and those of [`graft_peft::Adapter::activate`].
pub fn choose(cx: &CommandContext, attached: &AttachedAdapter) -> Result<(), Failure> {
    let state = cx.state();
    let model = state.model()?;
    for other in &state.adapters {
        other.adapter.deactivate(model.loaded.model.as_ref())?;
    }
    attached.adapter.activate(model.loaded.model.as_ref())?;
    cx.change(|state| state.in_use = Some(attached.adapter.name().to_owned()));
    Ok(())
}

/// Enables the last adapter in use again.
///
/// # Errors
/// [`SessionError::NoModel`], [`SessionError::NoAdapter`], and those of
/// [`graft_peft::Adapter::activate`].
pub fn enable(cx: &CommandContext) -> Result<Arc<AttachedAdapter>, Failure> {
    let state = cx.state();
    let model = state.model()?;
    let attached = find(&state, None, None)?;
    attached.adapter.activate(model.loaded.model.as_ref())?;
    cx.change(|state| state.in_use = Some(attached.adapter.name().to_owned()));
    Ok(attached)
}

/// Disables all adapters without detaching them, and returns the one that [`enable`] enables again.
///
/// # Errors
/// As [`enable`].
pub fn disable(cx: &CommandContext) -> Result<Arc<AttachedAdapter>, Failure> {
    let state = cx.state();
    let model = state.model()?;
    let attached = find(&state, None, None)?;
    for each in &state.adapters {
        each.adapter.deactivate(model.loaded.model.as_ref())?;
    }
    cx.change(|state| state.in_use = Some(attached.adapter.name().to_owned()));
    Ok(attached)
}

/// The table of the adapters.
pub fn table(state: &SessionState) -> Table {
    let mut table =
        Table::new("adapters", &["name", "method", "settings", "#trainable", "#scale", "state"]);
    for attached in &state.adapters {
        let adapter = &attached.adapter;
        let name = adapter.name().to_owned();
        table.row(vec![
            if state.is_acting(attached) { Cell::Strong(name) } else { Cell::Text(name) },
            Cell::Text(adapter.spec().verb.to_owned()),
            Cell::Text(adapter.summary()),
            Cell::Integer(adapter.trainable_parameters() as i64),
            Cell::Float(adapter.scale(), 2),
            Cell::Text(status(state, attached)),
        ]);
    }
    if state.adapters.is_empty() {
        table.footer.push("no adapters yet: `%lora attach` attaches one".to_owned());
    }
    table
}

fn status(state: &SessionState, attached: &AttachedAdapter) -> String {
    let mut words =
        vec![if state.is_acting(attached) { "in use".to_owned() } else { "inactive".to_owned() }];
    if attached.adapter.is_merged() {
        words.push("merged".to_owned());
    }
    if attached.trained_steps() > 0 {
        words.push(format!("trained {} steps", thousands(attached.trained_steps())));
    }
    words.join(", ")
}

/// A reply of one line about an adapter.
pub(crate) fn line_about(attached: &AttachedAdapter, what: &str) -> Reply {
    Reply::one(Block::Text(format!("`{}` {what}", attached.adapter.name())))
}
