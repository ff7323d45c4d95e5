//! Keys of `%memory`.

use graft_spec::{Settings, Value};

use super::integer;

/// Keys of `%memory`. Each setter is the key of the same name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MemoryOptions {
    pub(super) settings: Settings,
}

impl MemoryOptions {
    /// All defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Examples per micro-batch. Default 8.
    #[must_use]
    pub fn batch(self, batch: u64) -> Self {
        Self { settings: self.settings.with("batch", integer(batch)) }
    }

    /// Tokens of an example. Default: the model's context, and 1,024 for a published model.
    #[must_use]
    pub fn max_length(self, max_length: u64) -> Self {
        Self { settings: self.settings.with("max_length", integer(max_length)) }
    }

    /// Whether blocks are computed again for the backward pass. Default false.
    #[must_use]
    pub fn gradient_checkpointing(self, gradient_checkpointing: bool) -> Self {
        Self {
            settings: self
                .settings
                .with("gradient_checkpointing", Value::Bool(gradient_checkpointing)),
        }
    }

    /// Rank of the LoRA on a published model. Default 16.
    #[must_use]
    pub fn r(self, r: u64) -> Self {
        Self { settings: self.settings.with("r", integer(r)) }
    }

    /// How a published model's frozen weights are kept: `f32`, `bf16` (default) or `f16`.
    #[must_use]
    pub fn dtype(self, dtype: &str) -> Self {
        Self { settings: self.settings.with("dtype", Value::Text(dtype.to_owned())) }
    }
}

#[cfg(test)]
mod tests {
    use graft_spec::training;

    use super::*;

    #[test]
    fn there_is_a_setter_for_every_key() {
        let all = MemoryOptions::new()
            .batch(1)
            .max_length(2)
            .gradient_checkpointing(true)
            .r(1)
            .dtype("x");
        let set: Vec<_> = all.settings.values.keys().cloned().collect();
        let mut keys: Vec<_> = training::MEMORY.iter().map(|spec| spec.name).collect();
        keys.sort_unstable();
        assert_eq!(set, keys);
    }
}
