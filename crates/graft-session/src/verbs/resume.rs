//! `%resume`: continues a run from its last checkpoint, also in a session without its model, data
//! and adapter.

use std::sync::Arc;

use graft_protocol::Event;
use graft_spec::{
    AUTO, Failure, Settings,
    training::{MODEL, TRAIN, check_train, overlaid},
};
use graft_train::{
    Callbacks, Control, TrainConfig, TrainError,
    runs::{Progress, RunFolder, RunHeader, Start},
};

use super::{
    adapter, data,
    format::kept_as,
    labels, model, runs,
    train::{self, FinishedRun, Resolved, TrainingSetup, carry_out, resolved_for},
};
use crate::{
    CommandContext, SessionError, UserCallbacks,
    state::{AttachedAdapter, DataOrigin, LoadedData, LoadedModel},
};

/// Continues the run of that name, or the newest one. Keys of `settings` replace those of the run.
///
/// # Errors
/// [`SessionError::NoRun`], [`SessionError::UnknownRun`], [`SessionError::OtherModel`],
/// [`SessionError::ChangedData`], [`TrainError::InUse`] while another kernel trains it; those of
/// loading model and data and of [`graft_train::resume`]; [`SessionError::Interrupted`] when the
/// user stopped it.
pub fn resume(
    cx: &CommandContext,
    run: Option<&str>,
    settings: &Settings,
) -> Result<FinishedRun, Failure> {
    check_train(settings)?;
    let folder = find(run)?;
    // Training locks it again. This reports a conflict before the session changes.
    drop(folder.lock()?);
    let progress = newest(&folder)?;
    let (header, step) = (progress.header.clone(), progress.step);
    if let Some(asked) = settings
        .text(TRAIN, "data")
        .filter(|asked| settings.values.contains_key("data") && *asked != header.data)
    {
        return Err(SessionError::OtherData { run: folder.name(), data: header.data, asked }.into());
    }
    if settings.text(TRAIN, "batch").as_deref() == Some(AUTO) {
        return Err(SessionError::OtherBatch { run: folder.name() }.into());
    }
    let train = overlaid(&header.train, settings);
    // A checkpoint can come from another person, so its values are checked like those of a command.
    check_train(&train)?;
    let callbacks = same_loss(cx, &header)?;
    let data = same_data(cx, &header)?;
    // The rows of an epoch depend on the tokens of the model. It is not put into the session before
    // the run is known to have steps left.
    let has_epochs = train.float(TRAIN, "epochs").is_some();
    let opened = has_epochs.then(|| open_model(cx, &header)).transpose()?;
    let model = opened.as_ref().map(RunModel::loaded);
    let Resolved { settings: train, length, .. } =
        resolved_for(&header.method, model, &train, &data)?;
    let config = TrainConfig::from_settings(&train, header.default_lr, header.seed);
    progress.check_unfinished(&config)?;
    length.into_iter().for_each(|line| cx.note(line));
    let model = match opened {
        Some(opened) => opened.put(cx),
        None => same_model(cx, &header)?,
    };
    remember(cx, &data);
    let attached = same_adapter(cx, &header, step)?;
    labels::put(cx, &attached, header.label_names.clone());
    let setup = TrainingSetup {
        model,
        data,
        validation_data: None,
        attached,
        config,
        folder,
        callbacks,
        // The adapter may be a soft prompt, which was not attached when the rows were counted.
        encoded: None,
    };
    carry_out(cx, &setup, RunHeader { train, ..header }, graft_train::resume)
}

pub(super) fn find(run: Option<&str>) -> Result<RunFolder, Failure> {
    RunFolder::open(&runs::base(), run).map_err(|error| match (error, run) {
        (TrainError::NoRun { name, known }, Some(_)) => {
            SessionError::UnknownRun { name, known }.into()
        }
        (TrainError::NoRun { .. }, None) => SessionError::NoRun.into(),
        (other, _) => Failure::from(other),
    })
}

/// The header and the progress of a run, from its newest readable checkpoint.
pub(super) fn newest(folder: &RunFolder) -> Result<Progress, Failure> {
    let mut error = TrainError::NoCheckpoint { run: folder.name() };
    for checkpoint in folder.checkpoints().iter().rev() {
        match checkpoint.progress() {
            Ok(progress) => return Ok(progress),
            Err(problem) => error = problem,
        }
    }
    Err(error.into())
}

/// The closures of the session. The run must have been trained with the same kind of loss.
fn same_loss(
    cx: &CommandContext,
    header: &RunHeader,
) -> Result<Option<Arc<UserCallbacks>>, SessionError> {
    let has_loss = cx.state().callbacks.has_loss();
    match (header.own_loss, has_loss) {
        (true, false) => Err(SessionError::NoOwnLoss { run: header.run.clone() }),
        (false, true) => Err(SessionError::OwnLoss { run: header.run.clone() }),
        _ => Ok(train::callbacks(cx)),
    }
}

/// The model of a run.
enum RunModel {
    /// That of the session.
    Current(Arc<LoadedModel>),
    /// Loaded, and not in the session yet.
    Opened(Arc<LoadedModel>),
}

impl RunModel {
    fn loaded(&self) -> &LoadedModel {
        match self {
            Self::Current(model) => model,
            Self::Opened(model) => model,
        }
    }

    /// Makes it the model of the session.
    fn put(self, cx: &CommandContext) -> Arc<LoadedModel> {
        match self {
            Self::Current(model) => model,
            Self::Opened(model) => {
                let report = model::put(cx, model);
                cx.note(report.line());
                report.model
            }
        }
    }
}

/// Makes the model of the run that of the session: the current one if its weights are the same,
/// else the one from the source of the run.
pub(super) fn same_model(
    cx: &CommandContext,
    header: &RunHeader,
) -> Result<Arc<LoadedModel>, Failure> {
    Ok(open_model(cx, header)?.put(cx))
}

fn open_model(cx: &CommandContext, header: &RunHeader) -> Result<RunModel, Failure> {
    if let Some(current) = cx.state().model.clone().filter(|current| is_model_of(current, header)) {
        return Ok(RunModel::Current(current));
    }
    header.model_settings.check(MODEL)?;
    let found = model::open(cx, &header.model, &header.model_settings)?;
    if found.loaded.content_hash != header.model_hash {
        return Err(SessionError::OtherModel {
            run: header.run.clone(),
            model: header.model.clone(),
        }
        .into());
    }
    Ok(RunModel::Opened(found))
}

/// Whether a model has the weights that a run was trained on, in the same number type.
pub(super) fn is_model_of(model: &LoadedModel, header: &RunHeader) -> bool {
    let same_type =
        || header.dtype.is_empty() || kept_as(model.loaded.model.as_ref()) == header.dtype;
    model.loaded.content_hash == header.model_hash && same_type()
}

/// The data of the run: that of the session if it has the same origin, else read again. Changed
/// data is refused, because the remaining steps would be those of another run.
fn same_data(cx: &CommandContext, header: &RunHeader) -> Result<Arc<LoadedData>, Failure> {
    let recorded = header.data_record();
    let origin = DataOrigin::from(&recorded);
    let is_same = |found: &str| recorded.fingerprint.is_empty() || recorded.fingerprint == found;
    let known = cx.state().data.iter().find(|data| data.origin == origin).cloned();
    if let Some(known) = known.filter(|known| is_same(&known.dataset.content_fingerprint())) {
        return Ok(known);
    }
    let dataset = data::open(cx, &origin, &Control::from_flag(cx.stop_flag()))?;
    let found = dataset.content_fingerprint();
    if !is_same(&found) {
        let place = if recorded.inline.is_some() {
            "the cell's text".to_owned()
        } else {
            format!("`{}`", recorded.source)
        };
        let (run, data, expected) = (header.run.clone(), recorded.name, recorded.fingerprint);
        return Err(SessionError::ChangedData { run, data, place, expected, found }.into());
    }
    if recorded.fingerprint.is_empty() {
        cx.note("this version did not record a fingerprint of the data, so changes of the data are not detected");
    }
    Ok(Arc::new(LoadedData { dataset, origin }))
}

/// Adds the data of the run to the session.
fn remember(cx: &CommandContext, data: &Arc<LoadedData>) {
    if !cx.state().data.iter().any(|known| Arc::ptr_eq(known, data)) {
        cx.change(|state| state.remember_data(data));
        cx.note(data::line(data));
    }
}

/// The adapter of the run: that of the session if it has the same name, method, settings and seed,
/// else a new one. Its weights are restored from the checkpoint.
fn same_adapter(
    cx: &CommandContext,
    header: &RunHeader,
    step: u64,
) -> Result<Arc<AttachedAdapter>, Failure> {
    let attached = attached_adapter(cx, header, step)?;
    let is_of_the_run =
        || matches!(attached.start().0, Start::Run { run, .. } if run == header.run);
    if attached.trained_steps() > 0 && !is_of_the_run() {
        cx.note(format!(
            "replaced the weights of `{}` with those of `{}`; {}",
            attached.adapter.name(),
            header.run,
            runs::reattach_hint(&attached)
        ));
    }
    // Disables other adapters, which would otherwise be active too.
    adapter::choose(cx, &attached)?;
    let scale = header.adapter_scale.unwrap_or(1.0);
    if attached.adapter.scale() != scale {
        adapter::set_scale(cx, &attached, scale)?;
    }
    Ok(attached)
}

/// The adapter of the run, unmerged: that of the session if it is the same, else a new one.
fn attached_adapter(
    cx: &CommandContext,
    header: &RunHeader,
    step: u64,
) -> Result<Arc<AttachedAdapter>, Failure> {
    let known = cx.state().adapter(&header.adapter).ok();
    let same_seed = |attached: &AttachedAdapter| {
        let provenance = attached.provenance();
        header.start.is_none()
            || (provenance.seed, &provenance.folder)
                == (header.adapter_seed, &header.adapter_folder)
    };
    let same = |attached: &Arc<AttachedAdapter>| {
        attached.adapter.spec().verb == header.method
            && *attached.adapter.settings() == header.adapter_settings
            && same_seed(attached)
    };
    match known.filter(same) {
        Some(attached) if attached.adapter.is_merged() => {
            adapter::unmerge(cx, &attached)?;
            Ok(attached)
        }
        Some(attached) => Ok(attached),
        None => {
            let mut report = runs::attach_recorded(cx, header, step)?;
            cx.note(report.line());
            std::mem::take(&mut report.notes)
                .into_iter()
                .for_each(|(level, text)| cx.emit(Event::Note { level, text }));
            Ok(report.attached)
        }
    }
}
