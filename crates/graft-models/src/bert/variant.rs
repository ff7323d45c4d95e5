//! The differences between BERT and the encoders that share its blocks.

/// The differences of a related family from BERT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Variant {
    /// `model_type` of its config.json.
    pub model_type: &'static str,
    /// The architecture with a classification head.
    pub classifier: &'static str,
    /// Prefix of the encoder's weight names in a model with a head.
    pub trunk: &'static str,
    /// Whether there is an embedding of token types.
    pub has_token_types: bool,
    /// Keys of its config.json.
    pub(crate) keys: Keys,
    /// Names of its modules.
    pub(crate) names: BlockNames,
    /// The classification head.
    pub(crate) head: HeadNames,
    /// The default `target_modules` of LoRA.
    pub(crate) targets: &'static [&'static str],
}

/// The keys of the sizes in config.json.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Keys {
    pub(crate) hidden: &'static str,
    pub(crate) intermediate: &'static str,
    pub(crate) layers: &'static str,
    pub(crate) heads: &'static str,
    pub(crate) activation: &'static str,
}

/// The names of the modules of one block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BlockNames {
    /// The list that contains the blocks.
    pub(crate) blocks: &'static str,
    pub(crate) query: &'static str,
    pub(crate) key: &'static str,
    pub(crate) value: &'static str,
    pub(crate) attention_output: &'static str,
    /// AdapterHub's place of an adapter after attention.
    pub(crate) attn_adapters: &'static str,
    pub(crate) attention_norm: &'static str,
    pub(crate) intermediate: &'static str,
    pub(crate) output: &'static str,
    /// AdapterHub's place of an adapter after the feed-forward part.
    pub(crate) mlp_adapters: &'static str,
    pub(crate) output_norm: &'static str,
}

/// The classification head: `logits = classifier(activation(dense(x[0])))`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HeadNames {
    pub(crate) dense: &'static str,
    pub(crate) activation: HeadActivation,
    pub(crate) classifier: &'static str,
    /// The pooler of a bare encoder, which is loaded and saved without being used.
    pub(crate) bare_pooler: Option<&'static str>,
}

/// The activation between the two layers of the head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeadActivation {
    Tanh,
    Relu,
}

/// BERT itself.
pub(crate) const BERT: Variant = Variant {
    model_type: "bert",
    classifier: "BertForSequenceClassification",
    trunk: "bert.",
    has_token_types: true,
    keys: Keys {
        hidden: "hidden_size",
        intermediate: "intermediate_size",
        layers: "num_hidden_layers",
        heads: "num_attention_heads",
        activation: "hidden_act",
    },
    names: BlockNames {
        blocks: "encoder.layer",
        query: "attention.self.query",
        key: "attention.self.key",
        value: "attention.self.value",
        attention_output: "attention.output.dense",
        attn_adapters: "attention.output",
        attention_norm: "attention.output.LayerNorm",
        intermediate: "intermediate.dense",
        output: "output.dense",
        mlp_adapters: "output",
        output_norm: "output.LayerNorm",
    },
    head: HeadNames {
        dense: "bert.pooler.dense",
        activation: HeadActivation::Tanh,
        classifier: "classifier",
        bare_pooler: Some("pooler.dense"),
    },
    targets: &["query", "value"],
};
