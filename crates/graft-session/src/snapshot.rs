//! The state as the host may know it.

use graft_nn::{Layer, Model, Site, device};
use graft_protocol::{AdapterEntry, ModelEntry, ModuleEntry, Snapshot};

use crate::{State, state::Attached};

/// The snapshot of `state` while `job` runs.
pub(crate) fn of(state: &State, job: Option<String>) -> Snapshot {
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
        // A head that shares the embedding's weight is a module too: adapters may name it.
        modules: model
            .sites()
            .into_iter()
            .chain(model.tied_head().map(Site::linear))
            .map(|site| module_entry(&site))
            .collect(),
        parameters: model.parameters().iter().map(|parameter| parameter.elements() as u64).sum(),
    }
}

/// One module with the shape of its weight.
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

fn adapter_entry(state: &State, attached: &Attached) -> AdapterEntry {
    let adapter = &attached.adapter;
    AdapterEntry {
        name: adapter.name().to_owned(),
        method: adapter.spec().verb.to_owned(),
        active: state.is_acting(attached),
        merged: adapter.is_merged(),
        trainable: adapter.trainable_parameters(),
        settings: adapter.summary(),
        scale: adapter.scale(),
    }
}
