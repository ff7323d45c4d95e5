//! The keys of `%chat` as a builder.
// Generated from graft-spec by tests/it/builders.rs. Do not edit: change the key's `KeySpec` and
// run `GRAFT_BLESS=1 cargo test -p graft --test it builders`.

use graft_spec::Settings;

use crate::options::{integer, number, text};

/// Options of [`Lab::chat`](crate::Lab::chat): the keys of `%chat`.
///
/// An option that is not set has the default of its key.
///
/// # Examples
/// ```
/// use graft::prelude::*;
///
/// let options = Chat::new().max_new_tokens(256).temperature(0.0);
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[must_use = "a builder has no effect until it is passed to a call"]
pub struct Chat {
    settings: Settings,
}

impl Chat {
    /// Starts with the default of every key.
    pub fn new() -> Self {
        Self::default()
    }

    /// Maximum number of generated tokens.
    ///
    /// Default: `256`. From 1 to 100,000.
    pub fn max_new_tokens(self, value: usize) -> Self {
        Self { settings: self.settings.with("max_new_tokens", integer(value)) }
    }

    /// Sampling temperature; 0 is greedy, 1 samples from the distribution of the model.
    ///
    /// Default: `0`. From 0 to 100.
    pub fn temperature(self, value: f64) -> Self {
        Self { settings: self.settings.with("temperature", number(value)) }
    }

    /// Sample from the k most likely tokens; 0 means all.
    ///
    /// Default: `0`. From 0 to 10,000,000.
    pub fn top_k(self, value: usize) -> Self {
        Self { settings: self.settings.with("top_k", integer(value)) }
    }

    /// Nucleus sampling: sample from the most likely tokens whose probabilities sum to p.
    ///
    /// Default: `1`. From 0 to 1.
    pub fn top_p(self, value: f64) -> Self {
        Self { settings: self.settings.with("top_p", number(value)) }
    }

    /// Make tokens that the prompt or the text already has less likely, by this factor; 1 is off,
    /// 1.1 to 1.3 is usual.
    ///
    /// Default: `1`. From 0.01 to 100.
    pub fn repetition_penalty(self, value: f64) -> Self {
        Self { settings: self.settings.with("repetition_penalty", number(value)) }
    }

    /// Seed of the sampling; without it the seed of the session.
    ///
    /// At least 0.
    pub fn seed(self, value: u64) -> Self {
        Self { settings: self.settings.with("seed", integer(value)) }
    }

    /// Stop before this text.
    pub fn stop(self, value: &str) -> Self {
        Self { settings: self.settings.with("stop", text(value)) }
    }

    /// Generate with this adapter instead of the active one.
    pub fn adapter_name(self, value: &str) -> Self {
        Self { settings: self.settings.with("adapter_name", text(value)) }
    }

    /// Chat template: a name (chatml, llama3, gemma, mistral, zephyr, plain) or a .jinja file;
    /// default: the one of the current data set of conversations, else the model's own.
    pub fn chat_template(self, value: &str) -> Self {
        Self { settings: self.settings.with("chat_template", text(value)) }
    }

    /// System message at the start of a new conversation.
    pub fn system(self, value: &str) -> Self {
        Self { settings: self.settings.with("system", text(value)) }
    }
}

impl From<Chat> for Settings {
    fn from(builder: Chat) -> Self {
        builder.settings
    }
}
