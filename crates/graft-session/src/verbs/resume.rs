//! `%resume`: a run goes on from its last checkpoint, also in a session that has never seen its model, data or adapter.

use std::sync::Arc;

use graft_protocol::Event;
use graft_spec::{
    AUTO, Failure, Settings,
    training::{MODEL, TRAIN},
};
use graft_train::{
    Control, TrainConfig, TrainError,
    runs::{Progress, RunFolder, RunHeader, Start},
};

use super::{
    adapter, data, labels, model, runs,
    train::{FinishedRun, TrainingSetup, carry_out},
    words::kept_as,
};
use crate::{
    CommandContext, SessionError,
    state::{Attached, DataOrigin, LoadedData, LoadedModel},
};

/// Continues the run of that name, or the last one; keys given replace those of the run.
///
/// # Errors
/// [`SessionError::NoRun`], [`SessionError::UnknownRun`], [`SessionError::OtherModel`], [`SessionError::ChangedData`],
/// [`TrainError::InUse`] while somebody trains it, those of loading what is missing and of
/// [`graft_train::resume`]; [`SessionError::Interrupted`] when the user stopped it.
pub fn resume(
    desk: &CommandContext,
    run: Option<&str>,
    settings: &Settings,
) -> Result<FinishedRun, Failure> {
    settings.check(TRAIN)?;
    let folder = find(run)?;
    // The training locks it; here it is said before anything is exchanged.
    drop(folder.lock()?);
    let Progress { header, step, .. } = newest(&folder)?;
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
    // A checkpoint may be somebody else's: its numbers are within the ranges that a line could give.
    train.check(TRAIN)?;
    let config = TrainConfig::from_settings(&train, header.default_lr, header.seed);
    if step >= config.steps {
        // Said before anything is exchanged: what the session holds may be worth more than a run that is over.
        return Err(TrainError::AlreadyDone { run: folder.name(), steps: step }.into());
    }
    let data = same_data(desk, &header)?;
    let model = same_model(desk, &header)?;
    remember(desk, &data);
    let attached = same_adapter(desk, &header, step)?;
    labels::put(desk, &attached, header.label_names.clone());
    let plan = TrainingSetup { model, data, validation_data: None, attached, config, folder };
    carry_out(desk, &plan, RunHeader { train, ..header }, graft_train::resume)
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

/// The head of a run and how far it is, as its newest readable checkpoint has it: a checkpoint stands alone.
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

fn overlaid(old: &Settings, new: &Settings) -> Settings {
    let mut both = old.clone();
    both.values.extend(new.values.clone());
    both
}

/// The model of the run: the current one when its weights are the same, else loaded from where the run had it.
pub(super) fn same_model(
    desk: &CommandContext,
    header: &RunHeader,
) -> Result<Arc<LoadedModel>, Failure> {
    if let Some(current) = desk.state().model.clone().filter(|current| is_model_of(current, header))
    {
        return Ok(current);
    }
    header.model_settings.check(MODEL)?;
    let found = model::open(desk, &header.model, &header.model_settings)?;
    if found.loaded.content_hash != header.model_hash {
        return Err(SessionError::OtherModel {
            run: header.run.clone(),
            model: header.model.clone(),
        }
        .into());
    }
    let report = model::put(desk, found);
    desk.note(report.line());
    Ok(report.model)
}

/// Whether a model has the weights that a run was made on, in the same number type.
pub(super) fn is_model_of(model: &LoadedModel, header: &RunHeader) -> bool {
    let same_type =
        || header.dtype.is_empty() || kept_as(model.loaded.model.as_ref()) == header.dtype;
    model.loaded.content_hash == header.model_hash && same_type()
}

/// The data of the run: that of the session when it came from the same place, else read again. Changed data are refused: the steps that are left
/// would be those of another training.
fn same_data(desk: &CommandContext, header: &RunHeader) -> Result<Arc<LoadedData>, Failure> {
    let recorded = header.data_record();
    let origin = DataOrigin::from(&recorded);
    let is_same = |found: &str| recorded.fingerprint.is_empty() || recorded.fingerprint == found;
    let known = desk.state().data.iter().find(|data| data.origin == origin).cloned();
    if let Some(known) = known.filter(|known| is_same(&known.dataset.content_fingerprint())) {
        return Ok(known);
    }
    let dataset = data::open(&origin, &Control::from_flag(desk.stop_flag()))?;
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
        desk.note("the run is of a version that recorded no fingerprint of its data: whether they have changed since is not known");
    }
    Ok(Arc::new(LoadedData { dataset, origin }))
}

/// Makes the data of the run a set of the session, if they are not yet.
fn remember(desk: &CommandContext, data: &Arc<LoadedData>) {
    if !desk.state().data.iter().any(|known| Arc::ptr_eq(known, data)) {
        desk.change(|state| state.remember_data(data));
        desk.note(data::line(data));
    }
}

/// The adapter of the run: that of the session when it has the same name, method, settings and seed, else attached anew. Its weights come
/// from the checkpoint in either case.
fn same_adapter(
    desk: &CommandContext,
    header: &RunHeader,
    step: u64,
) -> Result<Arc<Attached>, Failure> {
    let known = desk.state().adapter(&header.adapter).ok();
    let same_seed = |attached: &Attached| {
        let provenance = attached.provenance();
        header.start.is_none()
            || (provenance.seed, &provenance.folder)
                == (header.adapter_seed, &header.adapter_folder)
    };
    let same = |attached: &Arc<Attached>| {
        attached.adapter.spec().verb == header.method
            && *attached.adapter.settings() == header.adapter_settings
            && same_seed(attached)
    };
    let attached = match known.filter(same) {
        Some(attached) if attached.adapter.is_merged() => {
            adapter::unmerge(desk, &attached)?;
            attached
        }
        Some(attached) => attached,
        None => {
            let mut report = runs::attach_as_in(desk, header, step)?;
            desk.note(report.line());
            std::mem::take(&mut report.notes)
                .into_iter()
                .for_each(|(level, text)| desk.emit(Event::Note { level, text }));
            report.attached
        }
    };
    let is_of_the_run =
        || matches!(attached.start().0, Start::Run { run, .. } if run == header.run);
    if attached.trained_steps() > 0 && !is_of_the_run() {
        desk.note(format!(
            "the weights of `{}` are replaced with those of `{}`; {}",
            attached.adapter.name(),
            header.run,
            runs::way_back(&attached)
        ));
    }
    // One that is merged into the base would act along.
    adapter::choose(desk, &attached)?;
    let scale = header.adapter_scale.unwrap_or(1.0);
    if attached.adapter.scale() != scale {
        adapter::set_scale(desk, &attached, scale)?;
    }
    Ok(attached)
}
