//! `%lora attach`: low-rank adapters, `y = W x + s B A x`.

use graft_protocol::{Settings, Value};

use super::{Method, integer};

/// `%lora attach`: low-rank adapters, `y = W x + s B A x`. Each setter is the key of the same name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Lora {
    pub(super) settings: Settings,
}

impl Lora {
    /// All defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Rank of the update, at least 1 and at most the layer's smaller side. Default 8.
    #[must_use]
    pub fn r(self, r: usize) -> Self {
        Self { settings: self.settings.with("r", integer(r as u64)) }
    }

    /// Scale of the update: `s = lora_alpha / r`. Default 8.
    #[must_use]
    pub fn lora_alpha(self, lora_alpha: f64) -> Self {
        Self { settings: self.settings.with("lora_alpha", Value::Float(lora_alpha)) }
    }

    /// Probability of dropping an input of A while training. Default 0.
    #[must_use]
    pub fn lora_dropout(self, lora_dropout: f64) -> Self {
        Self { settings: self.settings.with("lora_dropout", Value::Float(lora_dropout)) }
    }

    /// Module names (suffixes), one regular expression, or `all-linear`. Default: the family's, as in HF PEFT.
    #[must_use]
    pub fn target_modules<T: Into<String>>(self, names: impl IntoIterator<Item = T>) -> Self {
        let names = names.into_iter().map(Into::into).collect();
        Self { settings: self.settings.with("target_modules", Value::List(names)) }
    }

    /// Scale by `lora_alpha / sqrt(r)` instead.
    #[must_use]
    pub fn use_rslora(self, use_rslora: bool) -> Self {
        Self { settings: self.settings.with("use_rslora", Value::Bool(use_rslora)) }
    }

    /// `true`: A uniform in ±1/sqrt(d_in), as HF PEFT; `gaussian`: N(0, 1/r).
    #[must_use]
    pub fn init_lora_weights(self, init_lora_weights: &str) -> Self {
        Self { settings: self.settings.with("init_lora_weights", Value::Text(init_lora_weights.to_owned())) }
    }

    /// Name of the adapter; one in use is replaced. Default `default`.
    #[must_use]
    pub fn adapter_name(self, adapter_name: &str) -> Self {
        Self { settings: self.settings.with("adapter_name", Value::Text(adapter_name.to_owned())) }
    }
}

impl Method for Lora {
    fn verb(&self) -> &'static str {
        "lora"
    }

    fn into_settings(self) -> Settings {
        self.settings
    }
}

#[cfg(test)]
mod tests {
    use graft_protocol::methods;

    use super::*;

    #[test]
    fn there_is_a_setter_for_every_key() {
        let all =
            Lora::new().r(1).lora_alpha(0.5).lora_dropout(0.5).target_modules(["q_proj", "v_proj"]).use_rslora(true).init_lora_weights("x").adapter_name("x");
        let set: Vec<_> = all.settings.values.keys().cloned().collect();
        let mut keys: Vec<_> = methods::lora::SPEC.keys.iter().map(|spec| spec.name).collect();
        keys.sort_unstable();
        assert_eq!(set, keys);
    }
}
