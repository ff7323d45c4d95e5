//! The host's copy of the session's names, used for completion, inspection and suggestions even
//! while a job runs.

use serde::{Deserialize, Serialize};

/// Names and facts of the session, sent by the child whenever they change.
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
    /// Description of the running job.
    pub job: Option<String>,
    /// The session's seed.
    pub seed: u64,
    /// Description of the device.
    pub device: String,
}

/// The current model.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ModelEntry {
    /// Name as the user gave it: `tiny`, a folder, `ORG/NAME`.
    pub name: String,
    /// `model_type` in the model's config.
    pub family: String,
    /// Modules in order.
    pub modules: Vec<ModuleEntry>,
    /// Number of parameters of the base model.
    pub parameters: u64,
}

/// One module.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModuleEntry {
    /// Hugging Face path, such as `model.layers.0.self_attn.q_proj`.
    pub path: String,
    /// Kind of module: `linear`, `embedding`, `norm`, ...
    pub kind: String,
    /// Shape of the weight in the layout of Hugging Face.
    pub shape: Vec<usize>,
}

/// One adapter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AdapterEntry {
    /// Its name.
    pub name: String,
    /// Verb of its method.
    pub method: String,
    /// Whether it is active.
    pub active: bool,
    /// Whether it is merged into the base weights.
    pub merged: bool,
    /// Number of trainable parameters.
    pub trainable: u64,
    /// Description of its settings, such as `r=8 lora_alpha=16`.
    pub settings: String,
    /// Factor by which its effect is scaled.
    pub scale: f64,
    /// The run that its weights come from, if any.
    pub run: Option<String>,
}
