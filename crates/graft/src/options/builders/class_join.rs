//! Stub.
use crate::options::text;
use graft_spec::Settings;
/// Stub.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClassJoin {
    settings: Settings,
}
impl ClassJoin {
    /// Stub.
    pub fn new() -> Self {
        Self::default()
    }

    /// Stub.
    pub fn folder(self, value: &str) -> Self {
        Self { settings: self.settings.with("folder", text(value)) }
    }

    /// Stub.
    pub fn exercise(self, value: &str) -> Self {
        Self { settings: self.settings.with("exercise", text(value)) }
    }
}
impl From<ClassJoin> for Settings {
    fn from(builder: ClassJoin) -> Self {
        builder.settings
    }
}
