//! Keys of `%model load`.

use graft_protocol::{Settings, Value};

/// Keys of `%model load`. Each setter is the key of the same name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ModelOptions {
    pub(super) settings: Settings,
}

impl ModelOptions {
    /// All defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// How the frozen weights are kept: `f32` (default), `bf16` or `f16`.
    #[must_use]
    pub fn dtype(self, dtype: &str) -> Self {
        Self { settings: self.settings.with("dtype", Value::Text(dtype.to_owned())) }
    }

    /// Branch, tag or commit on the Hub. Default `main`.
    #[must_use]
    pub fn revision(self, revision: &str) -> Self {
        Self { settings: self.settings.with("revision", Value::Text(revision.to_owned())) }
    }
}

#[cfg(test)]
mod tests {
    use graft_protocol::training;

    use super::*;

    #[test]
    fn there_is_a_setter_for_every_key() {
        let all = ModelOptions::new().dtype("x").revision("x");
        let set: Vec<_> = all.settings.values.keys().cloned().collect();
        let mut keys: Vec<_> = training::MODEL.iter().map(|spec| spec.name).collect();
        keys.sort_unstable();
        assert_eq!(set, keys);
    }
}
