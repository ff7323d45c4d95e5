//! The interface of all model families.

use crate::{
    Context, Embedding, EncoderDecoder, LabelNames, Layer, Linear, Parameter, ResidualAdd, Result,
    Role, Site, Tensor, ops,
};

/// The sizes of a model.
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
    /// Longest context in tokens.
    pub max_positions: usize,
    /// Whether the head shares the embedding's weight.
    pub tied: bool,
}

/// The task of a model, as HF PEFT's `task_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// Next-token prediction: [`Model::head`] maps states (.., C) to logits (.., V).
    CausalLm,
    /// Text to text with an encoder and a decoder: [`Model::encoder_decoder`] encodes the input,
    /// and [`Model::hidden`] and [`Model::head`] predict the next token of the output.
    Seq2SeqLm,
    /// Text classification: [`Model::head`] maps states (B, P+T, C) to logits (B, labels).
    SequenceClassification {
        /// Number of classes.
        labels: usize,
    },
    /// Feature extraction: the model has no [`Model::head`].
    FeatureExtraction,
}

impl Task {
    /// `CAUSAL_LM`, `SEQ_2_SEQ_LM`, `SEQ_CLS` or `FEATURE_EXTRACTION`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CausalLm => "CAUSAL_LM",
            Self::Seq2SeqLm => "SEQ_2_SEQ_LM",
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
    /// P: number of positions that soft prompts add in front of the tokens.
    pub virtual_tokens: usize,
}

/// A language model built from the layers of this crate.
pub trait Model: Send + Sync {
    /// The sizes of the model.
    fn shape(&self) -> &ModelShape;

    /// The task of the model.
    fn task(&self) -> Task {
        Task::CausalLm
    }

    /// The encoder of an encoder-decoder; `None` for all other models.
    fn encoder_decoder(&self) -> Option<&dyn EncoderDecoder> {
        None
    }

    /// The class names of a classifier; `None` for all other models.
    fn label_names(&self) -> Option<&LabelNames> {
        None
    }

    /// All layers in the order of the forward pass, the head last. A tied head is not listed.
    fn sites(&self) -> Vec<Site<'_>>;

    /// The head, if it is tied to the embedding and therefore not listed in [`Model::sites`].
    fn tied_head(&self) -> Option<&Linear> {
        None
    }

    /// Paths of the modules that share the token embedding's weight and are not listed in
    /// [`Model::sites`].
    fn tied_modules(&self) -> Vec<&str> {
        self.tied_head().into_iter().map(Linear::path).collect()
    }

    /// The residual additions in the order of the forward pass; empty for families without slots
    /// there.
    fn residual_adds(&self) -> Vec<&ResidualAdd> {
        Vec::new()
    }

    /// The token embedding, which also has the slots for soft prompts and prefixes.
    fn embedding(&self) -> &Embedding;

    /// Computes the hidden states of `ids` with a padding `mask`, which is 1 for a token.
    ///
    /// # Shapes
    /// `ids: (B, T)` `u32`, `mask: (B, T)` `u8` -> `(B, P+T, C)`
    /// # Errors
    /// Returns an error if the shapes do not match or a token is outside the vocabulary.
    fn hidden(&self, ids: &Tensor, mask: Option<&Tensor>, cx: &Context) -> Result<Hidden>;

    /// Computes logits from hidden states.
    ///
    /// # Shapes
    /// `(.., C)` -> `(.., V)`, or `(B, P+T, C)` -> `(B, labels)` for a classifier
    /// # Errors
    /// Returns an error if the width differs; [`crate::NnError::NoHead`] if the model has no head.
    fn head(&self, states: &Tensor, cx: &Context) -> Result<Tensor>;

    /// Computes the logits of whole texts from their hidden states. `last` is the place of the last
    /// token of each text in the flattened states: decoders read it, encoders the first token.
    ///
    /// # Shapes
    /// `states: (B, P+T, C)` or `(1, N, C)` of packed texts -> `(B, labels)`
    /// # Errors
    /// The errors of [`Model::head`].
    fn class_logits(&self, states: &Tensor, _last: &[usize], cx: &Context) -> Result<Tensor> {
        self.head(states, cx)
    }

    /// The cross entropy of `labels` predicted from `states`, summed and divided by `normalizer`.
    /// Families whose head is a [`crate::Linear`] use [`crate::Linear::cross_entropy`], which
    /// avoids storing the logits as a whole.
    ///
    /// # Shapes
    /// `states: (N, C)`, `labels`: N -> scalar
    /// # Errors
    /// The errors of [`Model::head`], and [`crate::NnError::OutOfRange`] for a label outside the
    /// vocabulary.
    fn label_loss(
        &self,
        states: &Tensor,
        labels: &[i64],
        normalizer: f64,
        cx: &Context,
    ) -> Result<Tensor> {
        let logits = self.head(states, cx)?; // (N, V)
        ops::smoothed_cross_entropy(&logits, labels, normalizer, cx.label_smoothing)
    }

    /// The default `target_modules` of LoRA in HF PEFT for this family.
    fn default_targets(&self) -> &'static [&'static str];

    /// Computes the logits of `ids`; the P positions of soft prompts come first, as in HF PEFT.
    ///
    /// # Shapes
    /// `ids, mask: (B, T)` -> `(B, P+T, V)`, or `(B, labels)` for a classifier
    /// # Errors
    /// The errors of [`Model::hidden`] and [`Model::head`].
    fn logits(&self, ids: &Tensor, mask: Option<&Tensor>, cx: &Context) -> Result<Tensor> {
        self.head(&self.hidden(ids, mask, cx)?.states, cx)
    }

    /// All parameters, each once, in the order of [`Model::sites`].
    fn parameters(&self) -> Vec<&Parameter> {
        self.sites().iter().flat_map(|site| site.layer.parameters()).collect()
    }
}

/// The linear layers of a model that can be quantized: all except the head, as in bitsandbytes,
/// because the head must distinguish tokens with similar logits.
pub fn packable(model: &dyn Model) -> Vec<&Linear> {
    let sites = model.sites().into_iter().filter(|site| site.role != Role::Head);
    sites
        .filter_map(|site| if let Layer::Linear(linear) = site.layer { Some(linear) } else { None })
        .collect()
}
