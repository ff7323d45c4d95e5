//! The snapshot of the state for the host.

use graft_nn::{Layer, Model, Site, device};
use graft_protocol::{AdapterEntry, ModelEntry, ModuleEntry, Snapshot};

use crate::{SessionState, state::AttachedAdapter};

/// The snapshot of `state` while `job` runs.
pub(crate) fn of(state: &SessionState, job: Option<String>) -> Snapshot {
    Snapshot {
        model: state
            .model
            .as_ref()
            .map(|model| model_entry(&model.source, model.loaded.model.as_ref())),
        adapters: state.adapters.iter().map(|attached| adapter_entry(state, attached)).collect(),
        data: state.data.iter().map(|data| data.dataset.name.clone()).collect(),
        runs: state.runs.clone(),
        job,
        seed: state.seed,
        device: device::describe(&state.device),
    }
}

fn model_entry(source: &str, model: &dyn Model) -> ModelEntry {
    ModelEntry {
        name: source.to_owned(),
        family: model.shape().family.clone(),
        // A head that shares the weight of the embedding is a module too: adapters can target it.
        modules: model
            .sites()
            .into_iter()
            .chain(model.tied_head().map(Site::linear))
            .map(|site| module_entry(&site))
            .collect(),
        parameters: model.parameters().iter().map(|parameter| parameter.elements() as u64).sum(),
    }
}

/// A module with the shape of its weight.
pub(crate) fn module_entry(site: &Site<'_>) -> ModuleEntry {
    let shape = site.layer.parameters().first().map(|weight| weight.dims()).unwrap_or_default();
    ModuleEntry { path: site.path.to_owned(), kind: kind(site.layer).to_owned(), shape }
}

fn kind(layer: Layer<'_>) -> &'static str {
    match layer {
        Layer::Linear(_) => "linear",
        Layer::Embedding(_) => "embedding",
        Layer::Norm(_) => "norm",
    }
}

fn adapter_entry(state: &SessionState, attached: &AttachedAdapter) -> AdapterEntry {
    let adapter = &attached.adapter;
    AdapterEntry {
        name: adapter.name().to_owned(),
        method: adapter.spec().verb.to_owned(),
        active: state.is_acting(attached),
        merged: adapter.is_merged(),
        trainable: adapter.trainable_parameters(),
        settings: adapter.summary(),
        scale: adapter.scale(),
        run: attached.provenance().run(),
    }
}
