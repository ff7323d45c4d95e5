//! Keys of `%eval`.

use graft_spec::{Settings, Value};

use super::integer;

/// Keys of `%eval`. Each setter is the key of the same name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Eval {
    pub(super) settings: Settings,
}

impl Eval {
    /// All defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Name of the data set. Default: the current one.
    #[must_use]
    pub fn data(self, data: &str) -> Self {
        Self { settings: self.settings.with("data", Value::Text(data.to_owned())) }
    }

    /// Part of the data: `train`, `validation` or `test` (default).
    #[must_use]
    pub fn split(self, split: &str) -> Self {
        Self { settings: self.settings.with("split", Value::Text(split.to_owned())) }
    }

    /// Most examples used, from the first. Default 200.
    #[must_use]
    pub fn examples(self, examples: usize) -> Self {
        Self { settings: self.settings.with("examples", integer(examples as u64)) }
    }

    /// Examples per forward pass. Default 16.
    #[must_use]
    pub fn batch(self, batch: usize) -> Self {
        Self { settings: self.settings.with("batch", integer(batch as u64)) }
    }

    /// Whether to score the untuned base as well. Default true.
    #[must_use]
    pub fn base(self, base: bool) -> Self {
        Self { settings: self.settings.with("base", Value::Bool(base)) }
    }
}

#[cfg(test)]
mod tests {
    use graft_spec::training;

    use super::*;

    #[test]
    fn there_is_a_setter_for_every_key() {
        let all = Eval::new().data("x").split("x").examples(1).batch(1).base(true);
        let set: Vec<_> = all.settings.values.keys().cloned().collect();
        let mut keys: Vec<_> = training::EVAL.iter().map(|spec| spec.name).collect();
        keys.sort_unstable();
        assert_eq!(set, keys);
    }
}
