//! The keys of `%data load` and `%%data` as a builder.
// Generated from graft-spec by tests/it/builders.rs. Do not edit: change the key's `KeySpec` and
// run `GRAFT_BLESS=1 cargo test -p graft --test it builders`.

use graft_spec::Settings;

use crate::options::{flag, integer, list, number, text};

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
    /// Default: `auto`. One of `auto`, `jsonl`, `json`, `csv`, `tsv`, `txt`, `parquet`.
    pub fn format(self, value: &str) -> Self {
        Self { settings: self.settings.with("format", text(value)) }
    }

    /// What each column is, as ROLE:COLUMN, such as `columns=text:review,label:sentiment`; roles:
    /// text, `text_pair`, label, prompt, input, completion, chosen, rejected, messages, tools,
    /// system, split.
    pub fn columns<T: Into<String>>(self, value: impl IntoIterator<Item = T>) -> Self {
        Self { settings: self.settings.with("columns", list(value)) }
    }

    /// File or folder with the training examples, instead of SOURCE.
    pub fn train(self, value: &str) -> Self {
        Self { settings: self.settings.with("train", text(value)) }
    }

    /// Fraction of the examples held out for validation if the data has no split of its own, or a
    /// file with the validation examples.
    ///
    /// Default: `0.1`. From 0 to 0.9.
    pub fn validation(self, value: f64) -> Self {
        Self { settings: self.settings.with("validation", number(value)) }
    }

    /// [`validation`](Self::validation) from a file or folder: `validation=FILE`.
    pub fn validation_file(self, value: &str) -> Self {
        Self { settings: self.settings.with("validation", text(value)) }
    }

    /// Fraction of the examples held out for the test split, or a file with the test examples.
    ///
    /// Default: `0.1`. From 0 to 0.9.
    pub fn test(self, value: f64) -> Self {
        Self { settings: self.settings.with("test", number(value)) }
    }

    /// [`test`](Self::test) from a file or folder: `test=FILE`.
    pub fn test_file(self, value: &str) -> Self {
        Self { settings: self.settings.with("test", text(value)) }
    }

    /// Examples to keep, of each split if the data has splits of its own; without it all.
    ///
    /// At least 1.
    pub fn limit(self, value: usize) -> Self {
        Self { settings: self.settings.with("limit", integer(value)) }
    }

    /// Put the examples into a random order, before limit takes the first ones.
    ///
    /// Default: `false`.
    pub fn shuffle(self, value: bool) -> Self {
        Self { settings: self.settings.with("shuffle", flag(value)) }
    }

    /// Seed of the fractions held out and of shuffle.
    ///
    /// Default: `0`. At least 0.
    pub fn seed(self, value: u64) -> Self {
        Self { settings: self.settings.with("seed", integer(value)) }
    }

    /// Examples of a txt file: one per line, one per paragraph between blank `lines`, or pieces of
    /// `running` text; `auto` takes `paragraphs` if there are blank `lines`.
    ///
    /// Default: `auto`. One of `auto`, `lines`, `paragraphs`, `running`.
    pub fn text(self, value: &str) -> Self {
        Self { settings: self.settings.with("text", text(value)) }
    }

    /// Skip rows that cannot be used, and report how many and why, instead of refusing the file.
    ///
    /// Default: `false`.
    pub fn skip_bad(self, value: bool) -> Self {
        Self { settings: self.settings.with("skip_bad", flag(value)) }
    }

    /// Configuration of a data set on the Hugging Face Hub, such as `subset=sst2`.
    pub fn subset(self, value: &str) -> Self {
        Self { settings: self.settings.with("subset", text(value)) }
    }

    /// Branch, tag or commit of a data set on the Hugging Face Hub.
    ///
    /// Default: `main`.
    pub fn revision(self, value: &str) -> Self {
        Self { settings: self.settings.with("revision", text(value)) }
    }

    /// Prompt around the text of text/label data, with {text}, such as "{text}\nThis is from:";
    /// without it a language model reads "{text}\nLabel:" and an encoder the text alone;
    /// {text_pair} is the second text of a pair, {prompt} and {input} are those of instructions.
    pub fn template(self, value: &str) -> Self {
        Self { settings: self.settings.with("template", text(value)) }
    }

    /// Chat template of conversations: a name (chatml, llama3, gemma, mistral, zephyr, plain, or
    /// one of the model's) or a .jinja file; without it the model's own.
    pub fn chat_template(self, value: &str) -> Self {
        Self { settings: self.settings.with("chat_template", text(value)) }
    }
}

impl From<DataOptions> for Settings {
    fn from(builder: DataOptions) -> Self {
        builder.settings
    }
}
