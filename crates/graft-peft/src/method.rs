//! The trait that every method implements, and the types that adapters are built from.

use std::{collections::BTreeMap, sync::Arc};

use graft_nn::{
    EmbeddingAdapter, Linear, LinearAdapter, Prefix, ResidualAdapter, SoftPrompt, Tensor,
    TrainingHook, Var, WeightOverride,
};
use graft_spec::{Settings, methods::MethodSpec};

use crate::{
    PeftError, adapter_state::AdapterState, attach_context::AttachContext, config_file::ConfigFile,
    init_source::InitSource,
};

/// A fine-tuning method. Keys are first converted to the fields of `adapter_config.json`, and parts
/// are always built from these fields, whether they come from keys or from a file.
pub(crate) trait Method: Sync {
    /// The name and the keys of the method.
    fn spec(&self) -> &'static MethodSpec;

    /// All fields that HF PEFT writes for the method, with their defaults, as a JSON object.
    fn defaults(&self) -> &'static str;

    /// Whether a configuration belongs to this method; two methods may share a `peft_type`.
    fn reads(&self, config: &ConfigFile) -> bool {
        config.text("peft_type") == Some(self.spec().peft_type)
    }

    /// Converts keys that have been checked to fields, for this model.
    ///
    /// # Errors
    /// When keys contradict each other or do not fit the model.
    fn config(&self, cx: &AttachContext<'_>, settings: &Settings) -> Result<ConfigFile, PeftError>;

    /// Builds the parts for these fields without inserting them into the model.
    ///
    /// # Errors
    /// When a field has an invalid value or asks for an unsupported feature.
    fn build(
        &self,
        cx: &AttachContext<'_>,
        config: &ConfigFile,
        init: InitSource,
    ) -> Result<Built, PeftError>;
}

/// An adapter before it is inserted into the model.
pub(crate) struct Built {
    /// The effective keys, shown by [`crate::Adapter::summary`].
    pub(crate) settings: Settings,
    /// The parts, one for each layer.
    pub(crate) parts: Vec<AdapterPart>,
    /// The state that the parts share.
    pub(crate) state: Arc<AdapterState>,
    /// Warnings and notes collected while building the adapter.
    pub(crate) warnings: Vec<String>,
    /// The final fields, if building has changed them.
    pub(crate) config: Option<ConfigFile>,
    /// The method's own part in training.
    pub(crate) training_hook: Option<Arc<dyn TrainingHook>>,
    /// The conversion of the weights when they are saved.
    pub(crate) export: Option<Arc<dyn Export>>,
    /// Keys of the file that have already been read while building.
    pub(crate) read: Vec<String>,
}

/// Implemented by methods whose files differ from their trainable weights.
pub(crate) trait Export: Send + Sync {
    /// Converts the fields and the weights to HF PEFT's format.
    ///
    /// # Errors
    /// Returns an error if a candle operation fails.
    fn export(
        &self,
        config: &mut ConfigFile,
        state: &mut BTreeMap<String, Tensor>,
    ) -> Result<(), PeftError>;
}

/// The part of an adapter in one layer.
pub(crate) struct AdapterPart {
    /// Hugging Face path of the layer.
    pub(crate) site: String,
    /// What is inserted into the layer.
    pub(crate) attachment: Attachment,
    /// Trainable weights, by their keys in `adapter_model.safetensors`.
    pub(crate) weights: Vec<(String, Var)>,
    /// Base weights that HF PEFT includes in the file, by their keys: those of a targeted head,
    /// which may have been resized.
    pub(crate) copies: Vec<(String, Tensor)>,
    /// Weights that are saved and loaded but not trained, by their keys: the random matrices of
    /// VeRA.
    pub(crate) constants: Vec<(String, Var)>,
    /// Whether the weights replace parameters of the base model, such as biases, and therefore add
    /// none.
    pub(crate) in_place: bool,
    /// Values that HF PEFT counts as parameters but does not train: AdaLoRA's number of ranks.
    pub(crate) counted: u64,
}

impl Built {
    /// An adapter without warnings.
    pub(crate) fn new(
        settings: Settings,
        parts: Vec<AdapterPart>,
        state: Arc<AdapterState>,
    ) -> Self {
        Self {
            settings,
            parts,
            state,
            warnings: Vec::new(),
            config: None,
            training_hook: None,
            export: None,
            read: Vec::new(),
        }
    }
}

impl AdapterPart {
    /// A part at a path, with its weights by their full keys.
    pub(crate) fn new(site: &str, attachment: Attachment, weights: Vec<(String, Var)>) -> Self {
        Self {
            site: site.to_owned(),
            attachment,
            weights,
            copies: Vec::new(),
            constants: Vec::new(),
            in_place: false,
            counted: 0,
        }
    }

    /// Number of trainable parameters.
    pub(crate) fn trained(&self) -> u64 {
        self.weights.iter().map(|(_, var)| var.elem_count() as u64).sum()
    }

    /// Number of parameters that the base model does not have.
    pub(crate) fn added(&self) -> u64 {
        self.counted + if self.in_place { 0 } else { self.trained() }
    }

    /// Whether the part belongs to no layer of the base model: tables show it in rows of its own.
    pub(crate) fn is_standalone(&self) -> bool {
        matches!(
            self.attachment,
            Attachment::Prompt(_)
                | Attachment::Prefix(_)
                | Attachment::ResidualAdd(_)
                | Attachment::Head(_)
        )
    }

    /// A part in a linear layer. The keys of the weights are suffixes of the layer's path.
    pub(crate) fn linear(
        linear: &Linear,
        adapter: Arc<dyn LinearAdapter>,
        weights: Vec<(&str, Var)>,
    ) -> Self {
        let weights = weights
            .into_iter()
            .map(|(ending, var)| (format!("base_model.model.{}.{ending}", linear.path()), var));
        Self::new(linear.path(), Attachment::Linear(adapter), weights.collect())
    }
}

/// What a part inserts into the model, and where.
pub(crate) enum Attachment {
    /// An adapter in a linear layer.
    Linear(Arc<dyn LinearAdapter>),
    /// An adapter in an embedding.
    Embedding(Arc<dyn EmbeddingAdapter>),
    /// Vectors in front of the embedded input.
    Prompt(Arc<dyn SoftPrompt>),
    /// Keys and values in front of those of every block.
    Prefix(Arc<dyn Prefix>),
    /// A network between a sublayer and the residual stream.
    ResidualAdd(Arc<dyn ResidualAdapter>),
    /// A replacement for the weight of a tied head that does not affect the embedding.
    Head(Arc<dyn WeightOverride>),
    /// A replacement for one weight of the layer, by the path of the weight.
    Weight(String, Arc<dyn WeightOverride>),
}
