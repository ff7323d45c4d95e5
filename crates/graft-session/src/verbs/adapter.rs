//! What can be done to an adapter that is there: detach, merge, unmerge, scale, save, list, use, enable.

use std::{path::Path, sync::Arc};

use graft_protocol::{Block, Cell, Reply, Table};
use graft_spec::Failure;

use super::{labels, words::thousands};
use crate::{CommandContext, SessionError, State, state::Attached};

/// The adapter a line means: the one named; else the one in use when it is of the line's method (or no method was said);
/// else the last of that method.
///
/// # Errors
/// [`SessionError::UnknownAdapter`], [`SessionError::NoAdapter`], [`SessionError::NoAdapterOfMethod`].
pub fn find(
    state: &State,
    method: Option<&str>,
    name: Option<&str>,
) -> Result<Arc<Attached>, SessionError> {
    if let Some(name) = name {
        return state.adapter(name);
    }
    let fits =
        |attached: &Arc<Attached>| method.is_none_or(|verb| attached.adapter.spec().verb == verb);
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

/// Removes an adapter; the base is as it was.
///
/// # Errors
/// Those of [`graft_peft::Adapter::detach`].
pub fn detach(desk: &CommandContext, attached: &Attached) -> Result<(), Failure> {
    let model = desk.state().model()?;
    attached.adapter.detach(model.loaded.model.as_ref())?;
    desk.change(|state| state.forget_adapter(attached.adapter.name()));
    Ok(())
}

/// Adds an adapter's update to the base weights.
///
/// # Errors
/// Those of [`graft_peft::Adapter::merge`].
pub fn merge(desk: &CommandContext, attached: &Attached) -> Result<(), Failure> {
    attached.adapter.merge(desk.state().model()?.loaded.model.as_ref())?;
    desk.publish();
    Ok(())
}

/// Takes a merge back.
///
/// # Errors
/// Those of [`graft_peft::Adapter::unmerge`].
pub fn unmerge(desk: &CommandContext, attached: &Attached) -> Result<(), Failure> {
    attached.adapter.unmerge(desk.state().model()?.loaded.model.as_ref())?;
    desk.publish();
    Ok(())
}

/// Multiplies an adapter's effect by `factor`: 1 is as trained, 0 is the base.
///
/// # Errors
/// Those of [`graft_peft::Adapter::set_scale`].
pub fn set_scale(desk: &CommandContext, attached: &Attached, factor: f64) -> Result<(), Failure> {
    attached.adapter.set_scale(desk.state().model()?.loaded.model.as_ref(), factor)?;
    desk.publish();
    Ok(())
}

/// Writes `adapter_config.json` and `adapter_model.safetensors` as HF PEFT does, together with the names of a classifier's classes.
///
/// # Errors
/// Those of [`graft_peft::Adapter::save_with`].
pub fn save(desk: &CommandContext, attached: &Attached, directory: &str) -> Result<(), Failure> {
    let model = desk.state().model()?;
    let names = attached.label_names().or_else(|| model.label_names());
    let file = labels::file(names.as_ref().map(|names| names.as_slice()));
    Ok(attached.adapter.save_with(Path::new(directory), &model.source, &[file])?)
}

/// Takes an adapter in use; the one before stays attached and is silent.
///
/// # Errors
/// [`SessionError::NoModel`], and those of [`graft_peft::Adapter::set_active`].
pub fn choose(desk: &CommandContext, attached: &Attached) -> Result<(), Failure> {
    let state = desk.state();
    let model = state.model()?;
    for other in &state.adapters {
        other.adapter.set_active(model.loaded.model.as_ref(), false)?;
    }
    attached.adapter.set_active(model.loaded.model.as_ref(), true)?;
    desk.change(|state| state.in_use = Some(attached.adapter.name().to_owned()));
    Ok(())
}

/// Switches every adapter off without removing it, or the last one in use on again.
///
/// # Errors
/// [`SessionError::NoModel`], [`SessionError::NoAdapter`], and those of [`graft_peft::Adapter::set_active`].
pub fn enable(desk: &CommandContext, on: bool) -> Result<Arc<Attached>, Failure> {
    let state = desk.state();
    let model = state.model()?;
    let attached = find(&state, None, None)?;
    if on {
        attached.adapter.set_active(model.loaded.model.as_ref(), true)?;
    } else {
        state
            .adapters
            .iter()
            .try_for_each(|each| each.adapter.set_active(model.loaded.model.as_ref(), false))?;
    }
    desk.change(|state| state.in_use = Some(attached.adapter.name().to_owned()));
    Ok(attached)
}

/// Table of the adapters.
pub fn table(state: &State) -> Table {
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
            Cell::Text(condition(state, attached)),
        ]);
    }
    if state.adapters.is_empty() {
        table.footer.push("no adapter yet: `%lora attach` makes the first".to_owned());
    }
    table
}

fn condition(state: &State, attached: &Attached) -> String {
    let mut words =
        vec![if state.is_acting(attached) { "in use".to_owned() } else { "silent".to_owned() }];
    if attached.adapter.is_merged() {
        words.push("merged".to_owned());
    }
    if attached.trained_steps() > 0 {
        words.push(format!("trained {} steps", thousands(attached.trained_steps())));
    }
    words.join(", ")
}

/// An answer of one line about an adapter.
pub(crate) fn said(attached: &Attached, what: &str) -> Reply {
    Reply::one(Block::Text(format!("`{}` {what}", attached.adapter.name())))
}
