//! `%compare`: the base and the adapter continue the same prompt with the same seed.

use graft_models::Generated;
use graft_protocol::{Block, Reply, SideText};
use graft_spec::{Failure, Settings, number::decimals, training::GENERATE};

use super::{
    adapters_disabled::AdaptersDisabled, attach::require_adapter, format::counted,
    generate::quietly,
};
use crate::CommandContext;

/// Two continuations of a prompt.
pub struct PromptComparison {
    /// The continuation of the untuned base.
    pub base: Generated,
    /// The continuation of the model with the adapter.
    pub tuned: Generated,
    /// Name of the adapter.
    pub adapter: String,
    /// Verb of its method.
    pub method: String,
}

/// Continues a prompt twice: without and with the adapters.
///
/// # Errors
/// [`crate::SessionError::NoModel`], [`crate::SessionError::NoAdapter`],
/// [`crate::SessionError::Interrupted`], and those of the model.
pub fn compare(
    cx: &CommandContext,
    prompt: &str,
    settings: &Settings,
) -> Result<PromptComparison, Failure> {
    let state = cx.state();
    state.model()?;
    let attached = match settings.text(GENERATE, "adapter_name").filter(|name| !name.is_empty()) {
        Some(name) => state.adapter(&name)?,
        None => require_adapter(&state)?,
    };
    let base = {
        let _disabled = AdaptersDisabled::new(&state)?;
        let mut settings = settings.clone();
        settings.values.remove("adapter_name");
        quietly(cx, prompt, &settings)?
    };
    let tuned = quietly(cx, prompt, settings)?;
    Ok(PromptComparison {
        base,
        tuned,
        adapter: attached.adapter.name().to_owned(),
        method: attached.adapter.spec().verb.to_owned(),
    })
}

impl PromptComparison {
    /// The texts, from left to right.
    pub fn columns(&self) -> Vec<SideText> {
        vec![
            side("base", &self.base),
            side(&format!("{} ({})", self.adapter, self.method), &self.tuned),
        ]
    }

    /// The reply to `%compare`.
    pub fn reply(self) -> Reply {
        let columns = self.columns();
        Reply::one(Block::SideBySide { prompt: self.base.prompt, columns })
    }
}

fn side(title: &str, generated: &Generated) -> SideText {
    let note = format!(
        "{}, mean log-probability {}",
        counted(generated.tokens, "token"),
        decimals(generated.logprob_mean, 2)
    );
    SideText {
        title: title.to_owned(),
        text: generated.text.clone(),
        pieces: generated.pieces.clone(),
        note,
    }
}
