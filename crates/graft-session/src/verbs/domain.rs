//! The base model's own domain: text like its training data, on which forgetting is measured.

use std::sync::Arc;

use graft_protocol::Event;
use graft_spec::{Failure, Settings, Value, training::ABLATE};
use graft_train::{EncodeOptions, Request, data::SplitName, evaluate};

use super::data;
use crate::{CommandContext, SessionError, SessionState, state::LoadedData};

/// The pretraining data of `tiny`. Its validation pages were held out.
const DOMAIN_OF_TINY: &str = "rust-docs";
/// Examples in one forward pass.
const BATCH: usize = 16;

/// The text and the number of examples to measure on.
pub(crate) struct Domain {
    pub(crate) data: Arc<LoadedData>,
    pub(crate) examples: usize,
}

impl Domain {
    /// The domain that the key `domain` names; `None` without it.
    ///
    /// # Errors
    /// Those of opening it; [`SessionError::NoDomainText`] when it has no validation split.
    pub(crate) fn named(
        cx: &CommandContext,
        state: &SessionState,
        settings: &Settings,
    ) -> Result<Option<Self>, Failure> {
        let Some(source) = settings.text(ABLATE, "domain").filter(|source| !source.is_empty())
        else {
            return Ok(None);
        };
        let data = data::borrow_or_open(cx, state, &source)?;
        if data.dataset.validation.is_empty() {
            return Err(SessionError::NoDomainText { name: data.dataset.name.clone() }.into());
        }
        let examples = settings
            .integer(ABLATE, "domain_examples")
            .map_or(60, |count| count.unsigned_abs() as usize);
        Ok(Some(Self { data, examples }))
    }

    /// Adds the default domain to the settings: for `tiny`, its pretraining data.
    ///
    /// # Errors
    /// [`SessionError::NoModel`]; [`SessionError::NoDomain`] for a model whose training data is
    /// unknown.
    pub(crate) fn with_default(
        state: &SessionState,
        mut settings: Settings,
    ) -> Result<Settings, Failure> {
        let model = state.model()?;
        if settings.text(ABLATE, "domain").is_none_or(|source| source.is_empty()) {
            if model.source != "tiny" {
                return Err(SessionError::NoDomain { model: model.source.clone() }.into());
            }
            settings.set("domain", Value::Text(DOMAIN_OF_TINY.to_owned()));
        }
        Ok(settings)
    }

    /// Mean loss per token of the model as it is now, in nats.
    ///
    /// # Errors
    /// [`SessionError::Interrupted`], and those of [`graft_train::evaluate`].
    pub(crate) fn loss(&self, cx: &CommandContext, who: &str) -> Result<f64, Failure> {
        let model = cx.state().model()?;
        let label = format!("scoring {who} on {}", self.data.dataset.name);
        let mut progress =
            |done: u64, total: u64| cx.emit(Event::Progress { label: label.clone(), done, total });
        let found = evaluate(
            model.loaded.model.as_ref(),
            model.loaded.tokenizer.as_ref(),
            &self.data.dataset,
            Request {
                split: SplitName::Validation,
                examples: self.examples,
                batch: BATCH,
                encoding: EncodeOptions::default(),
            },
            &cx.control(),
            &mut progress,
        );
        cx.check_interrupted(&format!("stopped while {label}"))?;
        Ok(found?.loss)
    }
}
