//! Stub.
use crate::options::{flag, text};
use graft_spec::Settings;
/// Stub.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClassView {
    settings: Settings,
}
impl ClassView {
    /// Stub.
    pub fn new() -> Self {
        Self::default()
    }

    /// Stub.
    pub fn exercise(self, value: &str) -> Self {
        Self { settings: self.settings.with("exercise", text(value)) }
    }

    /// Stub.
    pub fn names(self, value: bool) -> Self {
        Self { settings: self.settings.with("names", flag(value)) }
    }

    /// Stub.
    pub fn folder(self, value: &str) -> Self {
        Self { settings: self.settings.with("folder", text(value)) }
    }
}
impl From<ClassView> for Settings {
    fn from(builder: ClassView) -> Self {
        builder.settings
    }
}
