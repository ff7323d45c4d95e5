//! Keys of `%lora combine`.

use graft_spec::{Settings, Value};

use super::integer;

/// Keys of `%lora combine`. Each setter is the key of the same name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Combine {
    pub(super) settings: Settings,
}

impl Combine {
    /// All defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// One number for each adapter. Default: 1 divided by their number.
    #[must_use]
    pub fn weights<const N: usize>(self, weights: [&str; N]) -> Self {
        self.with("weights", Value::List(weights.map(str::to_owned).to_vec()))
    }

    /// `linear` (default), `cat`, `svd`, `ties`, `dare_linear`, `dare_ties` or `magnitude_prune`.
    #[must_use]
    pub fn combination_type(self, how: &str) -> Self {
        self.with("combination_type", Value::Text(how.to_owned()))
    }

    /// Rank of the result. Default: the sum of the ranks for `linear` and `cat`, else the largest.
    #[must_use]
    pub fn svd_rank(self, r: u64) -> Self {
        self.with("svd_rank", integer(r))
    }

    /// Share of each update that is kept, in `[0, 1]`. Default 0.5.
    #[must_use]
    pub fn density(self, density: f64) -> Self {
        self.with("density", Value::Float(density))
    }

    /// Which sign `ties` elects: `total` (default) or `frequency`.
    #[must_use]
    pub fn majority_sign_method(self, method: &str) -> Self {
        self.with("majority_sign_method", Value::Text(method.to_owned()))
    }

    /// Name of the new adapter. Default `default`.
    #[must_use]
    pub fn adapter_name(self, name: &str) -> Self {
        self.with("adapter_name", Value::Text(name.to_owned()))
    }

    fn with(self, key: &str, value: Value) -> Self {
        Self { settings: self.settings.with(key, value) }
    }
}

#[cfg(test)]
mod tests {
    use graft_spec::combination::KEYS;

    use super::*;

    #[test]
    fn there_is_a_setter_for_every_key() {
        let all = Combine::new()
            .weights(["1"])
            .combination_type("svd")
            .svd_rank(1)
            .density(1.0)
            .majority_sign_method("total")
            .adapter_name("x");
        let set: Vec<_> = all.settings.values.keys().cloned().collect();
        let mut keys: Vec<_> = KEYS.iter().map(|spec| spec.name).collect();
        keys.sort_unstable();
        assert_eq!(set, keys);
    }
}
