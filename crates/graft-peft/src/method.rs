//! The trait that every method implements, and the types that it builds adapters from.

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

/// What a method must say. `adapter_config.json` is the one truth of an adapter: keys become its fields, and parts are built from those
/// whether they came from keys or from a file.
pub(crate) trait Method: Sync {
    /// Words and keys.
    fn spec(&self) -> &'static MethodSpec;

    /// Every field that HF PEFT writes for it, with its default, as a JSON object.
    fn defaults(&self) -> &'static str;

    /// Whether a configuration is of this method; two methods may share HF PEFT's `peft_type`.
    fn reads(&self, config: &ConfigFile) -> bool {
        config.text("peft_type") == Some(self.spec().peft_type)
    }

    /// The fields that the keys mean on this model. Keys are checked already.
    ///
    /// # Errors
    /// When the keys cannot be meant together or on this model.
    fn config(&self, cx: &AttachContext<'_>, settings: &Settings) -> Result<ConfigFile, PeftError>;

    /// The parts that the fields mean; nothing is put into the model. Fresh ones are initialised, others get their weights from a file.
    ///
    /// # Errors
    /// When a field has an impossible value or asks for what is not built in.
    fn build(
        &self,
        cx: &AttachContext<'_>,
        config: &ConfigFile,
        init: InitSource,
    ) -> Result<Built, PeftError>;
}

/// An adapter before it is put into the model.
pub(crate) struct Built {
    /// The keys as they turned out: what [`crate::Adapter::summary`] shows.
    pub(crate) settings: Settings,
    /// One per layer.
    pub(crate) parts: Vec<AdapterPart>,
    /// What the parts share.
    pub(crate) state: Arc<AdapterState>,
    /// What is odd but harmless, or was found out on the way.
    pub(crate) warnings: Vec<String>,
    /// The fields, where building has decided some of them.
    pub(crate) config: Option<ConfigFile>,
    /// What it does in a training by itself.
    pub(crate) training_hook: Option<Arc<dyn TrainingHook>>,
    /// What it has to say when it is saved.
    pub(crate) export: Option<Arc<dyn Export>>,
    /// Keys of the file that building has read itself.
    pub(crate) read: Vec<String>,
}

/// Whose files hold something else than what is trained.
pub(crate) trait Export: Send + Sync {
    /// Brings the fields and the weights into the form of HF PEFT's files.
    ///
    /// # Errors
    /// What candle says.
    fn export(
        &self,
        config: &mut ConfigFile,
        state: &mut BTreeMap<String, Tensor>,
    ) -> Result<(), PeftError>;
}

/// What sits in one layer.
pub(crate) struct AdapterPart {
    /// Hugging Face path of the layer.
    pub(crate) site: String,
    /// What acts there.
    pub(crate) attachment: Attachment,
    /// Its weights, by their keys in `adapter_model.safetensors`.
    pub(crate) weights: Vec<(String, Var)>,
    /// Base weights that HF PEFT writes along, by their keys: those of a targeted head, which others may have resized.
    pub(crate) copies: Vec<(String, Tensor)>,
    /// What is written and read like weights but never trained, by their keys: the random matrices of VeRA.
    pub(crate) constants: Vec<(String, Var)>,
    /// Whether its numbers are no more than the base has: HF PEFT trains biases themselves and counts them once.
    pub(crate) in_place: bool,
    /// Numbers that HF PEFT counts as parameters and never trains: AdaLoRA's number of ranks.
    pub(crate) counted: u64,
}

impl Built {
    /// Without warnings.
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
    /// What acts at a path, with its weights by their whole keys.
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

    /// Trained numbers.
    pub(crate) fn trained(&self) -> u64 {
        self.weights.iter().map(|(_, var)| var.elem_count() as u64).sum()
    }

    /// Numbers that the base does not have.
    pub(crate) fn added(&self) -> u64 {
        self.counted + if self.in_place { 0 } else { self.trained() }
    }

    /// Whether it belongs to no layer of the base: the tables show it in rows of its own.
    pub(crate) fn is_standalone(&self) -> bool {
        matches!(
            self.attachment,
            Attachment::Prompt(_)
                | Attachment::Prefix(_)
                | Attachment::ResidualAdd(_)
                | Attachment::Head(_)
        )
    }

    /// What acts in a linear layer; the weights' keys are the layer's with these endings.
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

/// What acts in a layer.
pub(crate) enum Attachment {
    /// In a linear layer.
    Linear(Arc<dyn LinearAdapter>),
    /// In a table of vectors.
    Embedding(Arc<dyn EmbeddingAdapter>),
    /// In front of the embedded input.
    Prompt(Arc<dyn SoftPrompt>),
    /// In front of the keys and values of every block.
    Prefix(Arc<dyn Prefix>),
    /// Between a sublayer and the stream.
    ResidualAdd(Arc<dyn ResidualAdapter>),
    /// In the place of a tied head's weight, and not in that of the embedding, which shares it.
    Head(Arc<dyn WeightOverride>),
    /// In the place of one of the layer's weights, by that weight's path.
    Weight(String, Arc<dyn WeightOverride>),
}
