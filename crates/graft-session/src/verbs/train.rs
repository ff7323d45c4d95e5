//! `%train`.

use std::sync::Arc;

use graft_nn::{TokenEncoder, Trainable};
use graft_protocol::{Event, Reply, RunEnded, RunOutcome};
use graft_spec::{AUTO, Failure, Settings, Value, methods::MethodSpec, training::TRAIN};
use graft_train::{
    AdapterCheckpoint, Control, Job, TrainConfig, TrainError, fit, label_map, largest_batch,
    runs::{RunFolder, RunHeader, Start},
    tensors_fingerprint,
};

use super::{
    advice::Next,
    attach, effect, runs,
    words::{counted, kept_as, thousands},
};
use crate::{
    CommandContext, SessionError, State,
    state::{Attached, LoadedData, LoadedModel},
};

/// A run that has ended.
#[derive(Clone, Debug)]
pub struct Trained {
    /// How it ended.
    pub ended: RunEnded,
    /// Its folder, with ledger and checkpoints.
    pub folder: RunFolder,
}

/// What a training is about.
pub(crate) struct Plan {
    pub(crate) model: Arc<LoadedModel>,
    pub(crate) data: Arc<LoadedData>,
    /// What is validated on in place of the data's own validation part.
    pub(crate) watched: Option<Arc<LoadedData>>,
    pub(crate) attached: Arc<Attached>,
    pub(crate) config: TrainConfig,
    pub(crate) folder: RunFolder,
}

/// Trains the adapter in use on the current data; attaches one first when `attach` names a method and its keys.
///
/// # Errors
/// [`SessionError::NoModel`], [`SessionError::NoData`], [`SessionError::NoAdapter`], those of [`attach::attach`] and [`graft_train::fit()`];
/// [`SessionError::Interrupted`] when the user stopped it, with everything kept.
pub fn train(
    desk: &CommandContext,
    attach: Option<&(String, Settings)>,
    settings: &Settings,
) -> Result<Trained, Failure> {
    settings.check(TRAIN)?;
    let state = desk.state();
    let model = state.model()?;
    let data = state.data(settings.text(TRAIN, "data").as_deref())?;
    if let Some((method, keys)) = attach {
        let report =
            attach::attach_for(desk, method, keys, settings.text(TRAIN, "data").as_deref())?;
        desk.note(report.line());
    }
    let state = desk.state();
    let attached = attach::adapter_wanted(&state)?;
    if attached.adapter.is_merged() {
        return Err(SessionError::Merged {
            name: attached.adapter.name().to_owned(),
            method: attached.adapter.spec().verb,
        }
        .into());
    }
    let merged_below = |other: &&Arc<Attached>| {
        other.adapter.is_merged() && other.adapter.is_active(model.loaded.model.as_ref())
    };
    if let Some(below) = state.adapters.iter().find(merged_below) {
        return Err(SessionError::MergedBelow {
            name: below.adapter.name().to_owned(),
            method: below.adapter.spec().verb,
        }
        .into());
    }
    acts_alone(&state, &model, &attached)?;
    let settings = &sized(desk, settings, &model, &data, &attached)?;
    let config = TrainConfig::from_settings(
        settings,
        default_rate(&model, attached.adapter.spec()),
        state.seed,
    );
    let folder = new_folder(desk, attached.adapter.spec().verb)?;
    let plan = Plan { model, data, watched: None, attached, config, folder };
    let header = header(&state, &plan, settings);
    carry_out(desk, &plan, header, fit)
}

/// A training on top of another adapter could not be repeated: its run knows of one adapter.
fn acts_alone(
    state: &State,
    model: &LoadedModel,
    attached: &Arc<Attached>,
) -> Result<(), SessionError> {
    let acts = |other: &&Arc<Attached>| {
        !Arc::ptr_eq(other, attached) && other.adapter.is_active(model.loaded.model.as_ref())
    };
    state.adapters.iter().find(acts).map_or(Ok(()), |other| {
        let name = |attached: &Attached| attached.adapter.name().to_owned();
        Err(SessionError::ActsToo {
            name: name(attached),
            other: name(other),
            method: attached.adapter.spec().verb,
        })
    })
}

/// The folder of a new run; says so where it will not last.
pub(crate) fn new_folder(desk: &CommandContext, name: &str) -> Result<RunFolder, Failure> {
    let base = runs::base();
    if graft_train::runs::is_temporary(&base) {
        desk.warn(runs::TEMPORARY);
    }
    Ok(RunFolder::create(&base, name)?)
}

/// Learning rate of a method where none is given.
pub(crate) fn default_rate(model: &LoadedModel, spec: &MethodSpec) -> f64 {
    spec.learning_rate_for(model.loaded.model.shape().hidden)
}

/// The settings with a number in place of `batch=auto`: a run goes on with the size that it began with.
fn sized(
    desk: &CommandContext,
    settings: &Settings,
    model: &LoadedModel,
    data: &LoadedData,
    attached: &Attached,
) -> Result<Settings, Failure> {
    if settings.text(TRAIN, "batch").as_deref() != Some(AUTO) {
        return Ok(settings.clone());
    }
    let (base, tokenizer) = (model.loaded.model.as_ref(), model.loaded.tokenizer.as_ref());
    let config =
        TrainConfig::from_settings(settings, default_rate(model, attached.adapter.spec()), 0);
    let found =
        largest_batch(base, &attached.adapter.trainables(), tokenizer, &data.dataset, &config)?;
    let [needed, available] =
        [found.needed, found.available].map(|bytes| thousands(bytes.div_ceil(1_000_000)));
    desk.note(format!(
        "batch=auto: {} of at most {} tokens, {needed} MB of {available} MB left",
        counted(found.rows, "example"),
        found.tokens
    ));
    Ok(settings.clone().with("batch", Value::Integer(found.rows as i64)))
}

/// Runs a plan with `go` (a new run or a resumed one) and settles the session afterwards, however it ended.
pub(crate) fn carry_out(
    desk: &CommandContext,
    plan: &Plan,
    header: RunHeader,
    go: impl FnOnce(Job<'_>, &Control, &mut dyn FnMut(Event)) -> Result<RunEnded, TrainError>,
) -> Result<Trained, Failure> {
    let mut steps = 0;
    let label_names = header.label_names.clone().map(Arc::new);
    let mut emit = |event: Event| {
        steps += u64::from(matches!(event, Event::Step(_)));
        let begins = matches!(event, Event::RunStarted(_));
        desk.emit(event);
        if begins {
            plan.attached.set_label_names(label_names.clone());
            // Should this process die, the host can say that there is a run to go on with.
            list_runs(desk);
        }
    };
    let train = header.train.clone();
    let result = work(desk, plan, header, go, &mut emit);
    plan.attached.add_steps(steps);
    remember_weights(plan, &result);
    list_runs(desk);
    let ended = result.map_err(|failure| advised(failure, plan, &train))?;
    match ended.outcome {
        RunOutcome::Interrupted => Err(stopped(&ended, plan.config.steps).into()),
        _ => {
            effect::tell(desk, plan, &train);
            Ok(Trained { ended, folder: plan.folder.clone() })
        }
    }
}

/// A training whose numbers went out of bounds is repeated with a smaller rate: the line that does so.
fn advised(failure: Failure, plan: &Plan, train: &Settings) -> Failure {
    if failure.code != "train::not_finite" {
        return failure;
    }
    let hint = format!(
        "{}, or add a longer warmup or max_grad_norm=1",
        Next::after(plan, train).smaller()
    );
    failure.hint(hint)
}

/// Notes where the adapter's weights come from after a training, however it ended.
fn remember_weights(plan: &Plan, result: &Result<RunEnded, Failure>) {
    let (attached, run) = (&plan.attached, plan.folder.name());
    if let Ok(ended) = result {
        return attached.set_start(Start::Run { run, step: ended.step });
    }
    let (before, now) = attached.start();
    if attached.provenance().is_known(&now) {
        return;
    }
    // A run that has failed has saved its last step in most cases, but not where the numbers went out of bounds.
    let names: std::collections::BTreeSet<String> =
        attached.adapter.trainables().into_iter().map(|trainable| trainable.name).collect();
    let saved = plan.folder.checkpoints().into_iter().rev().find_map(|checkpoint| {
        let tensors = checkpoint.adapter().ok()?;
        let weights = tensors
            .iter()
            .filter(|(name, _)| names.contains(*name))
            .map(|(name, tensor)| (name.as_str(), tensor.clone()));
        if tensors_fingerprint(weights).ok()? == now {
            Some(checkpoint.progress().ok()?.step)
        } else {
            None
        }
    });
    attached.set_start(match saved {
        Some(0) => before,
        Some(step) => Start::Run { run, step },
        None => Start::Other {
            what: format!("weights of `{run}`, which failed between two checkpoints"),
        },
    });
}

/// Runs a plan with `go`; the session is left to the caller.
pub(crate) fn work(
    desk: &CommandContext,
    plan: &Plan,
    header: RunHeader,
    go: impl FnOnce(Job<'_>, &Control, &mut dyn FnMut(Event)) -> Result<RunEnded, TrainError>,
    emit: &mut dyn FnMut(Event),
) -> Result<RunEnded, Failure> {
    let trainables = plan.attached.adapter.trainables();
    let state = accompanied(plan, &trainables);
    Ok(go(job(plan, header, &trainables, &state), &desk.control(), emit)?)
}

/// What a checkpoint keeps: the weights, and what a schedule has found out, are all there is of an adapter beside its settings, and those are in the header.
pub(crate) fn accompanied<'a>(
    plan: &'a Plan,
    trainables: &'a Vec<Trainable>,
) -> AdapterCheckpoint<'a> {
    AdapterCheckpoint { trainables, training_hook: plan.attached.adapter.training_hook() }
}

/// A plan as graft-train wants it.
pub(crate) fn job<'a>(
    plan: &'a Plan,
    header: RunHeader,
    trainables: &[Trainable],
    state: &'a AdapterCheckpoint<'a>,
) -> Job<'a> {
    Job {
        model: plan.model.loaded.model.as_ref(),
        trainables: trainables.to_vec(),
        tokenizer: plan.model.loaded.tokenizer.as_ref() as &dyn TokenEncoder,
        data: &plan.data.dataset,
        watched: plan.watched.as_ref().map(|data| &data.dataset),
        config: plan.config.clone(),
        run: plan.folder.clone(),
        header,
        state,
    }
}

/// Reads the names of the runs anew.
fn list_runs(desk: &CommandContext) {
    let names = runs::names();
    desk.change(|state| state.runs.clone_from(&names));
}

fn stopped(ended: &RunEnded, steps: u64) -> SessionError {
    let what = format!(
        "training stopped at step {} of {steps}; model, adapter and curve are kept",
        ended.step
    );
    SessionError::Interrupted { what, next: Some(format!("`%resume {}` goes on", ended.run)) }
}

/// What a checkpoint of this run needs to stand alone.
pub(crate) fn header(state: &State, plan: &Plan, settings: &Settings) -> RunHeader {
    let Plan { model, data, attached, config, folder, .. } = plan;
    let adapter = &attached.adapter;
    let counts = graft_peft::counts(model.loaded.model.as_ref(), &[adapter]);
    let ((start, start_fingerprint), provenance) = (attached.start(), attached.provenance());
    RunHeader {
        run: folder.name(),
        title: format!(
            "{} {} on {}, {}",
            adapter.spec().verb,
            adapter.summary(),
            data.dataset.name,
            model.source
        ),
        model: model.lasting_source().to_owned(),
        model_settings: model.settings.clone(),
        model_hash: model.loaded.content_hash.clone(),
        method: adapter.spec().verb.to_owned(),
        adapter: adapter.name().to_owned(),
        adapter_settings: adapter.settings().clone(),
        adapter_asked: attached.asked().clone(),
        label_names: label_map(model.loaded.model.as_ref(), &data.dataset)
            .ok()
            .and_then(|map| map.names)
            .map(|names| names.to_vec()),
        train: settings.clone(),
        default_lr: default_rate(model, adapter.spec()),
        seed: config.seed,
        session_seed: Some(state.seed),
        device: graft_nn::device::describe(&state.device),
        dtype: kept_as(model.loaded.model.as_ref()),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        started: seconds_since_1970(),
        trainable: counts.trainable,
        total: counts.all,
        trial: None,
        start: Some(start),
        start_fingerprint,
        adapter_seed: provenance.seed,
        adapter_folder: provenance.folder.clone(),
        adapter_scale: Some(adapter.scale()).filter(|scale| *scale != 1.0),
        ..RunHeader::default()
    }
    .with_data(data.record())
}

fn seconds_since_1970() -> u64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

/// The answer to `%train`: the events have shown everything.
pub fn reply(_trained: Trained) -> Reply {
    Reply::default()
}
