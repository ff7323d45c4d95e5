//! The header of a run: what a run is, and how to repeat it.

use graft_spec::Settings;
use serde::{Deserialize, Serialize};

use super::start::{DataRecord, Start, known};

/// The header of a run. The ledger contains it once, and every checkpoint repeats it, so that a
/// checkpoint can be restored on its own.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RunHeader {
    /// Name of the run and of its folder.
    pub run: String,
    /// Method, model and data in one line.
    pub title: String,
    /// Source of the model: `tiny`, a folder, or `ORG/NAME`.
    pub model: String,
    /// Keys of `%model load`.
    pub model_settings: Settings,
    /// Hash of the model's weights.
    pub model_hash: String,
    /// Verb of the method, such as `lora`.
    pub method: String,
    /// Name of the adapter.
    pub adapter: String,
    /// All keys with which the adapter was attached, defaults included.
    pub adapter_settings: Settings,
    /// Keys that attach the adapter as it was before the run. They differ from `adapter_settings`
    /// when the initial weights were computed from data or from dequantized weights. Empty in older
    /// files.
    pub adapter_asked: Settings,
    /// Name of the data set.
    pub data: String,
    /// Source of the data: a built-in name or a file; empty for examples written in a cell.
    pub data_source: String,
    /// The text of the cell, for examples written in a cell.
    pub data_inline: Option<String>,
    /// Keys of `%data load`.
    pub data_settings: Settings,
    /// Names of the classes of a classifier after the run, in the order of its logits.
    pub label_names: Option<Vec<String>>,
    /// Keys of `%train`, as given.
    pub train: Settings,
    /// Learning rate of the method when `%train` has no `lr`.
    pub default_lr: f64,
    /// Seed of the run.
    pub seed: u64,
    /// Seed of the session at the start of the run, which determined the initial weights of the
    /// adapter.
    pub session_seed: Option<u64>,
    /// Description of the device.
    pub device: String,
    /// Data type of the frozen weights.
    pub dtype: String,
    /// Version of Graft.
    pub version: String,
    /// Start of the run, in seconds since 1970.
    pub started: u64,
    /// Number of trained parameters.
    pub trainable: u64,
    /// Number of all parameters, adapter included.
    pub total: u64,
    /// Key of a trial of `%ablate`, by which the same command finds and resumes it.
    pub trial: Option<String>,
    /// The origin of the initial weights; `None` in ledgers of older versions.
    #[serde(deserialize_with = "known")]
    pub start: Option<Start>,
    /// Fingerprint of the initial weights; empty in ledgers of older versions.
    pub start_fingerprint: String,
    /// Seed with which the adapter was attached. It also determines frozen parts, such as random
    /// projections. `None` for an adapter loaded from a folder.
    pub adapter_seed: Option<u64>,
    /// Folder from which the adapter was loaded.
    pub adapter_folder: Option<String>,
    /// Scale of the adapter during the run; `None` is 1.
    pub adapter_scale: Option<f64>,
    /// Whether a closure of the user computes the loss.
    pub own_loss: bool,
    /// Whether a closure of the user was called after each step.
    pub calls_on_step: bool,
    /// Fingerprint of the data; empty in ledgers of older versions.
    pub data_fingerprint: String,
}

impl RunHeader {
    /// The data of the run.
    pub fn data_record(&self) -> DataRecord {
        DataRecord {
            name: self.data.clone(),
            source: self.data_source.clone(),
            inline: self.data_inline.clone(),
            settings: self.data_settings.clone(),
            fingerprint: self.data_fingerprint.clone(),
        }
    }

    /// Sets the data of the run.
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
