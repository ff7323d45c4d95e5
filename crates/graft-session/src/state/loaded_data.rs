//! A loaded data set.

use graft_spec::Settings;
use graft_train::{data::Dataset, runs::DataRecord};

/// A data set and its origin.
pub struct LoadedData {
    /// The examples.
    pub dataset: Dataset,
    /// The origin, from which the set can be loaded again.
    pub origin: DataOrigin,
}

/// Where a data set came from. Checkpoints record it, so that a session without the data can resume
/// the run.
#[derive(Clone, Debug, PartialEq)]
pub enum DataOrigin {
    /// A built-in set or a file.
    Source {
        /// The name of the set, or the absolute path of the file.
        source: String,
        /// The keys it was loaded with.
        settings: Settings,
    },
    /// Examples in a cell.
    Inline {
        /// Name of the set.
        name: String,
        /// The cell's body.
        text: String,
        /// The keys it was read with.
        settings: Settings,
    },
}

impl LoadedData {
    /// The record of the set in a ledger.
    pub(crate) fn record(&self) -> DataRecord {
        let (source, inline, settings) = match self.origin.clone() {
            DataOrigin::Source { source, settings } => (source, None, settings),
            DataOrigin::Inline { text, settings, .. } => (String::new(), Some(text), settings),
        };
        DataRecord {
            name: self.dataset.name.clone(),
            source,
            inline,
            settings,
            fingerprint: self.dataset.content_fingerprint(),
        }
    }
}

impl From<&DataRecord> for DataOrigin {
    fn from(record: &DataRecord) -> Self {
        let settings = record.settings.clone();
        match &record.inline {
            Some(text) => Self::Inline { name: record.name.clone(), text: text.clone(), settings },
            None => Self::Source { source: record.source.clone(), settings },
        }
    }
}
