//! Putting the parts of an adapter into the model's slots, and deciding which names act.

use std::{collections::BTreeMap, sync::Arc};

use graft_nn::{Linear, Model};

use crate::{
    layers::linears,
    methods::{Hook, Part},
};

/// Puts the parts in under a name, in place of whatever had that name anywhere in the model.
pub(crate) fn insert(model: &dyn Model, name: &str, parts: &[Part]) {
    let linears = linears(model);
    let prompt_slot = model.embedding().prompt();
    for linear in linears.values() {
        linear.slot().remove(name);
    }
    prompt_slot.remove(name);
    for part in parts {
        match &part.hook {
            Hook::Linear(adapter) => {
                if let Some(linear) = linears.get(&part.site) {
                    linear.slot().insert(name, adapter.clone());
                }
            }
            Hook::Prompt(prompt) => prompt_slot.insert(name, prompt.clone()),
        }
    }
}

/// Takes the parts out, but not those that another adapter has put in under the same name since.
pub(crate) fn remove(model: &dyn Model, name: &str, parts: &[Part]) {
    let linears = linears(model);
    for part in parts.iter().filter(|part| is_held(model, &linears, name, part)) {
        match &part.hook {
            Hook::Linear(_) => drop(linears.get(&part.site).and_then(|linear| linear.slot().remove(name))),
            Hook::Prompt(_) => drop(model.embedding().prompt().remove(name)),
        }
    }
}

/// Whether these very parts act.
pub(crate) fn is_active(model: &dyn Model, name: &str, parts: &[Part]) -> bool {
    let linears = linears(model);
    let acts = |part: &Part| match &part.hook {
        Hook::Linear(_) => linears.get(&part.site).is_some_and(|linear| linear.slot().active_names().iter().any(|active| active == name)),
        Hook::Prompt(_) => model.embedding().prompt().active_names().iter().any(|active| active == name),
    };
    parts.iter().any(|part| acts(part) && is_held(model, &linears, name, part))
}

/// Lets the adapter of this name act alone, and none where it has no part.
pub(crate) fn activate_alone(model: &dyn Model, name: &str) {
    change_active(model, |_| vec![name.to_owned()]);
}

/// Lets the adapter of this name act beside those that act.
pub(crate) fn activate_beside(model: &dyn Model, name: &str) {
    change_active(model, |mut names| {
        if !names.iter().any(|active| active == name) {
            names.push(name.to_owned());
        }
        names
    });
}

/// Lets no adapter act.
pub(crate) fn deactivate_all(model: &dyn Model) {
    change_active(model, |_| Vec::new());
}

/// Stops the adapter of this name; others act on.
pub(crate) fn deactivate(model: &dyn Model, name: &str) {
    change_active(model, |mut names| {
        names.retain(|active| active != name);
        names
    });
}

/// A slot leaves out names that it does not hold.
fn change_active(model: &dyn Model, change: impl Fn(Vec<String>) -> Vec<String>) {
    for linear in linears(model).values() {
        let names = change(linear.slot().active_names());
        linear.slot().set_active(&names.iter().map(String::as_str).collect::<Vec<_>>());
    }
    let slot = model.embedding().prompt();
    let names = change(slot.active_names());
    slot.set_active(&names.iter().map(String::as_str).collect::<Vec<_>>());
}

fn is_held(model: &dyn Model, linears: &BTreeMap<String, &Linear>, name: &str, part: &Part) -> bool {
    match &part.hook {
        Hook::Linear(adapter) => {
            let found = linears.get(&part.site).and_then(|linear| linear.slot().get(name));
            found.is_some_and(|found| Arc::ptr_eq(&found, adapter))
        }
        Hook::Prompt(prompt) => model.embedding().prompt().get(name).is_some_and(|found| Arc::ptr_eq(&found, prompt)),
    }
}
