//! `%prompt_tune attach`: a soft prompt, trained embeddings in front of the input.

use graft_spec::{Settings, Value};

use super::{Method, integer};

/// `%prompt_tune attach`: a soft prompt, trained embeddings in front of the input. Each setter is the key of the same name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PromptTuning {
    pub(super) settings: Settings,
}

impl PromptTuning {
    /// All defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Number of virtual tokens; they take that much of the context. Default 20.
    #[must_use]
    pub fn num_virtual_tokens(self, num_virtual_tokens: usize) -> Self {
        Self {
            settings: self.settings.with("num_virtual_tokens", integer(num_virtual_tokens as u64)),
        }
    }

    /// Where the vectors start: `RANDOM`, `SAMPLE_VOCAB` (default) or `TEXT`.
    #[must_use]
    pub fn prompt_tuning_init(self, prompt_tuning_init: &str) -> Self {
        Self {
            settings: self
                .settings
                .with("prompt_tuning_init", Value::Text(prompt_tuning_init.to_owned())),
        }
    }

    /// The text whose embeddings the vectors start from.
    #[must_use]
    pub fn prompt_tuning_init_text(self, prompt_tuning_init_text: &str) -> Self {
        Self {
            settings: self
                .settings
                .with("prompt_tuning_init_text", Value::Text(prompt_tuning_init_text.to_owned())),
        }
    }

    /// Name of the adapter; one in use is replaced. Default `default`.
    #[must_use]
    pub fn adapter_name(self, adapter_name: &str) -> Self {
        Self { settings: self.settings.with("adapter_name", Value::Text(adapter_name.to_owned())) }
    }
}

impl Method for PromptTuning {
    fn verb(&self) -> &'static str {
        "prompt_tune"
    }

    fn into_settings(self) -> Settings {
        self.settings
    }
}

#[cfg(test)]
mod tests {
    use graft_spec::methods;

    use super::*;

    #[test]
    fn there_is_a_setter_for_every_key() {
        let all = PromptTuning::new()
            .num_virtual_tokens(1)
            .prompt_tuning_init("x")
            .prompt_tuning_init_text("x")
            .adapter_name("x");
        let set: Vec<_> = all.settings.values.keys().cloned().collect();
        let mut keys: Vec<_> =
            methods::prompt_tuning::SPEC.keys.iter().map(|spec| spec.name).collect();
        keys.sort_unstable();
        assert_eq!(set, keys);
    }
}
