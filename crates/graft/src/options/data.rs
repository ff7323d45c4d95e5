//! Keys of `%data load` and `%%data`.

use graft_spec::{Settings, Value};

/// Keys of `%data load` and `%%data`. Each setter is the key of the same name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DataOptions {
    pub(super) settings: Settings,
}

impl DataOptions {
    /// All defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Name of the data set. Default: the file's stem.
    #[must_use]
    pub fn name(self, name: &str) -> Self {
        Self { settings: self.settings.with("name", Value::Text(name.to_owned())) }
    }

    /// `auto` (default), `jsonl`, `csv`, `tsv` or `txt`.
    #[must_use]
    pub fn format(self, format: &str) -> Self {
        Self { settings: self.settings.with("format", Value::Text(format.to_owned())) }
    }

    /// Share of the examples kept for validation where the data has no split of its own. Default 0.1.
    #[must_use]
    pub fn validation(self, validation: f64) -> Self {
        Self { settings: self.settings.with("validation", Value::Float(validation)) }
    }

    /// Share kept for the test. Default 0.1.
    #[must_use]
    pub fn test(self, test: f64) -> Self {
        Self { settings: self.settings.with("test", Value::Float(test)) }
    }

    /// Prompt around text of text/label data, with `{text}`.
    #[must_use]
    pub fn template(self, template: &str) -> Self {
        Self { settings: self.settings.with("template", Value::Text(template.to_owned())) }
    }
}

#[cfg(test)]
mod tests {
    use graft_spec::training;

    use super::*;

    #[test]
    fn there_is_a_setter_for_every_key() {
        let all = DataOptions::new().name("x").format("x").validation(0.5).test(0.5).template("x");
        let set: Vec<_> = all.settings.values.keys().cloned().collect();
        let mut keys: Vec<_> = training::DATA.iter().map(|spec| spec.name).collect();
        keys.sort_unstable();
        assert_eq!(set, keys);
    }
}
