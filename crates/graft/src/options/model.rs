//! Keys of `%model load`.

use graft_spec::{Settings, Value};

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

    /// Whether the linear layers but the head are packed into 4-bit NormalFloat. Default `false`.
    #[must_use]
    pub fn load_in_4bit(self, load_in_4bit: bool) -> Self {
        Self { settings: self.settings.with("load_in_4bit", Value::Bool(load_in_4bit)) }
    }

    /// With `load_in_4bit`: whether the blocks' scales are packed as well. Default `true`.
    #[must_use]
    pub fn bnb_4bit_use_double_quant(self, bnb_4bit_use_double_quant: bool) -> Self {
        Self {
            settings: self
                .settings
                .with("bnb_4bit_use_double_quant", Value::Bool(bnb_4bit_use_double_quant)),
        }
    }

    /// Whether the linear layers but the head are packed into 8-bit integers. Default `false`.
    #[must_use]
    pub fn load_in_8bit(self, load_in_8bit: bool) -> Self {
        Self { settings: self.settings.with("load_in_8bit", Value::Bool(load_in_8bit)) }
    }

    /// Classes of the head of an encoder.
    #[must_use]
    pub fn num_labels(self, num_labels: i64) -> Self {
        Self { settings: self.settings.with("num_labels", Value::Integer(num_labels)) }
    }

    /// Branch, tag or commit on the Hub. Default `main`.
    #[must_use]
    pub fn revision(self, revision: &str) -> Self {
        Self { settings: self.settings.with("revision", Value::Text(revision.to_owned())) }
    }
}

#[cfg(test)]
mod tests {
    use graft_spec::training;

    use super::*;

    #[test]
    fn there_is_a_setter_for_every_key() {
        let all = ModelOptions::new()
            .dtype("x")
            .load_in_4bit(true)
            .bnb_4bit_use_double_quant(true)
            .load_in_8bit(true)
            .num_labels(2)
            .revision("x");
        let set: Vec<_> = all.settings.values.keys().cloned().collect();
        let mut keys: Vec<_> = training::MODEL.iter().map(|spec| spec.name).collect();
        keys.sort_unstable();
        assert_eq!(set, keys);
    }
}
