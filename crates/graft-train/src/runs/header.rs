//! What a run was: enough to tell runs apart and to set up the same one again.

use graft_protocol::Settings;
use serde::{Deserialize, Serialize};

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
}
