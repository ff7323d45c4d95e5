//! The keys of `%runs use` as a builder.
// Generated from graft-spec by tests/it/builders.rs. Do not edit: change the key's `KeySpec` and
// run `GRAFT_BLESS=1 cargo test -p graft --test it builders`.

use graft_spec::Settings;

use crate::options::text;

/// Options of [`Runs::adapter`](crate::Runs::adapter): the keys of `%runs use`.
///
/// An option that is not set has the default of its key.
///
/// # Examples
/// ```
/// use graft::prelude::*;
///
/// let options = RunWeights::new().step("last");
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[must_use = "a builder has no effect until it is passed to a call"]
pub struct RunWeights {
    settings: Settings,
}

impl RunWeights {
    /// Starts with the default of every key.
    pub fn new() -> Self {
        Self::default()
    }

    /// Weights to attach: best, last, start or the number of a step; without it the weights with
    /// the lowest validation loss, or the last ones if nothing was validated.
    pub fn step(self, value: &str) -> Self {
        Self { settings: self.settings.with("step", text(value)) }
    }

    /// Name of the adapter; without it the name of the adapter of the run.
    pub fn adapter_name(self, value: &str) -> Self {
        Self { settings: self.settings.with("adapter_name", text(value)) }
    }
}

impl From<RunWeights> for Settings {
    fn from(builder: RunWeights) -> Self {
        builder.settings
    }
}
