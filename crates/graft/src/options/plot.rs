//! Keys of `%plot`.

use graft_spec::{Settings, Value};

/// Keys of `%plot`. Each setter is the key of the same name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plot {
    pub(super) settings: Settings,
}

impl Plot {
    /// All defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// What is drawn against the steps: `loss` (default), `validation`, `accuracy`, `lr`, `grad_norm` or `tokens_per_second`.
    #[must_use]
    pub fn y(self, y: &str) -> Self {
        Self { settings: self.settings.with("y", Value::Text(y.to_owned())) }
    }

    /// Share of what was before in a running mean, in [0, 1). Default 0.8.
    #[must_use]
    pub fn smooth(self, smooth: f64) -> Self {
        Self { settings: self.settings.with("smooth", Value::Float(smooth)) }
    }

    /// Whether the vertical axis is logarithmic. Default false.
    #[must_use]
    pub fn log(self, log: bool) -> Self {
        Self { settings: self.settings.with("log", Value::Bool(log)) }
    }
}

#[cfg(test)]
mod tests {
    use graft_spec::training;

    use super::*;

    #[test]
    fn there_is_a_setter_for_every_key() {
        let all = Plot::new().y("x").smooth(0.0).log(true);
        let set: Vec<_> = all.settings.values.keys().cloned().collect();
        let mut keys: Vec<_> = training::PLOT.iter().map(|spec| spec.name).collect();
        keys.sort_unstable();
        assert_eq!(set, keys);
    }
}
