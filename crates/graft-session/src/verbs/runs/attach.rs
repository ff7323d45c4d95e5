//! `%runs use`: the weights that a run has kept, attached as an adapter.

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
    CommandContext, SessionError, State,
    provenance::Origin,
    state::{Attached, LoadedModel},
    verbs::{
        attach::{self, AttachReport, install, workbench},
        labels, resume,
    },
};

/// Attaches the weights of a run and takes them in use: those with the lowest validation loss, or the last ones where nothing was validated, or those
/// that `step` names. The run's model is loaded where none is.
///
/// # Errors
/// [`SessionError::UnknownRun`], [`TrainError::NoWeights`], [`SessionError::OtherModelLoaded`], and those of attaching; then nothing has changed.
pub fn attach_run(
    desk: &CommandContext,
    run: &str,
    settings: &Settings,
) -> Result<AttachReport, Failure> {
    settings.check(RUN_WEIGHTS)?;
    let folder = resume::find(Some(run))?;
    let (checkpoint, moment, progress) = chosen(&folder, settings)?;
    // Read before anything is exchanged: a damaged file changes nothing.
    let tensors = checkpoint.adapter()?;
    let header = &progress.header;
    let model = model_of(desk, &folder, header)?;
    let state = desk.state();
    let name =
        settings.text(RUN_WEIGHTS, "adapter_name").unwrap_or_else(|| name_of(&folder, header));
    let start = match (moment, progress.step, &header.start) {
        (SavedWeights::Start, ..) | (_, 0, Some(_)) => header.start.clone(),
        _ => None,
    };
    let start = start.unwrap_or(Start::Run { run: folder.name(), step: progress.step });
    let origin = Origin {
        seed: header.adapter_seed,
        folder: header.adapter_folder.clone(),
        start,
        steps: progress.step,
    };
    let acting = acting(&state, &model);
    let mut report = install(desk, &state, &model, &name, origin, || {
        let (adapter, warnings) = build(desk, &state, &model, header, &name)?;
        let restored = restore(&adapter, &checkpoint, &progress, &tensors).and_then(|()| {
            match header.adapter_scale {
                Some(scale) => Ok(adapter.set_scale(model.loaded.model.as_ref(), scale)?),
                None => Ok(()),
            }
        });
        match restored {
            Ok(()) => Ok((adapter, warnings)),
            Err(failure) => {
                put_back(&adapter, &name, &state, &model, &acting);
                Err(failure)
            }
        }
    })?;
    labels::put(desk, &report.attached, header.label_names.clone());
    report.notes.insert(0, (Level::Info, told(&folder, &progress)));
    Ok(report)
}

/// Attaches the adapter of a run as it was attached there; its weights come from a checkpoint.
///
/// # Errors
/// Those of attaching.
pub(crate) fn attach_as_in(
    desk: &CommandContext,
    header: &RunHeader,
    step: u64,
) -> Result<AttachReport, Failure> {
    let state = desk.state();
    let model = state.model()?;
    let start = Start::Run { run: header.run.clone(), step };
    let origin = Origin {
        seed: header.adapter_seed,
        folder: header.adapter_folder.clone(),
        start,
        steps: step,
    };
    install(desk, &state, &model, &header.adapter, origin, || {
        build(desk, &state, &model, header, &header.adapter)
    })
}

/// How the weights of a trained adapter that goes away are reached again.
pub(crate) fn way_back(attached: &Attached) -> String {
    let lost = || {
        format!(
            "its weights are in no run; `%{} save DIR` keeps those of an adapter",
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

/// The weights that the keys mean.
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
        .hint(format!("`%runs show {}` lists the steps whose weights are kept", folder.name()))),
    }
}

/// The current model where it is the run's; the run's where none is loaded. Another one stays: it would go with all its adapters.
fn model_of(
    desk: &CommandContext,
    folder: &RunFolder,
    header: &RunHeader,
) -> Result<Arc<LoadedModel>, Failure> {
    match desk.state().model.clone() {
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
        _ => resume::same_model(desk, header),
    }
}

/// The name of the run's adapter; trials have names that no session lists.
fn name_of(folder: &RunFolder, header: &RunHeader) -> String {
    if header.adapter.is_empty() || header.adapter.starts_with('_') {
        folder.name().replace('.', "-")
    } else {
        header.adapter.clone()
    }
}

/// Builds the adapter of a run with the seed, or from the folder, that it was built with there: frozen parts follow from them too.
fn build(
    desk: &CommandContext,
    state: &State,
    model: &LoadedModel,
    header: &RunHeader,
    name: &str,
) -> Result<(Adapter, Vec<String>), Failure> {
    let spec = attach::method(&header.method)?;
    if let Some(folder) = header.adapter_folder.as_deref() {
        match loaded(state, model, (folder, name), (spec, header)) {
            Some(loaded) => return Ok(loaded),
            None => desk.warn(format!("the adapter folder `{folder}` is not as it was when the run began; the adapter is made from its keys instead")),
        }
    }
    let settings =
        header.adapter_settings.clone().with("adapter_name", Value::Text(name.to_owned()));
    settings.check(spec.keys)?;
    let seed = header.adapter_seed.or(header.session_seed).unwrap_or(state.seed);
    let data = state.data(None).ok();
    Ok((attach::build(desk, state, (model, data.as_deref()), (spec, &settings), seed)?, Vec::new()))
}

/// The adapter in a folder, where it still has the run's method and keys.
fn loaded(
    state: &State,
    model: &LoadedModel,
    (folder, name): (&str, &str),
    (spec, header): (&MethodSpec, &RunHeader),
) -> Option<(Adapter, Vec<String>)> {
    let (adapter, warnings) =
        graft_peft::load(&workbench(state, model), Path::new(folder), name).ok()?;
    if adapter.spec().verb == spec.verb && *adapter.settings() == header.adapter_settings {
        return Some((adapter, warnings));
    }
    adapter.detach(model.loaded.model.as_ref()).ok()?;
    None
}

/// Fills an adapter with the tensors of a checkpoint.
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

/// The adapters that act now, the merged ones first: switching one of those on silences the others.
fn acting(state: &State, model: &LoadedModel) -> Vec<Arc<Attached>> {
    let mut acting: Vec<_> = state
        .adapters
        .iter()
        .filter(|attached| attached.adapter.is_active(model.loaded.model.as_ref()))
        .cloned()
        .collect();
    acting.sort_by_key(|attached| !attached.adapter.is_merged());
    acting
}

/// Takes an adapter away that could not be filled; what it took the place of is there again.
fn put_back(
    adapter: &Adapter,
    name: &str,
    state: &State,
    model: &LoadedModel,
    acting: &[Arc<Attached>],
) {
    let model = model.loaded.model.as_ref();
    // It was attached a moment ago and is not merged, so nothing can fail.
    drop(adapter.detach(model));
    if let Ok(old) = state.adapter(name) {
        old.adapter.reattach(model);
        drop(old.adapter.set_active(model, false));
    }
    acting.iter().for_each(|attached| drop(attached.adapter.set_active(model, true)));
}

/// `weights of lora-001 after step 200 of 200, validation loss 1.234`.
fn told(folder: &RunFolder, progress: &Progress) -> String {
    let loss = progress
        .validation_loss
        .map(|loss| format!(", its lowest validation loss ({loss:.4})"))
        .unwrap_or_default();
    format!(
        "weights of `{}` after step {} of {}{loss}",
        folder.name(),
        progress.step,
        progress.steps
    )
}
