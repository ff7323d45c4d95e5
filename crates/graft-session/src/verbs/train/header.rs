//! Builds the header of a run from the session's objects.

use graft_spec::Settings;
use graft_train::{Callbacks, label_map, runs::RunHeader};

use super::{TrainingSetup, default_rate};
use crate::{SessionState, UserCallbacks, state::AttachedAdapter, verbs::format::kept_as};

/// The header of a run: everything that its checkpoints need to be restored in another session.
pub(crate) fn header(
    state: &SessionState,
    setup: &TrainingSetup,
    settings: &Settings,
) -> RunHeader {
    let TrainingSetup { model, data, attached, config, folder, .. } = setup;
    let base = model.loaded.model.as_ref();
    let adapter = &attached.adapter;
    let callbacks = setup.callbacks.as_deref();
    let counts = graft_peft::counts(base, &[adapter]);
    let header = RunHeader {
        run: folder.name(),
        title: title(setup),
        model: model.absolute_source().to_owned(),
        model_settings: model.settings.clone(),
        model_hash: model.loaded.content_hash.clone(),
        label_names: label_map(base, &data.dataset)
            .ok()
            .and_then(|map| map.names)
            .map(|names| names.to_vec()),
        train: settings.clone(),
        default_lr: default_rate(model, adapter.spec()),
        seed: config.seed,
        session_seed: Some(state.seed),
        device: graft_nn::device::describe(&state.device),
        dtype: kept_as(base),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        started: seconds_since_1970(),
        trainable: counts.trainable,
        total: counts.all,
        trial: None,
        own_loss: callbacks.is_some_and(Callbacks::has_loss),
        calls_on_step: callbacks.is_some_and(UserCallbacks::has_on_step),
        ..RunHeader::default()
    };
    with_adapter(header, attached).with_data(data.record())
}

fn title(setup: &TrainingSetup) -> String {
    let adapter = &setup.attached.adapter;
    let loss = setup.config.preference;
    let loss = loss.map_or_else(String::new, |found| format!(" with {}", found.loss.name()));
    format!(
        "{} {}{loss} on {}, {}",
        adapter.spec().verb,
        adapter.summary(),
        setup.data.dataset.name,
        setup.model.source
    )
}

/// A header with the adapter's settings and the origin of its weights.
fn with_adapter(header: RunHeader, attached: &AttachedAdapter) -> RunHeader {
    let (start, start_fingerprint) = attached.start();
    let provenance = attached.provenance();
    let adapter = &attached.adapter;
    RunHeader {
        method: adapter.spec().verb.to_owned(),
        adapter: adapter.name().to_owned(),
        adapter_settings: adapter.settings().clone(),
        adapter_asked: attached.asked().clone(),
        start: Some(start),
        start_fingerprint,
        adapter_seed: provenance.seed,
        adapter_folder: provenance.folder.clone(),
        adapter_scale: Some(adapter.scale()).filter(|scale| *scale != 1.0),
        ..header
    }
}

fn seconds_since_1970() -> u64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}
