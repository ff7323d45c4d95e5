//! The methods: one file each, and one line in [`METHODS`]. Their keys and words are in graft-protocol.

mod lora;
mod prompt_tuning;

use std::sync::Arc;

use graft_nn::{LinearAdapter, SoftPrompt, Tensor, Var};
use graft_protocol::{Settings, methods::MethodSpec};

use crate::{PeftError, Workbench, config_file::ConfigFile, shared::Shared};

/// Every method.
const METHODS: &[&dyn Method] = &[&lora::Lora, &prompt_tuning::PromptTuning];

/// What a method must say. `adapter_config.json` is the one truth of an adapter: keys become its fields, and parts are built from those
/// whether they came from keys or from a file.
pub(crate) trait Method: Sync {
    /// Words and keys.
    fn spec(&self) -> &'static MethodSpec;

    /// Every field that HF PEFT writes for it, with its default, as a JSON object.
    fn defaults(&self) -> &'static str;

    /// The fields that the keys mean on this model. Keys are checked already.
    ///
    /// # Errors
    /// When the keys cannot be meant together or on this model.
    fn config(&self, bench: &Workbench<'_>, settings: &Settings) -> Result<ConfigFile, PeftError>;

    /// The parts that the fields mean; nothing is put into the model. Fresh ones are initialised, others get their weights from a file.
    ///
    /// # Errors
    /// When a field has an impossible value or asks for what is not built in.
    fn build(&self, bench: &Workbench<'_>, config: &ConfigFile, start: Start) -> Result<Built, PeftError>;
}

/// Where the weights of new parts come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// The method's own initialisation.
    Fresh,
    /// A file: whatever is cheap will do until it is read.
    File,
}

/// An adapter before it is put into the model.
pub(crate) struct Built {
    /// The keys as they turned out: what [`crate::Adapter::summary`] shows.
    pub(crate) settings: Settings,
    /// One per layer.
    pub(crate) parts: Vec<Part>,
    /// What the parts share.
    pub(crate) shared: Arc<Shared>,
    /// What is odd but harmless.
    pub(crate) warnings: Vec<String>,
}

/// What sits in one layer.
pub(crate) struct Part {
    /// Hugging Face path of the layer.
    pub(crate) site: String,
    /// What acts there.
    pub(crate) hook: Hook,
    /// Its weights, by their keys in `adapter_model.safetensors`.
    pub(crate) weights: Vec<(String, Var)>,
    /// Base weights that HF PEFT writes along, by their keys: those of a targeted head, which others may have resized.
    pub(crate) copies: Vec<(String, Tensor)>,
}

/// What acts in a layer.
pub(crate) enum Hook {
    /// In a linear layer.
    Linear(Arc<dyn LinearAdapter>),
    /// In front of the embedded input.
    Prompt(Arc<dyn SoftPrompt>),
}

/// The method of that verb.
pub(crate) fn by_verb(verb: &str) -> Option<&'static dyn Method> {
    METHODS.iter().copied().find(|method| method.spec().verb == verb)
}

/// The method of that `peft_type`.
pub(crate) fn by_peft_type(peft_type: &str) -> Option<&'static dyn Method> {
    METHODS.iter().copied().find(|method| method.spec().peft_type == peft_type)
}
