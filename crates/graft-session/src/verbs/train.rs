//! `%train`: trains the active adapter on the current data.

mod generated_metric;
mod header;
pub(super) mod job;
mod settings;

use std::sync::Arc;

use graft_protocol::{Event, Reply, RunEnded, RunOutcome};
use graft_spec::{
    AUTO, Failure, Settings, Value,
    number::decimals,
    training::{TRAIN, check_train},
};
use graft_train::{
    Callbacks, Control, TrainConfig, TrainError, TrainingJob, ValidationMetric, fit, largest_batch,
    preference::Objective,
    runs::{RunFolder, RunHeader, Start},
    tensors_fingerprint,
};

use super::{
    advice::Next,
    attach,
    format::{counted, thousands},
    preference::{RunReference, reference_copies},
    runs, update_summary,
};
use crate::{
    CommandContext, SessionError, SessionState, UserCallbacks, class,
    state::{AttachedAdapter, LoadedData, LoadedModel},
};

use generated_metric::GeneratedMetric;
pub(crate) use header::header;
pub(crate) use job::{TrainingSetup, checkpoint_state, default_rate, examples, job};
pub(crate) use settings::{Resolved, has_virtual_tokens, resolved, resolved_for};

/// A run that has ended.
#[derive(Clone, Debug)]
pub struct FinishedRun {
    /// The outcome.
    pub ended: RunEnded,
    /// The folder of its ledger and checkpoints.
    pub folder: RunFolder,
}

/// The function that runs a job: [`fit()`] or [`graft_train::resume`].
pub(crate) type RunJob =
    fn(TrainingJob<'_>, &Control, &mut dyn FnMut(Event)) -> Result<RunEnded, TrainError>;

/// Trains the active adapter on the current data. With `attach`, a method and its keys, an adapter
/// is attached first.
///
/// # Errors
/// [`SessionError::NoModel`], [`SessionError::NoData`], [`SessionError::NoAdapter`], the errors of
/// [`attach::attach`] and [`graft_train::fit()`]; [`SessionError::Interrupted`] when the user
/// stopped the run, which keeps everything trained so far.
pub fn train(
    cx: &CommandContext,
    attach: Option<&(String, Settings)>,
    settings: &Settings,
) -> Result<FinishedRun, Failure> {
    check_train(settings)?;
    let state = cx.state();
    let model = state.model()?;
    let data = state.data(settings.text(TRAIN, "data").as_deref())?;
    if let Some((method, keys)) = attach {
        let report = attach::attach_for(cx, method, keys, settings.text(TRAIN, "data").as_deref())?;
        cx.note(report.line());
    }
    let state = cx.state();
    let attached = attach::require_adapter(&state)?;
    check_not_merged(&state, &model, &attached)?;
    check_only_active(&state, &model, &attached)?;
    let settings = with_batch_size(cx, settings, &model, &data, &attached)?;
    let Resolved { settings, length, encoded } = resolved(Some(&model), &settings, &data)?;
    let settings = &settings;
    let config = TrainConfig::from_settings(
        settings,
        default_rate(&model, attached.adapter.spec()),
        state.seed,
    );
    check_own_loss(&state, &config)?;
    let callbacks = callbacks(cx);
    length.into_iter().for_each(|line| cx.note(line));
    settings::warn(cx, settings, &config);
    let folder = new_folder(cx, attached.adapter.spec().verb)?;
    unused_keys(settings, &config).into_iter().for_each(|text| cx.warn(text));
    let setup = TrainingSetup {
        model,
        data,
        validation_data: None,
        attached,
        config,
        folder,
        callbacks,
        encoded,
    };
    let header = header(&state, &setup, settings);
    carry_out(cx, &setup, header, fit)
}

/// The keys of a run that have an effect.
fn effective(settings: &Settings, config: &TrainConfig) -> Settings {
    let mut effective = settings.clone();
    let mut unused = unused_by_loss(config).0;
    if !config.decay.has_warmup() {
        unused.extend(["warmup", "warmup_ratio"]);
    }
    effective.values.retain(|name, _| !unused.contains(&name.as_str()));
    effective
}

/// Warnings about given keys that the loss of the run does not read.
pub(crate) fn unused_keys(settings: &Settings, config: &TrainConfig) -> Vec<String> {
    let of_answers: &[&str] = match generated_metric::OF_LOSS.contains(&config.best.as_str()) {
        true => &["max_new_tokens", "stop"],
        false => &[],
    };
    let (keys, with) = unused_by_loss(config);
    let keys = keys.iter().map(|key| (*key, with.as_str()));
    let keys = keys.chain(of_answers.iter().map(|key| (*key, "without best=METRIC")));
    let given = keys.filter(|(key, _)| settings.values.contains_key(*key));
    given.map(|(key, with)| format!("`{key}` has no effect {with}")).collect()
}

/// Keys that the loss of a run does not read, and the reason.
fn unused_by_loss(config: &TrainConfig) -> (Vec<&'static str>, String) {
    match config.preference {
        None => (vec!["beta", "reference"], "without loss=".to_owned()),
        Some(Objective { loss, .. }) => {
            let mut unused = vec!["packing", "stride", "loss_on", "label_smoothing"];
            unused.extend((!loss.has_reference()).then_some("reference"));
            (unused, format!("with loss={}", loss.name()))
        }
    }
}

/// Refuses a closure that computes the loss together with a preference loss.
fn check_own_loss(state: &SessionState, config: &TrainConfig) -> Result<(), SessionError> {
    match config.preference.filter(|_| state.callbacks.has_loss()) {
        Some(Objective { loss, .. }) => Err(SessionError::TwoLosses { loss: loss.name() }),
        None => Ok(()),
    }
}

/// The closures of Rust cells, with a note if there are any.
pub(super) fn callbacks(cx: &CommandContext) -> Option<Arc<UserCallbacks>> {
    let callbacks = Some(cx.state().callbacks.clone()).filter(|callbacks| !callbacks.is_empty())?;
    callbacks.note().into_iter().for_each(|note| cx.note(note));
    Some(callbacks)
}

/// Refuses an adapter that is merged into the weights, and one on top of a merged adapter.
fn check_not_merged(
    state: &SessionState,
    model: &LoadedModel,
    attached: &AttachedAdapter,
) -> Result<(), SessionError> {
    let name_and_method = |attached: &AttachedAdapter| {
        (attached.adapter.name().to_owned(), attached.adapter.spec().verb)
    };
    if attached.adapter.is_merged() {
        let (name, method) = name_and_method(attached);
        return Err(SessionError::Merged { name, method });
    }
    let is_merged_below = |other: &&Arc<AttachedAdapter>| {
        other.adapter.is_merged() && other.adapter.is_active(model.loaded.model.as_ref())
    };
    state.adapters.iter().find(is_merged_below).map_or(Ok(()), |below| {
        let (name, method) = name_and_method(below);
        Err(SessionError::MergedBelow { name, method })
    })
}

/// Refuses to train an adapter while another one is active. Such a run could not be repeated: its
/// ledger records one adapter.
fn check_only_active(
    state: &SessionState,
    model: &LoadedModel,
    attached: &Arc<AttachedAdapter>,
) -> Result<(), SessionError> {
    let is_active = |other: &&Arc<AttachedAdapter>| {
        !Arc::ptr_eq(other, attached) && other.adapter.is_active(model.loaded.model.as_ref())
    };
    state.adapters.iter().find(is_active).map_or(Ok(()), |other| {
        let name = |attached: &AttachedAdapter| attached.adapter.name().to_owned();
        Err(SessionError::OtherActive {
            name: name(attached),
            other: name(other),
            method: attached.adapter.spec().verb,
        })
    })
}

/// Creates the folder of a new run. Warns if the folder is temporary.
pub(crate) fn new_folder(cx: &CommandContext, name: &str) -> Result<RunFolder, Failure> {
    let base = runs::base();
    if graft_train::runs::is_temporary(&base) {
        cx.warn(runs::TEMPORARY);
    }
    Ok(RunFolder::create(&base, name)?)
}

/// The settings with a number instead of `batch=auto`: a resumed run keeps its batch size.
fn with_batch_size(
    cx: &CommandContext,
    settings: &Settings,
    model: &LoadedModel,
    data: &LoadedData,
    attached: &AttachedAdapter,
) -> Result<Settings, Failure> {
    if settings.text(TRAIN, "batch").as_deref() != Some(AUTO) {
        return Ok(settings.clone());
    }
    let base = model.loaded.model.as_ref();
    let tokenizer = model.loaded.tokenizer.as_ref();
    let config =
        TrainConfig::from_settings(settings, default_rate(model, attached.adapter.spec()), 0);
    let copies = reference_copies(config.preference, settings, attached);
    let trainables = attached.adapter.trainables();
    let found = largest_batch(base, &trainables, tokenizer, (&data.dataset, &config), copies)?;
    let [needed, available] =
        [found.needed, found.available].map(|bytes| thousands(bytes.div_ceil(1_000_000)));
    cx.note(format!(
        "batch=auto: {} of at most {} tokens, {needed} MB of {available} MB free",
        counted(found.rows, "example"),
        found.tokens
    ));
    Ok(settings.clone().with("batch", Value::Integer(found.rows as i64)))
}

/// Runs a setup with `run_job` and updates the session afterwards, whatever the outcome.
pub(crate) fn carry_out(
    cx: &CommandContext,
    setup: &TrainingSetup,
    header: RunHeader,
    run_job: RunJob,
) -> Result<FinishedRun, Failure> {
    let mut steps = 0;
    let label_names = header.label_names.clone().map(Arc::new);
    let mut emit = |event: Event| {
        steps += u64::from(matches!(event, Event::Step(_)));
        let is_start = matches!(event, Event::RunStarted(_));
        cx.emit(event);
        if is_start {
            setup.attached.set_label_names(label_names.clone());
            // If this process is killed, the host can offer to resume the run.
            list_runs(cx);
        }
    };
    let train = header.train.clone();
    let result = execute(cx, setup, header, run_job, &mut emit);
    setup.attached.add_steps(steps);
    record_weights_origin(setup, &result);
    list_runs(cx);
    class::after_run(cx, &setup.folder);
    let ended = result.map_err(|failure| with_smaller_rate(failure, setup, &train))?;
    match ended.outcome {
        RunOutcome::Interrupted => Err(stopped(&ended, setup.config.steps).into()),
        _ => {
            if setup.config.load_best {
                load_best(cx, setup)?;
            }
            update_summary::report(cx, setup, &effective(&train, &setup.config));
            Ok(FinishedRun { ended, folder: setup.folder.clone() })
        }
    }
}

/// Replaces the weights of the last step by the best ones.
fn load_best(cx: &CommandContext, setup: &TrainingSetup) -> Result<(), Failure> {
    let trainables = setup.attached.adapter.trainables();
    let checkpoint = checkpoint_state(setup, &trainables);
    let Some(best) = setup.folder.restore_best(&checkpoint)? else { return Ok(()) };
    setup.attached.set_start(Start::Run { run: setup.folder.name(), step: best.step });
    let loss = best.validation_loss.unwrap_or(f64::NAN);
    let metric = &setup.config.best;
    let value = match best.best_value.filter(|_| metric != "loss") {
        Some(value) => format!(", {metric} {}", decimals(value.value(), 3)),
        None => String::new(),
    };
    cx.note(format!(
        "attached the best weights: step {}, validation loss {}{value}; `%runs use {} step=last` \
         attaches the last ones",
        best.step,
        decimals(loss, 3),
        setup.folder.name()
    ));
    Ok(())
}

/// Adds a hint with a smaller learning rate to a failure caused by NaN or infinity.
fn with_smaller_rate(failure: Failure, setup: &TrainingSetup, train: &Settings) -> Failure {
    if failure.code != "train::not_finite" {
        return failure;
    }
    let hint = format!(
        "{}, or add a longer warmup or max_grad_norm=1",
        Next::after(setup, &effective(train, &setup.config)).smaller()
    );
    failure.hint(hint)
}

/// Records the origin of the adapter's weights after a run, whatever its outcome.
fn record_weights_origin(setup: &TrainingSetup, result: &Result<RunEnded, Failure>) {
    let attached = &setup.attached;
    let run = setup.folder.name();
    if let Ok(ended) = result {
        return attached.set_start(Start::Run { run, step: ended.step });
    }
    let (before, fingerprint) = attached.start();
    if attached.provenance().is_known(&fingerprint) {
        return;
    }
    // A failed run usually has a checkpoint of its last step, except after NaN or infinity.
    attached.set_start(match step_with_weights(setup, &fingerprint) {
        Some(0) => before,
        Some(step) => Start::Run { run, step },
        None => Start::Other {
            what: format!("weights of `{run}`, which failed between two checkpoints"),
        },
    });
}

/// The step of the newest checkpoint whose weights have this fingerprint.
fn step_with_weights(setup: &TrainingSetup, fingerprint: &str) -> Option<u64> {
    let names: std::collections::BTreeSet<String> =
        setup.attached.adapter.trainables().into_iter().map(|trainable| trainable.name).collect();
    setup.folder.checkpoints().into_iter().rev().find_map(|checkpoint| {
        let tensors = checkpoint.adapter().ok()?;
        let weights = tensors
            .iter()
            .filter(|(name, _)| names.contains(*name))
            .map(|(name, tensor)| (name.as_str(), tensor.clone()));
        let is_same = tensors_fingerprint(weights).ok()? == fingerprint;
        is_same.then(|| checkpoint.progress().ok()).flatten().map(|progress| progress.step)
    })
}

/// Runs a setup with `run_job`; the caller updates the session.
fn execute(
    cx: &CommandContext,
    setup: &TrainingSetup,
    header: RunHeader,
    run_job: RunJob,
    emit: &mut dyn FnMut(Event),
) -> Result<RunEnded, Failure> {
    let trainables = setup.attached.adapter.trainables();
    let checkpoint = checkpoint_state(setup, &trainables);
    let reference = RunReference::of(setup, &header, &checkpoint)?;
    let examples = match examples(setup, &trainables, reference.model(), emit) {
        Ok(examples) => examples,
        Err(error) => {
            setup.folder.discard_if_unused();
            return Err(error.into());
        }
    };
    let metric =
        GeneratedMetric::of(cx, setup).inspect_err(|_| setup.folder.discard_if_unused())?;
    let metrics = metric.iter().map(|metric| metric as &dyn ValidationMetric).collect();
    let job = TrainingJob { metrics, ..job(setup, header, &trainables, &checkpoint, &examples) };
    Ok(run_job(job, &cx.control(), emit)?)
}

/// Updates the session's list of runs.
fn list_runs(cx: &CommandContext) {
    let names = runs::names();
    cx.change(|state| state.runs.clone_from(&names));
}

fn stopped(ended: &RunEnded, steps: u64) -> SessionError {
    let what = format!(
        "training stopped at step {} of {steps}; the model, the adapter and the curve are kept",
        ended.step
    );
    SessionError::Interrupted {
        what,
        next: Some(format!("`%resume {}` continues the run", ended.run)),
    }
}

/// The reply to `%train` is empty: the run's events have shown everything.
pub fn reply(_finished: FinishedRun) -> Reply {
    Reply::default()
}
