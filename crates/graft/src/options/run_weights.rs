//! Keys of `%runs use`.

use graft_spec::{Settings, Value};

/// Keys of `%runs use`. Each setter is the key of the same name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunWeights {
    pub(super) settings: Settings,
}

impl RunWeights {
    /// The weights with the lowest validation loss or, where nothing was validated, the last ones, under the name of the run's adapter.
    pub fn new() -> Self {
        Self::default()
    }

    /// Which weights: `best`, `last`, `start`, or the number of a step.
    #[must_use]
    pub fn step(self, step: &str) -> Self {
        Self { settings: self.settings.with("step", Value::Text(step.to_owned())) }
    }

    /// Name of the adapter; attaching under a name in use replaces that adapter.
    #[must_use]
    pub fn adapter_name(self, name: &str) -> Self {
        Self { settings: self.settings.with("adapter_name", Value::Text(name.to_owned())) }
    }
}

#[cfg(test)]
mod tests {
    use graft_spec::training;

    use super::*;

    #[test]
    fn there_is_a_setter_for_every_key() {
        let all = RunWeights::new().step("last").adapter_name("x");
        let set: Vec<_> = all.settings.values.keys().cloned().collect();
        let mut keys: Vec<_> = training::RUN_WEIGHTS.iter().map(|spec| spec.name).collect();
        keys.sort_unstable();
        assert_eq!(set, keys);
    }
}
