//! The origin of the weights that a run starts from.

use graft_spec::Settings;
use serde::{Deserialize, Deserializer, Serialize};

/// The origin of an adapter's weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Start {
    /// A newly attached adapter.
    Fresh {
        /// Seed of the initial weights.
        seed: u64,
        /// The data that the initial weights were computed from, if any.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        data: Option<Box<DataRecord>>,
    },
    /// An earlier run.
    Run {
        /// Name of that run.
        run: String,
        /// Step of that run with these weights.
        step: u64,
    },
    /// An adapter folder.
    Folder {
        /// The folder.
        folder: String,
    },
    /// Another origin, such as a combination of adapters.
    Other {
        /// A description.
        what: String,
    },
}

/// A data set as recorded in a ledger: how to load it again, and a fingerprint to detect changes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DataRecord {
    /// Its name.
    pub name: String,
    /// Source of the data: a built-in name or a file; empty for examples written in a cell.
    pub source: String,
    /// The text of the cell, for examples written in a cell.
    pub inline: Option<String>,
    /// Keys of `%data load`.
    pub settings: Settings,
    /// Fingerprint of the examples; empty in ledgers of older versions.
    pub fingerprint: String,
}

impl Start {
    /// Whether the weights are those of a newly attached adapter.
    pub fn is_fresh(&self) -> bool {
        matches!(self, Self::Fresh { .. })
    }
}

impl std::fmt::Display for Start {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Fresh { seed, .. } => write!(f, "fresh weights, seed {seed}"),
            Self::Run { run, step } => write!(f, "{run}, step {step}"),
            Self::Folder { folder } => write!(f, "adapter folder {folder}"),
            Self::Other { what } => write!(f, "{what}"),
        }
    }
}

/// Reads a start. A kind that only newer versions define is read as `None`, so that the rest of the
/// header stays readable.
pub(super) fn known<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Start>, D::Error> {
    let value = serde_json::Value::deserialize(deserializer)?;
    Ok(serde_json::from_value(value).ok())
}
