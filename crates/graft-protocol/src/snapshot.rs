//! What the host may know of the session without asking: it completes, inspects and says "did you mean" from this, even while a job runs.

use serde::{Deserialize, Serialize};

/// The session's names and facts, pushed by the child whenever they change.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The current model.
    pub model: Option<ModelEntry>,
    /// Adapters in the order they were attached.
    pub adapters: Vec<AdapterEntry>,
    /// Names of the data sets, the current one first.
    pub data: Vec<String>,
    /// Names of the runs, newest first.
    pub runs: Vec<String>,
    /// The job that runs now, in words.
    pub job: Option<String>,
    /// The session's seed.
    pub seed: u64,
    /// The device in words.
    pub device: String,
}

/// The current model.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ModelEntry {
    /// What the user called it: `tiny`, the folder, `ORG/NAME`.
    pub name: String,
    /// `model_type` of its config.
    pub family: String,
    /// Modules by Hugging Face path, in order.
    pub modules: Vec<ModuleEntry>,
    /// All parameters of the base.
    pub parameters: u64,
}

/// One module.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModuleEntry {
    /// `model.layers.0.self_attn.q_proj`.
    pub path: String,
    /// `linear`, `embedding`, `norm`, ...
    pub kind: String,
    /// Shape of its weight as Hugging Face stores it.
    pub shape: Vec<usize>,
}

/// One adapter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AdapterEntry {
    /// Its name.
    pub name: String,
    /// Verb of its method.
    pub method: String,
    /// Whether it acts.
    pub active: bool,
    /// Whether it is merged into the base.
    pub merged: bool,
    /// Parameters it trains.
    pub trainable: u64,
    /// Its settings in words, `r=8 lora_alpha=16`.
    pub settings: String,
    /// Factor on its effect.
    pub scale: f64,
}
