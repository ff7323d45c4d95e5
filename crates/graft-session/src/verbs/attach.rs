//! `%lora attach` and the like.

use std::sync::Arc;

use graft_peft::{Adapter, AttachContext, Inputs, Originals};
use graft_protocol::{Block, Level, Reply};
use graft_spec::{
    Failure, Settings,
    methods::{self, MethodSpec},
};

use graft_train::runs::Start;

use super::{
    runs::way_back,
    sources::{DataInputs, Files},
};
use crate::{
    CommandContext, SessionError, State,
    provenance::Origin,
    state::{Attached, LoadedData, LoadedModel},
};

/// An adapter that has just been attached or loaded.
pub struct AttachReport {
    /// The adapter.
    pub attached: Arc<Attached>,
    /// HF PEFT's line: trainable parameters, all, percent.
    pub counts: String,
    /// What it took the place of, and warnings of a reader.
    pub notes: Vec<(Level, String)>,
}

/// The method of a verb.
///
/// # Errors
/// [`SessionError::UnknownMethod`].
pub fn method(verb: &str) -> Result<&'static MethodSpec, SessionError> {
    methods::by_verb(verb).ok_or_else(|| SessionError::UnknownMethod { verb: verb.to_owned() })
}

/// Attaches a new adapter and takes it in use. One of the same name is replaced; another one that acted stays attached and is silent.
///
/// # Errors
/// [`SessionError::NoModel`], [`SessionError::UnknownMethod`], and those of [`graft_peft::attach`]; then nothing has changed.
pub fn attach(
    desk: &CommandContext,
    verb: &str,
    settings: &Settings,
) -> Result<AttachReport, Failure> {
    attach_for(desk, verb, settings, None)
}

/// [`attach`] for a training on the data of that name; none means those loaded last.
///
/// # Errors
/// As [`attach`].
pub(crate) fn attach_for(
    desk: &CommandContext,
    verb: &str,
    settings: &Settings,
    data: Option<&str>,
) -> Result<AttachReport, Failure> {
    let spec = method(verb)?;
    settings.check(spec.keys)?;
    let state = desk.state();
    let model = state.model()?;
    let name = settings.text(spec.keys, "adapter_name").unwrap_or_default();
    let data = state.data(data).ok();
    let origin = fresh(spec, settings, data.as_deref(), state.seed);
    let make = || {
        Ok((
            build(desk, &state, (&model, data.as_deref()), (spec, settings), state.seed)?,
            Vec::new(),
        ))
    };
    let mut report = install(desk, &state, &model, &name, origin, make)?;
    report.attached.remember_asked(settings);
    let notes = report.attached.adapter.notes().to_vec();
    report.notes.splice(0..0, notes.into_iter().map(|note| (Level::Info, note)));
    Ok(report)
}

/// The origin of a fresh adapter; some starts are computed from data.
pub(crate) fn fresh(
    spec: &MethodSpec,
    settings: &Settings,
    data: Option<&LoadedData>,
    seed: u64,
) -> Origin {
    let looks_at_data = settings.text(spec.keys, "init_lora_weights").as_deref() == Some("eva");
    let data = data.filter(|_| looks_at_data).map(|data| Box::new(data.record()));
    Origin { start: Start::Fresh { seed, data }, ..Origin::fresh(seed) }
}

/// Builds an adapter and puts it into the model, with whatever its start looks at.
///
/// # Errors
/// Those of [`graft_peft::attach`], and of reading data or the model's files.
pub(crate) fn build(
    desk: &CommandContext,
    state: &State,
    (model, data): (&LoadedModel, Option<&LoadedData>),
    (spec, settings): (&MethodSpec, &Settings),
    seed: u64,
) -> Result<Adapter, Failure> {
    let start = settings.text(spec.keys, "init_lora_weights").unwrap_or_default();
    let data = data.filter(|_| start == "eva");
    let inputs = data
        .map(|data| DataInputs::new(desk, state, model, data, model.loaded.tokenizer.as_ref()))
        .transpose()?;
    let files = (start == "loftq").then(|| Files::of(model)).transpose()?;
    let bench = AttachContext {
        seed,
        inputs: inputs.as_ref().map(|inputs| inputs as &dyn Inputs),
        originals: files.as_ref().map(|files| files as &dyn Originals),
        ..workbench(state, model)
    };
    Ok(graft_peft::attach(&bench, spec.verb, settings)?)
}

/// What graft-peft needs to build or read an adapter.
pub(crate) fn workbench<'a>(state: &State, model: &'a LoadedModel) -> AttachContext<'a> {
    let bench = AttachContext::new(model.loaded.model.as_ref(), &model.source, state.seed);
    AttachContext { tokenizer: Some(model.loaded.tokenizer.as_ref()), ..bench }
}

/// Makes an adapter with `build` and puts it into the session in place of one of the same name.
pub(crate) fn install(
    desk: &CommandContext,
    state: &State,
    model: &LoadedModel,
    name: &str,
    origin: Origin,
    build: impl FnOnce() -> Result<(Adapter, Vec<String>), Failure>,
) -> Result<AttachReport, Failure> {
    let base = model.loaded.model.as_ref();
    let old = state.adapter(name).ok();
    let was_merged = old.as_ref().filter(|old| old.adapter.is_merged());
    if let Some(old) = was_merged {
        old.adapter.unmerge(base)?;
    }
    let (adapter, warnings) = build().inspect_err(|_| {
        if let Some(old) = was_merged {
            drop(old.adapter.merge(base));
        }
    })?;
    let attached = Arc::new(Attached::new(adapter, origin));
    desk.change(|state| state.remember_adapter(&attached));
    let mut notes: Vec<_> = warnings.into_iter().map(|warning| (Level::Warning, warning)).collect();
    notes.extend(old.map(|old| {
        (Level::Info, format!("it takes the place of {}{}", old.describe(), trained(&old)))
    }));
    notes.extend(merged_others(state, name).map(|note| (Level::Warning, note)));
    let counts = graft_peft::counts(base, &[&attached.adapter]).line();
    Ok(AttachReport { attached, counts, notes })
}

fn trained(old: &Attached) -> String {
    match old.trained_steps() {
        0 => String::new(),
        steps => format!(", trained {steps} steps; {}", way_back(old)),
    }
}

fn merged_others(state: &State, name: &str) -> Option<String> {
    let merged: Vec<_> = state
        .adapters
        .iter()
        .map(|attached| &attached.adapter)
        .filter(|other| other.is_merged() && other.name() != name)
        .collect();
    let names = merged.iter().map(|other| other.name().to_owned()).collect::<Vec<_>>();
    (!names.is_empty())
        .then(|| format!("{} stays merged into the base below it", super::words::quoted(&names)))
}

/// The adapter that acts: what `%train`, `%eval` and `%compare` are about.
///
/// # Errors
/// [`SessionError::NoAdapter`] when nothing is attached or all are switched off.
pub(crate) fn adapter_wanted(state: &State) -> Result<Arc<Attached>, SessionError> {
    state.acting().ok_or_else(|| match state.adapters.last() {
        None => SessionError::NoAdapter { method: "lora" },
        Some(last) => {
            let silent = state.adapter_in_use().unwrap_or_else(|| last.clone());
            SessionError::Silent {
                name: silent.adapter.name().to_owned(),
                method: silent.adapter.spec().verb,
            }
        }
    })
}

impl AttachReport {
    /// `attached default: lora r=8 ...`.
    pub fn line(&self) -> String {
        let adapter = &self.attached.adapter;
        format!(
            "`{}` is attached and in use: {} {}",
            adapter.name(),
            adapter.spec().verb,
            adapter.summary()
        )
    }

    /// The answer to `attach` and `load`.
    pub fn reply(self) -> Reply {
        let mut blocks = vec![Block::Text(self.line()), Block::Text(self.counts)];
        blocks.extend(self.notes.into_iter().map(|(level, note)| Block::Note(level, note)));
        Reply { blocks }
    }
}
