//! What every model family offers.

use crate::{
    Context, Embedding, LabelNames, Layer, Linear, Parameter, ResidualAdd, Result, Role, Site,
    Tensor, ops,
};

/// Sizes of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelShape {
    /// `model_type` of its config, such as `llama`.
    pub family: String,
    /// C: width of the hidden states.
    pub hidden: usize,
    /// Number of blocks.
    pub layers: usize,
    /// H: attention heads.
    pub heads: usize,
    /// K: heads of keys and values.
    pub kv_heads: usize,
    /// D: width of one head.
    pub head_dim: usize,
    /// F: width of the feed-forward blocks.
    pub intermediate: usize,
    /// V: number of tokens.
    pub vocab: usize,
    /// Most positions it was made for.
    pub max_positions: usize,
    /// Whether the head shares the embedding's weight.
    pub tied: bool,
}

/// What a model is for, in the words of HF PEFT's `task_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// It predicts the next token: [`Model::head`] gives logits (.., V) of states (.., C).
    CausalLm,
    /// It assigns a text to one of `labels` classes: [`Model::head`] gives logits (B, labels) of states (B, P+T, C).
    SequenceClassification {
        /// Number of classes.
        labels: usize,
    },
    /// Its hidden states are all it gives; it has no [`Model::head`].
    FeatureExtraction,
}

impl Task {
    /// `CAUSAL_LM`, `SEQ_CLS` or `FEATURE_EXTRACTION`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CausalLm => "CAUSAL_LM",
            Self::SequenceClassification { .. } => "SEQ_CLS",
            Self::FeatureExtraction => "FEATURE_EXTRACTION",
        }
    }
}

/// Hidden states of a forward pass.
#[derive(Clone, Debug)]
pub struct Hidden {
    /// (B, P+T, C), after the final norm.
    pub states: Tensor,
    /// P: positions that a soft prompt added in front.
    pub virtual_tokens: usize,
}

/// A language model made of the layers of this crate.
pub trait Model: Send + Sync {
    /// Its sizes.
    fn shape(&self) -> &ModelShape;

    /// What it is for.
    fn task(&self) -> Task {
        Task::CausalLm
    }

    /// Names of the classes of a classifier; none for every other model.
    fn label_names(&self) -> Option<&LabelNames> {
        None
    }

    /// Every layer in the order of the forward pass, the head last; a tied head is not listed again.
    fn sites(&self) -> Vec<Site<'_>>;

    /// The head, where it shares the embedding's weight and so is no site of its own.
    fn tied_head(&self) -> Option<&Linear> {
        None
    }

    /// The places where sublayers join the stream, in the order of the forward pass; none in a family that has no slots there.
    fn residual_adds(&self) -> Vec<&ResidualAdd> {
        Vec::new()
    }

    /// The embedding, which holds the soft prompts.
    fn embedding(&self) -> &Embedding;

    /// Hidden states of `ids` (B, T) `u32` under a padding `mask` (B, T) `u8`, 1 for a token.
    ///
    /// # Errors
    /// When shapes do not fit or a token is outside the vocabulary.
    fn hidden(&self, ids: &Tensor, mask: Option<&Tensor>, cx: &Context) -> Result<Hidden>;

    /// Logits of hidden states, by [`Model::task`]: (.., V) of (.., C), or (B, labels) of (B, P+T, C).
    ///
    /// # Errors
    /// When the width differs; [`crate::NnError::NoHead`] when there is none.
    fn head(&self, states: &Tensor, cx: &Context) -> Result<Tensor>;

    /// Loss of the labels predicted from `states` (N, C), summed and divided by `normalizer`. A family whose head is a [`crate::Linear`] answers with
    /// [`crate::Linear::cross_entropy`], which spares the whole logits.
    ///
    /// # Errors
    /// As [`Model::head`], and for a label outside the vocabulary.
    fn label_loss(
        &self,
        states: &Tensor,
        labels: &[i64],
        normalizer: f64,
        cx: &Context,
    ) -> Result<Tensor> {
        ops::cross_entropy(&self.head(states, cx)?, labels, normalizer)
    }

    /// Names of the layers that LoRA targets by default in HF PEFT for this family.
    fn default_targets(&self) -> &'static [&'static str];

    /// Logits (B, P+T, V), or (B, labels) of a classifier; the P positions of a soft prompt come first, as in HF PEFT.
    ///
    /// # Errors
    /// As [`Model::hidden`].
    fn logits(&self, ids: &Tensor, mask: Option<&Tensor>, cx: &Context) -> Result<Tensor> {
        self.head(&self.hidden(ids, mask, cx)?.states, cx)
    }

    /// Every weight once, in the order of [`Model::sites`].
    fn parameters(&self) -> Vec<&Parameter> {
        self.sites().iter().flat_map(|site| site.layer.parameters()).collect()
    }
}

/// The linear layers of a model that may be packed: all but the head, which decides between tokens that lie close together, as in bitsandbytes.
pub fn packable(model: &dyn Model) -> Vec<&Linear> {
    let sites = model.sites().into_iter().filter(|site| site.role != Role::Head);
    sites
        .filter_map(|site| if let Layer::Linear(linear) = site.layer { Some(linear) } else { None })
        .collect()
}
