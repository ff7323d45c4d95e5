//! The keys of `%plot` as a builder.
// Generated from graft-spec by tests/it/builders.rs. Do not edit: change the key's `KeySpec` and
// run `GRAFT_BLESS=1 cargo test -p graft --test it builders`.

use graft_spec::Settings;

use crate::options::{flag, number, text};

/// Options of [`Lab::plot_runs`](crate::Lab::plot_runs): the keys of `%plot`.
///
/// An option that is not set has the default of its key.
///
/// # Examples
/// ```
/// use graft::prelude::*;
///
/// let options = Plot::new().y("loss").smooth(0.8);
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[must_use = "a builder has no effect until it is passed to a call"]
pub struct Plot {
    settings: Settings,
}

impl Plot {
    /// Starts with the default of every key.
    pub fn new() -> Self {
        Self::default()
    }

    /// Metric to plot against the steps.
    ///
    /// Default: `loss`. One of `loss`, `validation`, `accuracy`, `lr`, `grad_norm`,
    /// `tokens_per_second`, `reward_margin`, `reward_accuracy`.
    pub fn y(self, value: &str) -> Self {
        Self { settings: self.settings.with("y", text(value)) }
    }

    /// Smoothing factor of the running mean of loss, gradient norm and speed; 0 plots the raw
    /// values.
    ///
    /// Default: `0.8`. From 0 to 0.999.
    pub fn smooth(self, value: f64) -> Self {
        Self { settings: self.settings.with("smooth", number(value)) }
    }

    /// Logarithmic vertical axis.
    ///
    /// Default: `false`.
    pub fn log(self, value: bool) -> Self {
        Self { settings: self.settings.with("log", flag(value)) }
    }
}

impl From<Plot> for Settings {
    fn from(builder: Plot) -> Self {
        builder.settings
    }
}
