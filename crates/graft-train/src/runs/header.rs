//! What a run was: enough to tell runs apart and to set up the same one again.

use graft_spec::Settings;
use serde::{Deserialize, Serialize};

use super::start::{DataRecord, Start, known};

/// The head of a run, written once, and repeated in each checkpoint so that it stands alone.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RunHeader {
    /// Name of the run, also its folder's.
    pub run: String,
    /// One line: method, model, data.
    pub title: String,
    /// What the model was loaded from: `tiny`, a folder, `ORG/NAME`.
    pub model: String,
    /// Keys of `%model load`.
    pub model_settings: Settings,
    /// Hash of the model's weights.
    pub model_hash: String,
    /// Verb of the method, such as `lora`.
    pub method: String,
    /// Name of the adapter.
    pub adapter: String,
    /// Keys of its attachment, resolved.
    pub adapter_settings: Settings,
    /// Keys that attach it again as it began: those above, but for a start that looked at data or unpacked weights. Empty in older files.
    pub adapter_asked: Settings,
    /// Name of the data set.
    pub data: String,
    /// What it was loaded from: a built-in name or a file; empty for examples that stood in a cell.
    pub data_source: String,
    /// The cell's text for examples that stood in a cell.
    pub data_inline: Option<String>,
    /// Keys of `%data load`.
    pub data_settings: Settings,
    /// What the classes of a classifier mean after the training, in the order of its logits.
    pub label_names: Option<Vec<String>>,
    /// Keys of `%train`, as given.
    pub train: Settings,
    /// The method's default learning rate, for a `%train` without `lr`.
    pub default_lr: f64,
    /// Seed of the run.
    pub seed: u64,
    /// Seed of the session when it began, which decided where the adapter's weights start.
    pub session_seed: Option<u64>,
    /// Device in words.
    pub device: String,
    /// Type of the frozen weights.
    pub dtype: String,
    /// Version of Graft.
    pub version: String,
    /// When it began, seconds since 1970.
    pub started: u64,
    /// Parameters trained.
    pub trainable: u64,
    /// All parameters, adapter included.
    pub total: u64,
    /// What a training of a comparison is found by, when the same line goes on.
    pub trial: Option<String>,
    /// The weights that the run started from; none in ledgers of older versions.
    #[serde(deserialize_with = "known")]
    pub start: Option<Start>,
    /// Fingerprint of those weights; empty in ledgers of older versions.
    pub start_fingerprint: String,
    /// Seed with which the adapter was attached: it decides frozen parts too, such as random projections. None for an adapter that was loaded.
    pub adapter_seed: Option<u64>,
    /// Folder that the adapter was loaded from, if it was.
    pub adapter_folder: Option<String>,
    /// Factor on the adapter's effect during the training; none is 1.
    pub adapter_scale: Option<f64>,
    /// Fingerprint of the data; empty in ledgers of older versions.
    pub data_fingerprint: String,
}

impl RunHeader {
    /// The data that the run was trained on.
    pub fn data_record(&self) -> DataRecord {
        DataRecord {
            name: self.data.clone(),
            source: self.data_source.clone(),
            inline: self.data_inline.clone(),
            settings: self.data_settings.clone(),
            fingerprint: self.data_fingerprint.clone(),
        }
    }

    /// Puts the data in that the run is trained on.
    #[must_use]
    pub fn with_data(self, data: DataRecord) -> Self {
        let DataRecord { name, source, inline, settings, fingerprint } = data;
        Self {
            data: name,
            data_source: source,
            data_inline: inline,
            data_settings: settings,
            data_fingerprint: fingerprint,
            ..self
        }
    }
}
