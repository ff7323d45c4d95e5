//! `%lora attach` and its counterparts for the other methods.

use std::sync::Arc;

use graft_peft::{Adapter, AttachContext, Inputs, Originals};
use graft_protocol::{Block, Level, Reply};
use graft_spec::{
    Failure, Settings,
    methods::{self, MethodSpec},
};
use graft_train::runs::Start;

use super::{
    format::quoted,
    init_data::{DataInputs, ModelFiles},
    runs::reattach_hint,
};
use crate::{
    CommandContext, SessionError, SessionState,
    provenance::Origin,
    state::{AttachedAdapter, LoadedData, LoadedModel},
};

/// An adapter that has just been attached or loaded.
pub struct AttachReport {
    /// The adapter.
    pub attached: Arc<AttachedAdapter>,
    /// HF PEFT's line: trainable parameters, all parameters, percentage.
    pub counts: String,
    /// The adapter that it replaced, and warnings of the reader.
    pub notes: Vec<(Level, String)>,
}

/// An adapter to build.
pub(crate) struct BuildRequest<'a> {
    pub(crate) model: &'a LoadedModel,
    /// Data for initializations that read examples.
    pub(crate) data: Option<&'a LoadedData>,
    pub(crate) spec: &'a MethodSpec,
    pub(crate) settings: &'a Settings,
    pub(crate) seed: u64,
}

/// The method of a verb.
///
/// # Errors
/// [`SessionError::UnknownMethod`].
pub fn method(verb: &str) -> Result<&'static MethodSpec, SessionError> {
    methods::by_verb(verb).ok_or_else(|| SessionError::UnknownMethod { verb: verb.to_owned() })
}

/// Attaches a new adapter and makes it the one in use. An adapter of the same name is replaced; any
/// other stays attached and becomes inactive.
///
/// # Errors
/// [`SessionError::NoModel`], [`SessionError::UnknownMethod`], and those of [`graft_peft::attach`];
/// in these cases nothing changes.
pub fn attach(
    cx: &CommandContext,
    verb: &str,
    settings: &Settings,
) -> Result<AttachReport, Failure> {
    attach_for(cx, verb, settings, None)
}

/// Attaches an adapter to be trained on the data of that name; `None` is the current data.
///
/// # Errors
/// As [`attach`].
pub(crate) fn attach_for(
    cx: &CommandContext,
    verb: &str,
    settings: &Settings,
    data: Option<&str>,
) -> Result<AttachReport, Failure> {
    let spec = method(verb)?;
    settings.check(spec.keys)?;
    let state = cx.state();
    let model = state.model()?;
    let name = settings.text(spec.keys, "adapter_name").unwrap_or_default();
    let data = state.data(data).ok();
    let origin = fresh(spec, settings, data.as_deref(), state.seed);
    let request =
        BuildRequest { model: &model, data: data.as_deref(), spec, settings, seed: state.seed };
    let mut report = install(cx, &state, &model, &name, origin, || {
        Ok((build(cx, &state, &request)?, Vec::new()))
    })?;
    report.attached.remember_requested(settings);
    let notes = report.attached.adapter.notes().to_vec();
    report.notes.splice(0..0, notes.into_iter().map(|note| (Level::Info, note)));
    Ok(report)
}

/// The origin of a fresh adapter. Some initializations are computed from data.
pub(crate) fn fresh(
    spec: &MethodSpec,
    settings: &Settings,
    data: Option<&LoadedData>,
    seed: u64,
) -> Origin {
    let reads_data = settings.text(spec.keys, "init_lora_weights").as_deref() == Some("eva");
    let data = data.filter(|_| reads_data).map(|data| Box::new(data.record()));
    Origin { start: Start::Fresh { seed, data }, ..Origin::fresh(seed) }
}

/// Builds an adapter and inserts it into the model.
///
/// # Errors
/// Those of [`graft_peft::attach`], and of reading data or the model's files.
pub(crate) fn build(
    cx: &CommandContext,
    state: &SessionState,
    request: &BuildRequest<'_>,
) -> Result<Adapter, Failure> {
    let BuildRequest { model, data, spec, settings, seed } = *request;
    let start = settings.text(spec.keys, "init_lora_weights").unwrap_or_default();
    let data = data.filter(|_| start == "eva");
    let inputs = data
        .map(|data| DataInputs::new(cx, state, model, data, model.loaded.tokenizer.as_ref()))
        .transpose()?;
    let files = (start == "loftq").then(|| ModelFiles::of(model)).transpose()?;
    let context = AttachContext {
        seed,
        inputs: inputs.as_ref().map(|inputs| inputs as &dyn Inputs),
        originals: files.as_ref().map(|files| files as &dyn Originals),
        ..attach_context(state, model)
    };
    Ok(graft_peft::attach(&context, spec.verb, settings)?)
}

/// The inputs of graft-peft for building or reading an adapter.
pub(crate) fn attach_context<'a>(
    state: &SessionState,
    model: &'a LoadedModel,
) -> AttachContext<'a> {
    let context = AttachContext::new(model.loaded.model.as_ref(), &model.source, state.seed);
    AttachContext { tokenizer: Some(model.loaded.tokenizer.as_ref()), ..context }
}

/// Creates an adapter with `build` and adds it to the session in place of one of the same name.
///
/// # Errors
/// Those of `build`; in this case nothing changes.
pub(crate) fn install(
    cx: &CommandContext,
    state: &SessionState,
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
    let attached = Arc::new(AttachedAdapter::new(adapter, origin));
    cx.change(|state| state.remember_adapter(&attached));
    let mut notes: Vec<_> = warnings.into_iter().map(|warning| (Level::Warning, warning)).collect();
    notes.extend(old.map(|old| (Level::Info, replaced(&old))));
    notes.extend(merged_others(state, name).map(|note| (Level::Warning, note)));
    let counts = graft_peft::counts(base, &[&attached.adapter]).line();
    Ok(AttachReport { attached, counts, notes })
}

/// Reports the adapter that was replaced, and how to get trained weights back.
fn replaced(old: &AttachedAdapter) -> String {
    let trained = match old.trained_steps() {
        0 => String::new(),
        steps => format!(", trained {steps} steps; {}", reattach_hint(old)),
    };
    format!("replaced {}{trained}", old.describe())
}

fn merged_others(state: &SessionState, name: &str) -> Option<String> {
    let names: Vec<_> = state
        .adapters
        .iter()
        .map(|attached| &attached.adapter)
        .filter(|other| other.is_merged() && other.name() != name)
        .map(|other| other.name().to_owned())
        .collect();
    let verb = if names.len() == 1 { "is" } else { "are" };
    (!names.is_empty()).then(|| format!("{} {verb} still merged into the base", quoted(&names)))
}

/// The active adapter, for verbs that need one: `%train`, `%eval`, `%compare`.
///
/// # Errors
/// [`SessionError::NoAdapter`] when nothing is attached, [`SessionError::NoneActive`] when all
/// are switched off.
pub(crate) fn require_adapter(state: &SessionState) -> Result<Arc<AttachedAdapter>, SessionError> {
    state.acting().ok_or_else(|| match state.adapters.last() {
        None => SessionError::NoAdapter { method: "lora" },
        Some(last) => {
            let inactive = state.adapter_in_use().unwrap_or_else(|| last.clone());
            SessionError::NoneActive {
                name: inactive.adapter.name().to_owned(),
                method: inactive.adapter.spec().verb,
            }
        }
    })
}

impl AttachReport {
    /// `` `default` is attached and in use: lora r=8 ... ``.
    pub fn line(&self) -> String {
        let adapter = &self.attached.adapter;
        format!(
            "`{}` is attached and in use: {} {}",
            adapter.name(),
            adapter.spec().verb,
            adapter.summary()
        )
    }

    /// The reply to `attach` and `load`.
    pub fn reply(self) -> Reply {
        let mut blocks = vec![Block::Text(self.line()), Block::Text(self.counts)];
        blocks.extend(self.notes.into_iter().map(|(level, note)| Block::Note(level, note)));
        Reply { blocks }
    }
}
