//! Insertion of an adapter's parts into the slots of a model, and activation by name.

use std::{collections::BTreeMap, sync::Arc};

use graft_nn::{Embedding, Layer, Linear, Model, Parameter, Prefix, ResidualAdd, Slot, SoftPrompt};

use crate::{
    layers::linears,
    method::{AdapterPart, Attachment},
};

/// All slots of a model.
struct Slots<'a> {
    /// By the layer's path.
    linears: BTreeMap<String, &'a Linear>,
    /// By the embedding's path.
    embeddings: BTreeMap<String, &'a Embedding>,
    /// By the weight's path.
    weights: BTreeMap<&'a str, &'a Parameter>,
    /// By AdapterHub's path.
    residual_adds: BTreeMap<&'a str, &'a ResidualAdd>,
    head: Option<&'a Linear>,
    prompt: &'a Slot<dyn SoftPrompt>,
    prefix: &'a Slot<dyn Prefix>,
}

impl<'a> Slots<'a> {
    fn of(model: &'a dyn Model) -> Self {
        let weights =
            model.parameters().into_iter().map(|parameter| (parameter.path(), parameter)).collect();
        let table = |layer: Layer<'a>| {
            if let Layer::Embedding(embedding) = layer {
                Some((embedding.path().to_owned(), embedding))
            } else {
                None
            }
        };
        let embeddings = model.sites().into_iter().filter_map(|site| table(site.layer)).collect();
        let residual_adds = model
            .residual_adds()
            .into_iter()
            .map(|residual_add| (residual_add.path(), residual_add))
            .collect();
        Self {
            residual_adds,
            head: model.tied_head(),
            linears: linears(model),
            embeddings,
            weights,
            prompt: model.embedding().prompt(),
            prefix: model.embedding().prefix(),
        }
    }

    fn all(&self) -> Vec<&dyn ActiveNames> {
        let mut all: Vec<&dyn ActiveNames> =
            self.linears.values().map(|linear| linear.slot() as &dyn ActiveNames).collect();
        all.extend(self.embeddings.values().map(|embedding| embedding.slot() as &dyn ActiveNames));
        all.extend(self.weights.values().map(|weight| weight.overrides() as &dyn ActiveNames));
        all.extend(
            self.residual_adds.values().map(|residual_add| residual_add.slot() as &dyn ActiveNames),
        );
        all.extend(self.head.map(|head| head.overrides() as &dyn ActiveNames));
        all.extend([self.prompt as &dyn ActiveNames, self.prefix as &dyn ActiveNames]);
        all
    }

    fn insert(&self, name: &str, part: &AdapterPart) {
        match &part.attachment {
            Attachment::Linear(adapter) => {
                if let Some(linear) = self.linears.get(&part.site) {
                    linear.slot().insert(name, adapter.clone());
                }
            }
            Attachment::Embedding(adapter) => {
                if let Some(embedding) = self.embeddings.get(&part.site) {
                    embedding.slot().insert(name, adapter.clone());
                }
            }
            Attachment::ResidualAdd(adapter) => {
                if let Some(residual_add) = self.residual_adds.get(part.site.as_str()) {
                    residual_add.slot().insert(name, adapter.clone());
                }
            }
            Attachment::Head(weight_override) => {
                if let Some(head) = self.head {
                    head.overrides().insert(name, weight_override.clone());
                }
            }
            Attachment::Prompt(prompt) => self.prompt.insert(name, prompt.clone()),
            Attachment::Prefix(prefix) => self.prefix.insert(name, prefix.clone()),
            Attachment::Weight(path, weight_override) => {
                if let Some(weight) = self.weights.get(path.as_str()) {
                    weight.overrides().insert(name, weight_override.clone());
                }
            }
        }
    }

    fn remove(&self, name: &str, part: &AdapterPart) {
        match &part.attachment {
            Attachment::Linear(_) => {
                drop(self.linears.get(&part.site).and_then(|linear| linear.slot().remove(name)))
            }
            Attachment::Embedding(_) => drop(
                self.embeddings.get(&part.site).and_then(|embedding| embedding.slot().remove(name)),
            ),
            Attachment::ResidualAdd(_) => drop(
                self.residual_adds
                    .get(part.site.as_str())
                    .and_then(|residual_add| residual_add.slot().remove(name)),
            ),
            Attachment::Head(_) => drop(self.head.and_then(|head| head.overrides().remove(name))),
            Attachment::Prompt(_) => drop(self.prompt.remove(name)),
            Attachment::Prefix(_) => drop(self.prefix.remove(name)),
            Attachment::Weight(path, _) => drop(
                self.weights.get(path.as_str()).and_then(|weight| weight.overrides().remove(name)),
            ),
        }
    }

    fn remove_all(&self, name: &str) {
        self.linears.values().for_each(|linear| drop(linear.slot().remove(name)));
        self.embeddings.values().for_each(|embedding| drop(embedding.slot().remove(name)));
        self.weights.values().for_each(|weight| drop(weight.overrides().remove(name)));
        self.residual_adds.values().for_each(|residual_add| drop(residual_add.slot().remove(name)));
        drop(self.head.and_then(|head| head.overrides().remove(name)));
        self.prompt.remove(name);
        self.prefix.remove(name);
    }

    /// Whether the slot still contains this part, and not the part of another adapter that was
    /// inserted under the same name later.
    fn holds(&self, name: &str, part: &AdapterPart) -> bool {
        match &part.attachment {
            Attachment::Linear(adapter) => {
                let found = self.linears.get(&part.site).and_then(|linear| linear.slot().get(name));
                found.is_some_and(|found| Arc::ptr_eq(&found, adapter))
            }
            Attachment::Embedding(adapter) => {
                let found = self
                    .embeddings
                    .get(&part.site)
                    .and_then(|embedding| embedding.slot().get(name));
                found.is_some_and(|found| Arc::ptr_eq(&found, adapter))
            }
            Attachment::ResidualAdd(adapter) => {
                let found = self
                    .residual_adds
                    .get(part.site.as_str())
                    .and_then(|residual_add| residual_add.slot().get(name));
                found.is_some_and(|found| Arc::ptr_eq(&found, adapter))
            }
            Attachment::Head(weight_override) => {
                let found = self.head.and_then(|head| head.overrides().get(name));
                found.is_some_and(|found| Arc::ptr_eq(&found, weight_override))
            }
            Attachment::Prompt(prompt) => {
                self.prompt.get(name).is_some_and(|found| Arc::ptr_eq(&found, prompt))
            }
            Attachment::Prefix(prefix) => {
                self.prefix.get(name).is_some_and(|found| Arc::ptr_eq(&found, prefix))
            }
            Attachment::Weight(path, weight_override) => {
                let found =
                    self.weights.get(path.as_str()).and_then(|weight| weight.overrides().get(name));
                found.is_some_and(|found| Arc::ptr_eq(&found, weight_override))
            }
        }
    }

    fn acts(&self, name: &str, part: &AdapterPart) -> bool {
        let names = match &part.attachment {
            Attachment::Linear(_) => {
                self.linears.get(&part.site).map(|linear| linear.slot().active_names())
            }
            Attachment::Embedding(_) => {
                self.embeddings.get(&part.site).map(|embedding| embedding.slot().active_names())
            }
            Attachment::ResidualAdd(_) => self
                .residual_adds
                .get(part.site.as_str())
                .map(|residual_add| residual_add.slot().active_names()),
            Attachment::Head(_) => self.head.map(|head| head.overrides().active_names()),
            Attachment::Prompt(_) => Some(self.prompt.active_names()),
            Attachment::Prefix(_) => Some(self.prefix.active_names()),
            Attachment::Weight(path, _) => {
                self.weights.get(path.as_str()).map(|weight| weight.overrides().active_names())
            }
        };
        names.is_some_and(|names| names.iter().any(|active| active == name))
    }
}

/// The active names of one slot, independent of the type of its contents.
trait ActiveNames {
    fn names(&self) -> Vec<String>;
    /// Names that the slot does not contain are ignored.
    fn set_names(&self, names: &[String]);
}

impl<A: ?Sized> ActiveNames for Slot<A> {
    fn names(&self) -> Vec<String> {
        self.active_names()
    }

    fn set_names(&self, names: &[String]) {
        self.set_active(&names.iter().map(String::as_str).collect::<Vec<_>>());
    }
}

/// The active names of every slot, in an order that depends only on the model.
pub(crate) fn active_names(model: &dyn Model) -> Vec<Vec<String>> {
    Slots::of(model).all().into_iter().map(ActiveNames::names).collect()
}

/// Activates in every slot the names that [`active_names`] returned. A slot ignores names that have
/// been removed since.
pub(crate) fn set_active_names(model: &dyn Model, names: &[Vec<String>]) {
    Slots::of(model).all().into_iter().zip(names).for_each(|(slot, names)| slot.set_names(names));
}

/// Restores the active adapters of every slot when it is dropped.
pub(crate) struct ActiveGuard<'a> {
    model: &'a dyn Model,
    names: Vec<Vec<String>>,
}

impl Drop for ActiveGuard<'_> {
    fn drop(&mut self) {
        set_active_names(self.model, &self.names);
    }
}

/// Saves which adapters are active in every slot.
pub(crate) fn save_active(model: &dyn Model) -> ActiveGuard<'_> {
    ActiveGuard { model, names: active_names(model) }
}

/// Inserts the parts under a name, replacing everything with that name in the model.
pub(crate) fn insert(model: &dyn Model, name: &str, parts: &[AdapterPart]) {
    let slots = Slots::of(model);
    slots.remove_all(name);
    parts.iter().for_each(|part| slots.insert(name, part));
}

/// Removes the parts, except those that another adapter has since replaced under the same name.
pub(crate) fn remove(model: &dyn Model, name: &str, parts: &[AdapterPart]) {
    let slots = Slots::of(model);
    parts.iter().filter(|part| slots.holds(name, part)).for_each(|part| slots.remove(name, part));
}

/// Whether exactly these parts are active.
pub(crate) fn is_active(model: &dyn Model, name: &str, parts: &[AdapterPart]) -> bool {
    let slots = Slots::of(model);
    parts.iter().any(|part| slots.acts(name, part) && slots.holds(name, part))
}

/// Activates the adapter of this name and deactivates all others.
pub(crate) fn activate_alone(model: &dyn Model, name: &str) {
    change_active(model, |_| vec![name.to_owned()]);
}

/// Activates the adapter of this name in addition to the active ones.
pub(crate) fn activate_also(model: &dyn Model, name: &str) {
    change_active(model, |mut names| {
        if !names.iter().any(|active| active == name) {
            names.push(name.to_owned());
        }
        names
    });
}

/// Deactivates all adapters.
pub(crate) fn deactivate_all(model: &dyn Model) {
    change_active(model, |_| Vec::new());
}

/// Deactivates the adapter of this name; others stay active.
pub(crate) fn deactivate(model: &dyn Model, name: &str) {
    change_active(model, |mut names| {
        names.retain(|active| active != name);
        names
    });
}

fn change_active(model: &dyn Model, change: impl Fn(Vec<String>) -> Vec<String>) {
    for slot in Slots::of(model).all() {
        slot.set_names(&change(slot.names()));
    }
}
