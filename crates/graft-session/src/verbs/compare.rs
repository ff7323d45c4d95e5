//! `%compare`: the base and the adapter, the same prompt, the same seed.

use graft_models::Generated;
use graft_protocol::{Block, Reply, reply::SideText};
use graft_spec::{Failure, Settings, number::decimals};

use super::{attach::adapter_wanted, bare::Bare, generate::quietly, words::counted};
use crate::CommandContext;

/// Two texts after one prompt.
pub struct Comparison {
    /// What the untuned base wrote.
    pub base: Generated,
    /// What the model with the adapter wrote.
    pub tuned: Generated,
    /// Name of the adapter.
    pub adapter: String,
    /// Verb of its method.
    pub method: String,
}

/// Continues a prompt twice: adapters off, adapters on.
///
/// # Errors
/// [`crate::SessionError::NoModel`], [`crate::SessionError::NoAdapter`], [`crate::SessionError::Interrupted`], and those of the model.
pub fn compare(
    desk: &CommandContext,
    prompt: &str,
    settings: &Settings,
) -> Result<Comparison, Failure> {
    let state = desk.state();
    state.model()?;
    let attached = adapter_wanted(&state)?;
    let base = {
        let _bare = Bare::new(&state)?;
        quietly(desk, prompt, settings)?
    };
    let tuned = quietly(desk, prompt, settings)?;
    Ok(Comparison {
        base,
        tuned,
        adapter: attached.adapter.name().to_owned(),
        method: attached.adapter.spec().verb.to_owned(),
    })
}

impl Comparison {
    /// The texts, left to right.
    pub fn columns(&self) -> Vec<SideText> {
        vec![
            side("base", &self.base),
            side(&format!("{} ({})", self.adapter, self.method), &self.tuned),
        ]
    }

    /// The answer to `%compare`.
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
