//! The keys of `%class` and `%class watch` as a builder.
// Generated from graft-spec by tests/it/builders.rs. Do not edit: change the key's `KeySpec` and
// run `GRAFT_BLESS=1 cargo test -p graft --test it builders`.

use graft_spec::Settings;

use crate::options::{flag, text};

/// Options of [`Lab::class`](crate::Lab::class) and [`Lab::class_chart`](crate::Lab::class_chart)
/// and [`Lab::watch_class`](crate::Lab::watch_class): the keys of `%class` and `%class watch`.
///
/// An option that is not set has the default of its key.
///
/// # Examples
/// ```
/// use graft::prelude::*;
///
/// let options = ClassView::new().names(true);
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[must_use = "a builder has no effect until it is passed to a call"]
pub struct ClassView {
    settings: Settings,
}

impl ClassView {
    /// Starts with the default of every key.
    pub fn new() -> Self {
        Self::default()
    }

    /// Exercise to show; without it the one that this session has joined, or the one with the
    /// newest result.
    pub fn exercise(self, value: &str) -> Self {
        Self { settings: self.settings.with("exercise", text(value)) }
    }

    /// `names=false` shows a pseudonym instead of each name, always the same one on this machine.
    ///
    /// Default: `true`.
    pub fn names(self, value: bool) -> Self {
        Self { settings: self.settings.with("names", flag(value)) }
    }

    /// Shared folder of the class; without it the one that this session has joined, or the one that
    /// `GRAFT_CLASS` names.
    pub fn folder(self, value: &str) -> Self {
        Self { settings: self.settings.with("folder", text(value)) }
    }
}

impl From<ClassView> for Settings {
    fn from(builder: ClassView) -> Self {
        builder.settings
    }
}
