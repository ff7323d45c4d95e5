//! The keys of `%data load` and `%%data` as a builder.
// Generated from graft-spec by tests/it/builders.rs. Do not edit: change the key's `KeySpec` and
// run `GRAFT_BLESS=1 cargo test -p graft --test it builders`.

use graft_spec::Settings;

use crate::options::{number, text};

/// Options of [`Lab::load_data_with`](crate::Lab::load_data_with) and
/// [`Lab::data_inline_with`](crate::Lab::data_inline_with): the keys of `%data load` and `%%data`.
///
/// An option that is not set has the default of its key.
///
/// # Examples
/// ```
/// use graft::prelude::*;
///
/// let options = DataOptions::new().format("auto").validation(0.1);
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[must_use = "a builder has no effect until it is passed to a call"]
pub struct DataOptions {
    settings: Settings,
}

impl DataOptions {
    /// Starts with the default of every key.
    pub fn new() -> Self {
        Self::default()
    }

    /// Name of the data set; without it the file name without its extension.
    pub fn name(self, value: &str) -> Self {
        Self { settings: self.settings.with("name", text(value)) }
    }

    /// Format of the file; `auto` detects it from the content, the extension and the first line.
    ///
    /// Default: `auto`. One of `auto`, `jsonl`, `csv`, `tsv`, `txt`.
    pub fn format(self, value: &str) -> Self {
        Self { settings: self.settings.with("format", text(value)) }
    }

    /// Fraction of the examples held out for validation if the data has no split of its own.
    ///
    /// Default: `0.1`. From 0 to 0.9.
    pub fn validation(self, value: f64) -> Self {
        Self { settings: self.settings.with("validation", number(value)) }
    }

    /// Fraction of the examples held out for the test split.
    ///
    /// Default: `0.1`. From 0 to 0.9.
    pub fn test(self, value: f64) -> Self {
        Self { settings: self.settings.with("test", number(value)) }
    }

    /// Prompt around the text of text/label data, with {text}, such as "{text}\nThis is from:";
    /// without it a language model reads "{text}\nLabel:" and an encoder the text alone.
    pub fn template(self, value: &str) -> Self {
        Self { settings: self.settings.with("template", text(value)) }
    }
}

impl From<DataOptions> for Settings {
    fn from(builder: DataOptions) -> Self {
        builder.settings
    }
}
