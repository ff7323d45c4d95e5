//! `%runs use`: attaches the saved weights of a run.

use std::{path::Path, sync::Arc};

use graft_peft::Adapter;
use graft_protocol::Level;
use graft_spec::{Failure, Settings, Value, methods::MethodSpec, training::RUN_WEIGHTS};
use graft_train::{
    AdapterCheckpoint, CheckpointState, TrainError,
    runs::{Checkpoint, Progress, RunFolder, RunHeader, SavedWeights, Start},
};

use super::{base, load_line};
use crate::{
    CommandContext, SessionError, SessionState,
    provenance::Origin,
    state::{AttachedAdapter, LoadedModel},
    verbs::{
        attach::{self, AttachReport, attach_context, install},
        labels, resume,
    },
};

/// Attaches the weights of a run and makes them the adapter in use: the weights that `step` names,
/// else those with the lowest validation loss, else the last ones. Without a model, the model of
/// the run is loaded.
///
/// # Errors
/// [`SessionError::UnknownRun`], [`TrainError::NoWeights`], [`SessionError::OtherModelLoaded`], and
/// those of attaching; in these cases nothing changes.
pub fn attach_run(
    cx: &CommandContext,
    run: &str,
    settings: &Settings,
) -> Result<AttachReport, Failure> {
    settings.check(RUN_WEIGHTS)?;
    let folder = resume::find(Some(run))?;
    let (checkpoint, moment, progress) = chosen(&folder, settings)?;
    // Read first, so that a damaged file changes nothing.
    let tensors = checkpoint.adapter()?;
    let header = &progress.header;
    let model = model_of(cx, &folder, header)?;
    let state = cx.state();
    let name =
        settings.text(RUN_WEIGHTS, "adapter_name").unwrap_or_else(|| name_of(&folder, header));
    let origin = origin(&folder, moment, &progress);
    let active = active_adapters(&state, &model);
    let mut report = install(cx, &state, &model, &name, origin, || {
        let (adapter, warnings) = build(cx, &state, &model, header, &name)?;
        let restored = restore(&adapter, &checkpoint, &progress, &tensors).and_then(|()| {
            match header.adapter_scale {
                Some(scale) => Ok(adapter.set_scale(model.loaded.model.as_ref(), scale)?),
                None => Ok(()),
            }
        });
        match restored {
            Ok(()) => Ok((adapter, warnings)),
            Err(failure) => {
                roll_back(&adapter, &name, &state, &model, &active);
                Err(failure)
            }
        }
    })?;
    labels::put(cx, &report.attached, header.label_names.clone());
    report.notes.insert(0, (Level::Info, weights_text(&folder, &progress)));
    Ok(report)
}

/// The origin of an adapter with the weights of a checkpoint.
fn origin(folder: &RunFolder, moment: SavedWeights, progress: &Progress) -> Origin {
    let header = &progress.header;
    let start = match (moment, progress.step, &header.start) {
        (SavedWeights::Start, ..) | (_, 0, Some(_)) => header.start.clone(),
        _ => None,
    };
    Origin {
        seed: header.adapter_seed,
        folder: header.adapter_folder.clone(),
        start: start.unwrap_or(Start::Run { run: folder.name(), step: progress.step }),
        steps: progress.step,
    }
}

/// Attaches an adapter with the settings of a run. The caller restores its weights from a
/// checkpoint.
///
/// # Errors
/// Those of attaching.
pub(crate) fn attach_recorded(
    cx: &CommandContext,
    header: &RunHeader,
    step: u64,
) -> Result<AttachReport, Failure> {
    let state = cx.state();
    let model = state.model()?;
    let start = Start::Run { run: header.run.clone(), step };
    let origin = Origin {
        seed: header.adapter_seed,
        folder: header.adapter_folder.clone(),
        start,
        steps: step,
    };
    install(cx, &state, &model, &header.adapter, origin, || {
        build(cx, &state, &model, header, &header.adapter)
    })
}

/// The command that attaches the weights of a trained adapter again after it was removed.
pub(crate) fn reattach_hint(attached: &AttachedAdapter) -> String {
    let lost = || {
        format!(
            "its weights are not saved in a run; `%{} save DIR` saves the weights of an adapter",
            attached.adapter.spec().verb
        )
    };
    let (Start::Run { run, step }, _) = attached.start() else { return lost() };
    let Ok(folder) = RunFolder::open(&base(), Some(&run)) else { return lost() };
    let has = |moment: SavedWeights| {
        folder
            .weights(moment)
            .and_then(|kept| kept.progress())
            .is_ok_and(|progress| progress.step == step)
    };
    let given = if has(SavedWeights::Best)
        || (folder.weights(SavedWeights::Best).is_err() && has(SavedWeights::Last))
    {
        String::new()
    } else if has(SavedWeights::Last) {
        " step=last".to_owned()
    } else if has(SavedWeights::Step(step)) {
        format!(" step={step}")
    } else {
        return lost();
    };
    format!("`%runs use {run}{given}` attaches its weights again")
}

/// The weights that the keys select.
fn chosen(
    folder: &RunFolder,
    settings: &Settings,
) -> Result<(Checkpoint, SavedWeights, Progress), Failure> {
    let found = |moment: SavedWeights| -> Result<_, Failure> {
        let checkpoint = folder.weights(moment)?;
        let progress = checkpoint.progress()?;
        Ok((checkpoint, moment, progress))
    };
    let Some(text) = settings.text(RUN_WEIGHTS, "step") else {
        return found(SavedWeights::Best).or_else(|_| found(SavedWeights::Last));
    };
    match text.replace('_', "").parse() {
        Ok(moment) => found(moment),
        Err(()) => Err(Failure::new(
            "settings::no_choice",
            format!("`step` must be best, last, start or the number of a step, got `{text}`"),
        )
        .hint(format!("`%runs show {}` lists the steps with saved weights", folder.name()))),
    }
}

/// The current model if it is that of the run. Without a model, loads that of the run. Any other
/// model is kept, because loading a model drops all adapters.
fn model_of(
    cx: &CommandContext,
    folder: &RunFolder,
    header: &RunHeader,
) -> Result<Arc<LoadedModel>, Failure> {
    match cx.state().model.clone() {
        Some(current) if !resume::is_model_of(&current, header) => {
            let (run, model) = (folder.name(), header.model.clone());
            Err(SessionError::OtherModelLoaded {
                run,
                model,
                line: load_line(&header.model, &header.model_settings),
                loaded: current.source.clone(),
            }
            .into())
        }
        _ => resume::same_model(cx, header),
    }
}

/// The name of the run's adapter. Adapters of trials get the name of their run.
fn name_of(folder: &RunFolder, header: &RunHeader) -> String {
    if header.adapter.is_empty() || header.adapter.starts_with('_') {
        folder.name().replace('.', "-")
    } else {
        header.adapter.clone()
    }
}

/// Builds the adapter of a run from the same folder or with the same seed, which also determine its
/// frozen parts.
fn build(
    cx: &CommandContext,
    state: &SessionState,
    model: &LoadedModel,
    header: &RunHeader,
    name: &str,
) -> Result<(Adapter, Vec<String>), Failure> {
    let spec = attach::method(&header.method)?;
    if let Some(folder) = header.adapter_folder.as_deref() {
        match loaded(state, model, (folder, name), (spec, header)) {
            Some(loaded) => return Ok(loaded),
            None => cx.warn(format!("the adapter folder `{folder}` has changed since the run started; building the adapter \
                 from its keys instead")),
        }
    }
    let settings =
        header.adapter_settings.clone().with("adapter_name", Value::Text(name.to_owned()));
    settings.check(spec.keys)?;
    let seed = header.adapter_seed.or(header.session_seed).unwrap_or(state.seed);
    let data = state.data(None).ok();
    let request =
        attach::BuildRequest { model, data: data.as_deref(), spec, settings: &settings, seed };
    Ok((attach::build(cx, state, &request)?, Vec::new()))
}

/// Loads the adapter of a folder if it still has the method and the keys of the run.
fn loaded(
    state: &SessionState,
    model: &LoadedModel,
    (folder, name): (&str, &str),
    (spec, header): (&MethodSpec, &RunHeader),
) -> Option<(Adapter, Vec<String>)> {
    let (adapter, warnings) =
        graft_peft::load(&attach_context(state, model), Path::new(folder), name).ok()?;
    if adapter.spec().verb == spec.verb && *adapter.settings() == header.adapter_settings {
        return Some((adapter, warnings));
    }
    adapter.detach(model.loaded.model.as_ref()).ok()?;
    None
}

/// Restores the tensors of a checkpoint.
fn restore(
    adapter: &Adapter,
    checkpoint: &Checkpoint,
    progress: &Progress,
    tensors: &std::collections::BTreeMap<String, graft_nn::Tensor>,
) -> Result<(), Failure> {
    let trainables = adapter.trainables();
    let training_hook = adapter.training_hook();
    let problem = |error: graft_nn::NnError| {
        let (path, problem) =
            (checkpoint.path().to_owned(), format!("its adapter does not fit ({error})"));
        Failure::from(TrainError::Checkpoint { path, problem })
    };
    training_hook
        .map_or(Ok(()), |training_hook| training_hook.start(progress.steps))
        .map_err(problem)?;
    AdapterCheckpoint { trainables: &trainables, training_hook }.restore(tensors).map_err(problem)
}

/// The active adapters, merged ones first: enabling a merged adapter disables the others.
fn active_adapters(state: &SessionState, model: &LoadedModel) -> Vec<Arc<AttachedAdapter>> {
    let mut active: Vec<_> = state
        .adapters
        .iter()
        .filter(|attached| attached.adapter.is_active(model.loaded.model.as_ref()))
        .cloned()
        .collect();
    active.sort_by_key(|attached| !attached.adapter.is_merged());
    active
}

/// Removes an adapter whose weights could not be restored, and attaches the one that it replaced.
fn roll_back(
    adapter: &Adapter,
    name: &str,
    state: &SessionState,
    model: &LoadedModel,
    active: &[Arc<AttachedAdapter>],
) {
    let model = model.loaded.model.as_ref();
    // It is not merged, so detaching cannot fail.
    drop(adapter.detach(model));
    if let Ok(old) = state.adapter(name) {
        old.adapter.reattach(model);
        drop(old.adapter.deactivate(model));
    }
    active.iter().for_each(|attached| drop(attached.adapter.activate(model)));
}

/// `weights of lora-001 after step 200 of 200, validation loss 1.234`.
fn weights_text(folder: &RunFolder, progress: &Progress) -> String {
    let loss = progress
        .validation_loss
        .map(|loss| format!(", lowest validation loss {loss:.4}"))
        .unwrap_or_default();
    format!(
        "weights of `{}` after step {} of {}{loss}",
        folder.name(),
        progress.step,
        progress.steps
    )
}
