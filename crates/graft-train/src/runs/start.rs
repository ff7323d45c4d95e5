//! The weights that a run started from.

use graft_spec::Settings;
use serde::{Deserialize, Deserializer, Serialize};

/// Where an adapter's weights came from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Start {
    /// Freshly attached.
    Fresh {
        /// Seed of the initial weights.
        seed: u64,
        /// The data that the initial weights were computed from, where they were.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        data: Option<Box<DataRecord>>,
    },
    /// Trained by an earlier run.
    Run {
        /// Name of that run.
        run: String,
        /// Step after which it had these weights.
        step: u64,
    },
    /// Loaded from an adapter folder.
    Folder {
        /// The folder.
        folder: String,
    },
    /// Anything else, such as a combination of adapters.
    Other {
        /// In words.
        what: String,
    },
}

/// A data set as a ledger records it: enough to load it again and to see whether it is still the same.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DataRecord {
    /// Its name.
    pub name: String,
    /// What it was loaded from: a built-in name or a file; empty for examples written in a cell.
    pub source: String,
    /// The cell's text for examples written in a cell.
    pub inline: Option<String>,
    /// Keys of `%data load`.
    pub settings: Settings,
    /// Fingerprint of the examples; empty in ledgers of older versions.
    pub fingerprint: String,
}

impl Start {
    /// Whether the weights are those of a fresh adapter.
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

/// Reads a start; one of a kind that only newer versions know is none, and the rest of the header stays readable.
pub(super) fn known<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Start>, D::Error> {
    let value = serde_json::Value::deserialize(deserializer)?;
    Ok(serde_json::from_value(value).ok())
}
