//! The base's own domain: text like that it was trained on, by which forgetting is measured.

use std::sync::Arc;

use graft_protocol::Event;
use graft_spec::{Failure, Settings, training::ABLATE};
use graft_train::evaluate;

use super::data;
use crate::{CommandContext, SessionError, State, state::LoadedData};

/// What `tiny` was pretrained on; its validation pages were kept out.
const OF_TINY: &str = "rust-docs";

/// The text and how much of it is used.
pub(crate) struct Domain {
    pub(crate) data: Arc<LoadedData>,
    pub(crate) examples: usize,
}

impl Domain {
    /// The one that `domain=` names; none without it.
    ///
    /// # Errors
    /// Those of opening it, and [`SessionError::NoDomainText`] when it has no validation part.
    pub(crate) fn named(
        desk: &CommandContext,
        state: &State,
        settings: &Settings,
    ) -> Result<Option<Self>, Failure> {
        let Some(source) = settings.text(ABLATE, "domain").filter(|source| !source.is_empty())
        else {
            return Ok(None);
        };
        let data = data::lent(desk, state, &source)?;
        if data.dataset.validation.is_empty() {
            return Err(SessionError::NoDomainText { name: data.dataset.name.clone() }.into());
        }
        let examples = settings
            .integer(ABLATE, "domain_examples")
            .map_or(60, |count| count.unsigned_abs() as usize);
        Ok(Some(Self { data, examples }))
    }

    /// The settings with a domain in them: of `tiny` what it was pretrained on.
    ///
    /// # Errors
    /// [`SessionError::NoModel`], [`SessionError::NoDomain`] for a model whose training text is not known.
    pub(crate) fn wanted(state: &State, mut settings: Settings) -> Result<Settings, Failure> {
        let model = state.model()?;
        if settings.text(ABLATE, "domain").is_none_or(|source| source.is_empty()) {
            if model.source != "tiny" {
                return Err(SessionError::NoDomain { model: model.source.clone() }.into());
            }
            settings.set("domain", graft_spec::Value::Text(OF_TINY.to_owned()));
        }
        Ok(settings)
    }

    /// Mean loss per token of the model as it is now, nats.
    ///
    /// # Errors
    /// [`SessionError::Interrupted`], and those of [`graft_train::evaluate`].
    pub(crate) fn loss(&self, desk: &CommandContext, who: &str) -> Result<f64, Failure> {
        let model = desk.state().model()?;
        let label = format!("scoring {who} on {}", self.data.dataset.name);
        let mut progress = |done: u64, total: u64| {
            desk.emit(Event::Progress { label: label.clone(), done, total })
        };
        let (model, tokenizer) = (model.loaded.model.as_ref(), model.loaded.tokenizer.as_ref());
        let control = desk.control();
        let found = evaluate(
            model,
            tokenizer,
            &self.data.dataset,
            "validation",
            self.examples,
            16,
            &control,
            &mut progress,
        );
        if desk.is_stopping() {
            return Err(SessionError::Interrupted {
                what: format!("stopped while {label}"),
                next: None,
            }
            .into());
        }
        Ok(found?.loss)
    }
}
