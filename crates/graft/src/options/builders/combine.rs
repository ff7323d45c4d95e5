//! The keys of `%lora combine` as a builder.
// Generated from graft-spec by tests/it/builders.rs. Do not edit: change the key's `KeySpec` and
// run `GRAFT_BLESS=1 cargo test -p graft --test it builders`.

use graft_spec::Settings;

use crate::options::{integer, list, number, text};

/// Options of [`Model::combine`](crate::Model::combine): the keys of `%lora combine`.
///
/// An option that is not set has the default of its key.
///
/// # Examples
/// ```
/// use graft::prelude::*;
///
/// let options = Combine::new().combination_type("linear").density(0.5);
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[must_use = "a builder has no effect until it is passed to a call"]
pub struct Combine {
    settings: Settings,
}

impl Combine {
    /// Starts with the default of every key.
    pub fn new() -> Self {
        Self::default()
    }

    /// One weight per adapter; without it all adapters have the same weight, 1 divided by their
    /// number.
    pub fn weights<T: Into<String>>(self, value: impl IntoIterator<Item = T>) -> Self {
        Self { settings: self.settings.with("weights", list(value)) }
    }

    /// Method of combination. `linear` and `cat`: the exact sum; `svd`: its best approximation of
    /// rank `svd_rank`; the other methods prune the updates first.
    ///
    /// Default: `linear`. One of `linear`, `cat`, `svd`, `ties`, `dare_linear`, `dare_ties`,
    /// `magnitude_prune`.
    pub fn combination_type(self, value: &str) -> Self {
        Self { settings: self.settings.with("combination_type", text(value)) }
    }

    /// Rank of the result; default: the sum of the ranks for linear and cat, else the largest rank.
    ///
    /// From 1 to 65,536.
    pub fn svd_rank(self, value: usize) -> Self {
        Self { settings: self.settings.with("svd_rank", integer(value)) }
    }

    /// Fraction of each update that ties, dare and `magnitude_prune` keep.
    ///
    /// Default: `0.5`. From 0 to 1.
    pub fn density(self, value: f64) -> Self {
        Self { settings: self.settings.with("density", number(value)) }
    }

    /// Sign that ties elects: the sign of the sum (`total`) or the most frequent sign
    /// (`frequency`).
    ///
    /// Default: `total`. One of `total`, `frequency`.
    pub fn majority_sign_method(self, value: &str) -> Self {
        Self { settings: self.settings.with("majority_sign_method", text(value)) }
    }

    /// Name of the adapter; an attached adapter of the same name is replaced.
    ///
    /// Default: `default`.
    pub fn adapter_name(self, value: &str) -> Self {
        Self { settings: self.settings.with("adapter_name", text(value)) }
    }
}

impl From<Combine> for Settings {
    fn from(builder: Combine) -> Self {
        builder.settings
    }
}
