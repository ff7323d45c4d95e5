//! `%model load`, `%model`, `%model save`.

mod card;
mod save;

use std::{
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::Arc,
};

use graft_protocol::{Block, Event, Level, Reply};
use graft_spec::{Failure, Settings, Value, training};

pub use card::{ModelCard, card};
pub use save::save;

use super::{
    format::{counted, kept_as, parameters, quoted, thousands},
    runs::{load_line, reattach_hint},
};
use crate::{CommandContext, SessionError, SessionState, state::LoadedModel};

/// A model that has just been loaded.
pub struct ModelReport {
    /// The model.
    pub model: Arc<LoadedModel>,
    /// A note on the model that it replaced.
    pub dropped: Option<String>,
}

/// Loads a model and makes it the current one. The previous model is dropped with its adapters once
/// the new one is complete.
///
/// # Errors
/// Those of [`graft_models::load`]; in this case nothing changes.
pub fn load(
    cx: &CommandContext,
    source: &str,
    settings: &Settings,
) -> Result<ModelReport, Failure> {
    settings.check(training::MODEL)?;
    let model = open(cx, source, settings)?;
    Ok(put(cx, model))
}

/// Loads the current model again with added tokens or another number of tokens, in addition to the
/// keys it was loaded with. Its adapters are removed, because their weights may not fit.
///
/// # Errors
/// [`SessionError::NoModel`], and those of [`load`].
pub fn resize(cx: &CommandContext, settings: &Settings) -> Result<ModelReport, Failure> {
    settings.check(training::MODEL_RESIZE)?;
    let current = cx.state().model()?;
    let mut all = current.settings.clone();
    all.values.extend(settings.values.clone());
    let list = |settings: &Settings| settings.list(training::MODEL, "added_tokens");
    if let (Some(before), Some(new)) = (list(&current.settings), list(settings)) {
        all.set("added_tokens", Value::List([before, new].concat()));
    }
    load(cx, current.absolute_source(), &all)
}

/// Makes a model the current one.
pub(crate) fn put(cx: &CommandContext, model: Arc<LoadedModel>) -> ModelReport {
    let dropped = replaced(&cx.state());
    cx.change(|state| {
        state.model = Some(model.clone());
        state.adapters.clear();
        state.in_use = None;
    });
    ModelReport { model, dropped }
}

/// Reads a model without making it the current one. The stop button interrupts it at the next
/// weight or download chunk.
pub(crate) fn open(
    cx: &CommandContext,
    source: &str,
    settings: &Settings,
) -> Result<Arc<LoadedModel>, Failure> {
    let mut progress = |label: &str, done: u64, total: u64| {
        if cx.is_stopping() {
            // Unwinding is the only way to stop a load. No panic message is printed, and everything
            // that was read is dropped.
            resume_unwind(Box::new(Stopped));
        }
        cx.emit(Event::Progress { label: label.to_owned(), done, total });
    };
    let device = cx.state().device.clone();
    match catch_unwind(AssertUnwindSafe(|| {
        graft_models::load(source, settings, &device, &mut progress)
    })) {
        Ok(loaded) => Ok(Arc::new(LoadedModel::new(loaded?, source.to_owned(), settings.clone()))),
        Err(payload) if payload.is::<Stopped>() => Err(SessionError::Interrupted {
            what: format!("stopped while loading `{source}`"),
            next: None,
        }
        .into()),
        Err(payload) => resume_unwind(payload),
    }
}

/// Payload of the unwinding when the user stops a load.
struct Stopped;

/// The dropout of the base model, which training does not apply, such as `hidden_dropout_prob=0.1`;
/// `None` without dropout.
fn unapplied_dropout(model: &LoadedModel) -> Option<String> {
    let dropout = graft_models::unapplied_dropout(&model.loaded.config_json);
    let named: Vec<_> =
        dropout.iter().map(|(key, probability)| format!("{key}={probability}")).collect();
    (!named.is_empty()).then(|| named.join(", "))
}

/// A note on the model and the adapters that a new model replaces, and how to restore trained
/// weights.
fn replaced(state: &SessionState) -> Option<String> {
    let old = state.model.as_ref()?;
    let adapters: Vec<_> =
        state.adapters.iter().map(|attached| attached.adapter.name().to_owned()).collect();
    let trained = state.adapters.iter().filter(|attached| attached.trained_steps() > 0);
    let ways: Vec<_> = trained
        .map(|attached| format!("; `{}`: {}", attached.adapter.name(), reattach_hint(attached)))
        .collect();
    let load = if ways.is_empty() {
        String::new()
    } else {
        format!(", after {}", load_line(&old.source, &old.settings))
    };
    Some(match adapters.is_empty() {
        true => format!("replaced `{}`", old.source),
        false => format!(
            "replaced `{}` and {} {}{}{load}",
            old.source,
            if adapters.len() == 1 { "its adapter" } else { "its adapters" },
            quoted(&adapters),
            ways.concat()
        ),
    })
}

/// The tokens that were added to the vocabulary; `None` if all of them were there.
fn added_tokens(model: &LoadedModel) -> Option<String> {
    let added = &model.loaded.added_tokens;
    let named: Vec<_> = added.iter().map(|(token, id)| format!("`{token}` ({id})")).collect();
    let rows = if model.loaded.is_resized {
        "their embeddings start as the mean of the others"
    } else {
        "the model had unused embeddings for them"
    };
    (!named.is_empty()).then(|| {
        let ids: Vec<_> = added.iter().map(|(_, id)| id.to_string()).collect();
        format!(
            "added {}: {}; {rows}, and are trained with `trainable_token_indices={}` of `%lora \
             attach`",
            counted(added.len(), "token"),
            named.join(", "),
            ids.join(",")
        )
    })
}

impl ModelReport {
    /// `` loaded `tiny` (llama, 3,688,704 parameters, ...); 38 of 38 tensors loaded ``.
    pub fn line(&self) -> String {
        let model = self.model.loaded.model.as_ref();
        let shape = model.shape();
        format!(
            "loaded `{}` ({}, {} parameters, {}, hidden size {}, vocabulary {}, {}); {} of {} tensors \
             loaded",
            self.model.source,
            shape.family,
            thousands(parameters(model)),
            counted(shape.layers, "layer"),
            shape.hidden,
            thousands(shape.vocab as u64),
            kept_as(model),
            self.model.loaded.keys.0,
            self.model.loaded.keys.1
        )
    }

    /// The reply to `%model load`.
    pub fn reply(self) -> Reply {
        let mut blocks = vec![Block::Text(self.line())];
        blocks.extend(
            self.model
                .loaded
                .warnings
                .iter()
                .map(|warning| Block::Note(Level::Warning, warning.clone())),
        );
        blocks.extend(added_tokens(&self.model).map(|note| Block::Note(Level::Info, note)));
        blocks.extend(unapplied_dropout(&self.model).map(|dropout| {
            let note = format!(
                "training does not apply the dropout of the base model ({dropout}), unlike the \
                     Trainer of Hugging Face; it applies the dropout of adapters"
            );
            Block::Note(Level::Info, note)
        }));
        blocks.extend(self.dropped.map(|dropped| Block::Note(Level::Info, dropped)));
        Reply { blocks }
    }
}
