//! The keys of `%eval` as a builder.
// Generated from graft-spec by tests/it/builders.rs. Do not edit: change the key's `KeySpec` and
// run `GRAFT_BLESS=1 cargo test -p graft --test it builders`.

use graft_spec::Settings;

use crate::options::{flag, integer, list, number, text};

/// Options of [`Lab::eval`](crate::Lab::eval): the keys of `%eval`.
///
/// An option that is not set has the default of its key.
///
/// # Examples
/// ```
/// use graft::prelude::*;
///
/// let options = Eval::new().split("test").examples(200);
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[must_use = "a builder has no effect until it is passed to a call"]
pub struct Eval {
    settings: Settings,
}

impl Eval {
    /// Starts with the default of every key.
    pub fn new() -> Self {
        Self::default()
    }

    /// Name of the data set; default: the current one.
    pub fn data(self, value: &str) -> Self {
        Self { settings: self.settings.with("data", text(value)) }
    }

    /// Split to score on.
    ///
    /// Default: `test`. One of `train`, `validation`, `test`.
    pub fn split(self, value: &str) -> Self {
        Self { settings: self.settings.with("split", text(value)) }
    }

    /// Maximum number of examples, from the first one on.
    ///
    /// Default: `200`. At least 1.
    pub fn examples(self, value: usize) -> Self {
        Self { settings: self.settings.with("examples", integer(value)) }
    }

    /// Examples per forward pass.
    ///
    /// Default: `16`. From 1 to 65,536.
    pub fn batch(self, value: usize) -> Self {
        Self { settings: self.settings.with("batch", integer(value)) }
    }

    /// Text that carries loss: `assistant`, every message of the `assistant`; `completion`, the
    /// last message or the `completion`; `all`, also the prompt; without it the messages of the
    /// `assistant`, or the `completion`.
    ///
    /// One of `assistant`, `completion`, `all`.
    pub fn loss_on(self, value: &str) -> Self {
        Self { settings: self.settings.with("loss_on", text(value)) }
    }

    /// Also score the base model.
    ///
    /// Default: `true`.
    pub fn base(self, value: bool) -> Self {
        Self { settings: self.settings.with("base", flag(value)) }
    }

    /// Loss on preference data; without it that of the run that trained the adapter, or `dpo`.
    ///
    /// One of `dpo`, `ipo`, `hinge`, `orpo`, `simpo`.
    pub fn loss(self, value: &str) -> Self {
        Self { settings: self.settings.with("loss", text(value)) }
    }

    /// Scale of the rewards on preference data; without it that of the run that trained the
    /// adapter, or 0.1.
    ///
    /// From 0.0001 to 1,000.
    pub fn beta(self, value: f64) -> Self {
        Self { settings: self.settings.with("beta", number(value)) }
    }

    /// Target margin of `loss=simpo` on preference data; without it that of the run that trained
    /// the adapter, or 0.5.
    ///
    /// From 0 to 1,000.
    pub fn gamma(self, value: f64) -> Self {
        Self { settings: self.settings.with("gamma", number(value)) }
    }

    /// Metrics to compute, also of generated text: accuracy, `f1_macro`, `f1_weighted`, precision,
    /// recall, `exact_match`, `token_f1`, rouge, bleu, chrf, regex, numeric, or your own from
    /// lab().metric.
    pub fn metric<T: Into<String>>(self, value: impl IntoIterator<Item = T>) -> Self {
        Self { settings: self.settings.with("metric", list(value)) }
    }

    /// Regular expression of the metric regex: its first group, or the whole match, is the answer.
    pub fn pattern(self, value: &str) -> Self {
        Self { settings: self.settings.with("pattern", text(value)) }
    }

    /// Maximum number of tokens of a generated answer; generation is greedy.
    ///
    /// Default: `128`. From 1 to 100,000.
    pub fn max_new_tokens(self, value: usize) -> Self {
        Self { settings: self.settings.with("max_new_tokens", integer(value)) }
    }

    /// End a generated answer before this text.
    pub fn stop(self, value: &str) -> Self {
        Self { settings: self.settings.with("stop", text(value)) }
    }

    /// Seed of the bootstrap intervals; without it the seed of the session.
    ///
    /// At least 0.
    pub fn seed(self, value: u64) -> Self {
        Self { settings: self.settings.with("seed", integer(value)) }
    }
}

impl From<Eval> for Settings {
    fn from(builder: Eval) -> Self {
        builder.settings
    }
}
