//! The keys of `%class join` as a builder.
// Generated from graft-spec by tests/it/builders.rs. Do not edit: change the key's `KeySpec` and
// run `GRAFT_BLESS=1 cargo test -p graft --test it builders`.

use graft_spec::Settings;

use crate::options::text;

/// Options of [`Lab::join_class`](crate::Lab::join_class): the keys of `%class join`.
///
/// An option that is not set has the default of its key.
///
/// # Examples
/// ```
/// use graft::prelude::*;
///
/// let options = ClassJoin::new();
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[must_use = "a builder has no effect until it is passed to a call"]
pub struct ClassJoin {
    settings: Settings,
}

impl ClassJoin {
    /// Starts with the default of every key.
    pub fn new() -> Self {
        Self::default()
    }

    /// Shared folder of the class; without it the folder that `GRAFT_CLASS` names.
    pub fn folder(self, value: &str) -> Self {
        Self { settings: self.settings.with("folder", text(value)) }
    }

    /// Exercise that the next results belong to; without it they belong to none.
    pub fn exercise(self, value: &str) -> Self {
        Self { settings: self.settings.with("exercise", text(value)) }
    }
}

impl From<ClassJoin> for Settings {
    fn from(builder: ClassJoin) -> Self {
        builder.settings
    }
}
