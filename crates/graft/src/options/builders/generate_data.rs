//! The keys of `%generate data=NAME` as a builder.
// Generated from graft-spec by tests/it/builders.rs. Do not edit: change the key's `KeySpec` and
// run `GRAFT_BLESS=1 cargo test -p graft --test it builders`.

use graft_spec::Settings;

use crate::options::{integer, number, text};

/// Options of [`Lab::generate_data`](crate::Lab::generate_data): the keys of `%generate data=NAME`.
///
/// An option that is not set has the default of its key.
///
/// # Examples
/// ```
/// use graft::prelude::*;
///
/// let options = GenerateData::new().max_new_tokens(60).temperature(0.0);
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[must_use = "a builder has no effect until it is passed to a call"]
pub struct GenerateData {
    settings: Settings,
}

impl GenerateData {
    /// Starts with the default of every key.
    pub fn new() -> Self {
        Self::default()
    }

    /// Maximum number of generated tokens.
    ///
    /// Default: `60`. From 1 to 100,000.
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

    /// Continue the prompts of a data set: its name, or train, validation or test for a split of
    /// the current one.
    pub fn data(self, value: &str) -> Self {
        Self { settings: self.settings.with("data", text(value)) }
    }

    /// Split of the data set.
    ///
    /// Default: `test`. One of `train`, `validation`, `test`.
    pub fn split(self, value: &str) -> Self {
        Self { settings: self.settings.with("split", text(value)) }
    }

    /// Maximum number of examples, from the first one on; without it all of them.
    ///
    /// At least 1.
    pub fn examples(self, value: usize) -> Self {
        Self { settings: self.settings.with("examples", integer(value)) }
    }

    /// Texts that are generated at the same time.
    ///
    /// Default: `16`. From 1 to 65,536.
    pub fn batch(self, value: usize) -> Self {
        Self { settings: self.settings.with("batch", integer(value)) }
    }

    /// File for the texts, one JSON object per line; without it the first texts are shown.
    pub fn out(self, value: &str) -> Self {
        Self { settings: self.settings.with("out", text(value)) }
    }
}

impl From<GenerateData> for Settings {
    fn from(builder: GenerateData) -> Self {
        builder.settings
    }
}
