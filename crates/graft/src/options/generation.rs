//! Keys of `%generate` and `%compare`.

use graft_spec::{Settings, Value};

use super::integer;

/// Keys of `%generate` and `%compare`. Each setter is the key of the same name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Generate {
    pub(super) settings: Settings,
}

impl Generate {
    /// All defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Most tokens written. Default 60.
    #[must_use]
    pub fn max_new_tokens(self, max_new_tokens: usize) -> Self {
        Self { settings: self.settings.with("max_new_tokens", integer(max_new_tokens as u64)) }
    }

    /// 0 is greedy (default); 1 samples from the model's own distribution.
    #[must_use]
    pub fn temperature(self, temperature: f64) -> Self {
        Self { settings: self.settings.with("temperature", Value::Float(temperature)) }
    }

    /// Sample among the k likeliest; 0 means all (default).
    #[must_use]
    pub fn top_k(self, top_k: usize) -> Self {
        Self { settings: self.settings.with("top_k", integer(top_k as u64)) }
    }

    /// Sample among the likeliest tokens whose probabilities sum to p. Default 1.
    #[must_use]
    pub fn top_p(self, top_p: f64) -> Self {
        Self { settings: self.settings.with("top_p", Value::Float(top_p)) }
    }

    /// Seed of the sampling. Default: the session's.
    #[must_use]
    pub fn seed(self, seed: u64) -> Self {
        Self { settings: self.settings.with("seed", integer(seed)) }
    }

    /// Stop before this text.
    #[must_use]
    pub fn stop(self, stop: &str) -> Self {
        Self { settings: self.settings.with("stop", Value::Text(stop.to_owned())) }
    }
}

#[cfg(test)]
mod tests {
    use graft_spec::training;

    use super::*;

    #[test]
    fn there_is_a_setter_for_every_key() {
        let all = Generate::new()
            .max_new_tokens(1)
            .temperature(0.5)
            .top_k(1)
            .top_p(0.5)
            .seed(1)
            .stop("x");
        let set: Vec<_> = all.settings.values.keys().cloned().collect();
        let mut keys: Vec<_> = training::GENERATE.iter().map(|spec| spec.name).collect();
        keys.sort_unstable();
        assert_eq!(set, keys);
    }
}
