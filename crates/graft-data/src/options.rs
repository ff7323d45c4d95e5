//! The keys of `%data load` as types.

use std::path::PathBuf;

use graft_spec::training::DATA;
use graft_spec::{Settings, Value};

use super::DataError;
use super::chat_template::ChatTemplateChoice;
use super::shape::Mapping;
use super::template::Template;

/// How to cut a txt file into examples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TextUnit {
    Lines,
    Paragraphs,
    Running,
}

/// A part of the data to hold out.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum HeldOut {
    /// A fraction; `is_given` if the user set it.
    Share { share: f64, is_given: bool },
    /// The examples of a file.
    File(PathBuf),
}

/// The order of the examples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    AsRead,
    Shuffled,
}

/// The keys of `%data load`.
#[derive(Clone, Debug)]
pub(crate) struct ReadOptions {
    pub(crate) name: Option<String>,
    /// The format that the user asked for.
    pub(crate) format: Option<String>,
    pub(crate) mapping: Mapping,
    pub(crate) template: Template,
    pub(crate) chat_template: Option<ChatTemplateChoice>,
    pub(crate) unit: Option<TextUnit>,
    pub(crate) validation: HeldOut,
    pub(crate) test: HeldOut,
    pub(crate) limit: Option<usize>,
    pub(crate) order: Order,
    pub(crate) seed: u64,
    pub(crate) skips_bad: bool,
}

impl ReadOptions {
    /// Reads the keys. `default_template` is the template of labeled text without a key.
    ///
    /// # Errors
    /// [`DataError::Columns`], [`DataError::Template`], and [`DataError::File`] for a chat template
    /// that cannot be read.
    pub(crate) fn new(settings: &Settings, default_template: &str) -> Result<Self, DataError> {
        let word =
            |key: &str| settings.text(DATA, key).filter(|word| !word.is_empty() && word != "auto");
        let integer = |key: &str| settings.integer(DATA, key);
        Ok(Self {
            name: word("name"),
            format: word("format"),
            mapping: Mapping::parse(&settings.list(DATA, "columns").unwrap_or_default())?,
            template: Template::new(word("template"), default_template)?,
            chat_template: word("chat_template")
                .map(|name| ChatTemplateChoice::read(&name))
                .transpose()?,
            unit: word("text").and_then(|unit| match unit.as_str() {
                "lines" => Some(TextUnit::Lines),
                "paragraphs" => Some(TextUnit::Paragraphs),
                "running" => Some(TextUnit::Running),
                _ => None,
            }),
            validation: held_out(settings, "validation"),
            test: held_out(settings, "test"),
            limit: integer("limit").and_then(|limit| usize::try_from(limit).ok()),
            order: if settings.bool(DATA, "shuffle") { Order::Shuffled } else { Order::AsRead },
            seed: integer("seed").and_then(|seed| u64::try_from(seed).ok()).unwrap_or(0),
            skips_bad: settings.bool(DATA, "skip_bad"),
        })
    }
}

fn held_out(settings: &Settings, key: &str) -> HeldOut {
    match settings.get(DATA, key) {
        Some(Value::Text(path)) => HeldOut::File(PathBuf::from(path)),
        _ => HeldOut::Share {
            share: settings.float(DATA, key).unwrap_or(0.0),
            is_given: settings.values.contains_key(key),
        },
    }
}

impl HeldOut {
    /// The fraction, 0 for a file.
    pub(crate) fn share(&self) -> f64 {
        if let Self::Share { share, .. } = self { *share } else { 0.0 }
    }

    /// The fraction if the user set one.
    pub(crate) fn given_share(&self) -> Option<f64> {
        match self {
            Self::Share { share, is_given: true } if *share > 0.0 => Some(*share),
            _ => None,
        }
    }
}
