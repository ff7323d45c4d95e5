//! `%resume`: a run goes on from its last checkpoint, also in a session that has never seen its model, data or adapter.

use std::sync::Arc;

use graft_protocol::{AUTO, Failure, Settings, Value, training::TRAIN};
use graft_train::{
    TrainConfig, TrainError,
    runs::{Progress, RunFolder, RunHeader},
};

use super::{
    adapter, attach, data, labels, model, runs,
    train::{Plan, Trained, carry_out},
};
use crate::{
    Desk, SessionError,
    state::{Attached, DataOrigin, LoadedData, LoadedModel},
};

/// Continues the run of that name, or the last one; keys given replace those of the run.
///
/// # Errors
/// [`SessionError::NoRun`], [`SessionError::UnknownRun`], [`SessionError::OtherModel`], those of loading what is missing and of
/// [`graft_train::resume`]; [`SessionError::Interrupted`] when the user stopped it.
pub fn resume(desk: &Desk, run: Option<&str>, settings: &Settings) -> Result<Trained, Failure> {
    settings.check(TRAIN)?;
    let folder = find(run)?;
    let Progress { header, step, .. } = newest(&folder)?;
    if let Some(asked) = settings.text(TRAIN, "data").filter(|asked| settings.values.contains_key("data") && *asked != header.data) {
        return Err(SessionError::OtherData { run: folder.name(), data: header.data, asked }.into());
    }
    if settings.text(TRAIN, "batch").as_deref() == Some(AUTO) {
        return Err(SessionError::OtherBatch { run: folder.name() }.into());
    }
    let train = overlaid(&header.train, settings);
    let config = TrainConfig::from_settings(&train, header.default_lr, header.seed);
    if step >= config.steps {
        // Said before anything is exchanged: what the session holds may be worth more than a run that is over.
        return Err(TrainError::AlreadyDone { run: folder.name(), steps: step }.into());
    }
    let model = same_model(desk, &header)?;
    let data = same_data(desk, &header)?;
    let attached = same_adapter(desk, &header)?;
    labels::put(desk, &attached, header.label_names.clone());
    let plan = Plan { model, data, watched: None, attached, config, folder };
    carry_out(desk, &plan, RunHeader { train, ..header }, graft_train::resume)
}

fn find(run: Option<&str>) -> Result<RunFolder, Failure> {
    RunFolder::open(&runs::base(), run).map_err(|error| match (error, run) {
        (TrainError::NoRun { name, known }, Some(_)) => SessionError::UnknownRun { name, known }.into(),
        (TrainError::NoRun { .. }, None) => SessionError::NoRun.into(),
        (other, _) => Failure::from(other),
    })
}

/// The head of a run and how far it is, as its newest readable checkpoint has it: a checkpoint stands alone.
fn newest(folder: &RunFolder) -> Result<Progress, Failure> {
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
fn same_model(desk: &Desk, header: &RunHeader) -> Result<Arc<LoadedModel>, Failure> {
    if let Some(current) = desk.state().model.clone().filter(|current| current.loaded.content_hash == header.model_hash) {
        return Ok(current);
    }
    let found = model::open(desk, &header.model, &header.model_settings)?;
    if found.loaded.content_hash != header.model_hash {
        return Err(SessionError::OtherModel { run: header.run.clone(), model: header.model.clone() }.into());
    }
    let report = model::put(desk, found);
    desk.note(report.line());
    Ok(report.model)
}

/// The data of the run: that of the session when it came from the same place, else read again.
fn same_data(desk: &Desk, header: &RunHeader) -> Result<Arc<LoadedData>, Failure> {
    let settings = header.data_settings.clone();
    let origin = match &header.data_inline {
        Some(text) => DataOrigin::Inline { name: header.data.clone(), text: text.clone(), settings },
        None => DataOrigin::Source { source: header.data_source.clone(), settings },
    };
    if let Some(known) = desk.state().data.iter().find(|data| data.origin == origin) {
        return Ok(known.clone());
    }
    let found = data::remember(desk, origin)?;
    desk.note(data::line(&found));
    Ok(found)
}

/// The adapter of the run: that of the session when it has the same name, method and settings, else attached anew. Its weights come
/// from the checkpoint in either case.
fn same_adapter(desk: &Desk, header: &RunHeader) -> Result<Arc<Attached>, Failure> {
    let known = desk.state().adapter(&header.adapter).ok();
    let same = |attached: &Arc<Attached>| attached.adapter.spec().verb == header.method && *attached.adapter.settings() == header.adapter_settings;
    if let Some(attached) = known.filter(same) {
        if attached.adapter.is_merged() {
            adapter::unmerge(desk, &attached)?;
        }
        adapter::choose(desk, &attached)?;
        return Ok(attached);
    }
    let settings = header.adapter_settings.clone().with("adapter_name", Value::Text(header.adapter.clone()));
    let report = attach::attach(desk, &header.method, &settings)?;
    // One that is merged into the base would act along.
    adapter::choose(desk, &report.attached)?;
    desk.note(report.line());
    Ok(report.attached)
}
