//! `config.json` of the Llama family and related families, in the formats of transformers 4 and 5.

use graft_nn::{ModelShape, Norm, NormKind, ops::RopeScaling};
use serde_json::{Value, json};

use crate::{
    ModelError, WeightSpec,
    decoder::{self, Gate, Layout, QkNorm},
    id2label,
    parts::Parts,
    rope,
    sizes::ConfigSizes,
};

/// The differences of a related family, or of a classifier, from a Llama language model.
#[derive(Clone, Debug, PartialEq)]
pub struct Variant {
    /// `model_type` of its config.json.
    pub model_type: &'static str,
    /// `architectures` of its config.json.
    pub architecture: &'static str,
    /// Order and names of its layers.
    pub layout: Layout,
    /// Its norms.
    pub norm: NormKind,
    /// Activation of its feed-forward networks.
    pub gate: Gate,
    /// Whether the query, key and value projections have a bias and the output projection has none,
    /// independent of `attention_bias`.
    pub qkv_bias: bool,
    /// Normalization of queries and keys before the rotation.
    pub qk_norm: QkNorm,
    /// The sliding window of each layer; empty if all layers use full attention.
    pub windows: Vec<Option<usize>>,
    /// Base and scaling of the rotary angles in layers with a sliding window, if they differ.
    pub sliding_rope: Option<(f64, RopeScaling)>,
    /// Width of the rotated part of a head, if it is not the whole head.
    pub rotary_dim: Option<usize>,
    /// Whether each layer has a rotation; empty if all layers have one.
    pub rope_layers: Vec<bool>,
    /// Factor on the scores of attention, if it is not `1 / sqrt(D)`.
    pub attention_scale: Option<f64>,
    /// Bound of the scores of attention.
    pub attn_logit_softcapping: Option<f32>,
    /// Bound of the logits.
    pub final_logit_softcapping: Option<f32>,
    /// Factor on the vectors of tokens, which is part of the embedding.
    pub token_scale: f64,
    /// Factor on the vectors of tokens and soft prompts.
    pub embedding_multiplier: f64,
    /// Factor on the outputs of attention and feed-forward network.
    pub residual_multiplier: f64,
    /// Divisor of the logits.
    pub logits_scaling: f64,
    /// Whether attention and feed-forward network read the same hidden states (GPT-NeoX).
    pub parallel_residual: bool,
    /// Number of classes of a classification head; `None` for a language model.
    pub labels: Option<usize>,
    /// Names of the classes, if `id2label` has others than `LABEL_0`, `LABEL_1`, ….
    pub label_names: Option<Vec<String>>,
    /// The token after which a padded text has ended, for a classification head.
    pub pad_token_id: Option<u32>,
}

impl Default for Variant {
    fn default() -> Self {
        Self {
            model_type: "llama",
            architecture: "LlamaForCausalLM",
            layout: Layout::Llama,
            norm: NormKind::RootMeanSquare,
            gate: Gate::Silu,
            qkv_bias: false,
            qk_norm: QkNorm::None,
            windows: Vec::new(),
            sliding_rope: None,
            rotary_dim: None,
            rope_layers: Vec::new(),
            attention_scale: None,
            attn_logit_softcapping: None,
            final_logit_softcapping: None,
            token_scale: 1.0,
            embedding_multiplier: 1.0,
            residual_multiplier: 1.0,
            logits_scaling: 1.0,
            parallel_residual: false,
            labels: None,
            label_names: None,
            pad_token_id: None,
        }
    }
}

/// The configuration of a Llama model, with the names of Hugging Face.
#[derive(Clone, Debug, PartialEq)]
pub struct LlamaConfig {
    /// `V`: rows of the embedding.
    pub vocab_size: usize,
    /// `C`: size of the hidden states.
    pub hidden_size: usize,
    /// `F`: size of the feed-forward layers.
    pub intermediate_size: usize,
    /// Number of layers.
    pub num_hidden_layers: usize,
    /// `H`: number of query heads.
    pub num_attention_heads: usize,
    /// `K`: number of key and value heads; `H / K` query heads share one.
    pub num_key_value_heads: usize,
    /// `D`: width of one head.
    pub head_dim: usize,
    /// Longest context in tokens.
    pub max_position_embeddings: usize,
    /// Added to the mean square inside RMSNorm.
    pub rms_norm_eps: f64,
    /// Base of the rotary angles.
    pub rope_theta: f64,
    /// Scaling of the rotary frequencies for long contexts.
    pub rope_scaling: RopeScaling,
    /// Whether the head shares the weight of the embedding.
    pub tie_word_embeddings: bool,
    /// Whether the four attention projections have a bias.
    pub attention_bias: bool,
    /// Whether the three feed-forward layers have a bias.
    pub mlp_bias: bool,
    /// Standard deviation of newly initialized weights.
    pub initializer_range: f64,
    /// The related family, if it is not Llama itself.
    pub variant: Variant,
}

impl LlamaConfig {
    /// Reads `config.json`.
    ///
    /// # Errors
    /// Returns a description of the problem: a missing key, inconsistent sizes or an unsupported
    /// value.
    pub fn from_json(config: &Value) -> Result<Self, String> {
        let activation = config.get("hidden_act").and_then(Value::as_str).unwrap_or("silu");
        if activation != "silu" && activation != "swish" {
            return Err(format!(
                "activation `{activation}` is not supported in the Llama family (silu is)"
            ));
        }
        Self::with_defaults(config, None)
    }

    /// Reads `config.json` whatever its activation; `head_dim` is the default for a missing key,
    /// and `C / H` without one.
    ///
    /// # Errors
    /// The errors of [`LlamaConfig::from_json`].
    pub(crate) fn with_defaults(config: &Value, head_dim: Option<usize>) -> Result<Self, String> {
        let sizes = ConfigSizes(config);
        let number =
            |key: &str, default| config.get(key).and_then(Value::as_f64).unwrap_or(default);
        let flag = |key: &str| config.get(key).and_then(Value::as_bool).unwrap_or(false);
        let (rope_theta, rope_scaling) = rope::from_config(config)?;
        let hidden_size = sizes.needed("hidden_size")?;
        let num_attention_heads = sizes.needed("num_attention_heads")?;
        let parsed = Self {
            vocab_size: sizes.needed("vocab_size")?,
            hidden_size,
            intermediate_size: sizes.needed("intermediate_size")?,
            num_hidden_layers: sizes.needed("num_hidden_layers")?,
            num_attention_heads,
            num_key_value_heads: sizes.or("num_key_value_heads", num_attention_heads)?,
            head_dim: sizes
                .or("head_dim", head_dim.unwrap_or(hidden_size / num_attention_heads))?,
            max_position_embeddings: rope::positions(
                sizes.or("max_position_embeddings", 2048)?,
                &rope_scaling,
            ),
            rms_norm_eps: number("rms_norm_eps", 1e-6),
            rope_theta,
            rope_scaling,
            tie_word_embeddings: flag("tie_word_embeddings"),
            attention_bias: flag("attention_bias"),
            mlp_bias: flag("mlp_bias"),
            initializer_range: number("initializer_range", 0.02),
            variant: classifier(config)?,
        };
        parsed.check()?;
        Ok(parsed)
    }

    /// The `config.json` for transformers 4 and 5. `bos` and `eos` are token ids.
    pub fn to_json(&self, bos: Option<u32>, eos: Option<u32>) -> Value {
        let rope = rope::to_config(self.rope_theta, &self.rope_scaling);
        let scaling =
            if self.rope_scaling == RopeScaling::Default { Value::Null } else { rope.clone() };
        json!({
            "architectures": [self.variant.architecture], "model_type": self.variant.model_type, "hidden_act": "silu", "torch_dtype": "float32",
            "vocab_size": self.vocab_size, "hidden_size": self.hidden_size, "intermediate_size": self.intermediate_size,
            "num_hidden_layers": self.num_hidden_layers, "num_attention_heads": self.num_attention_heads,
            "num_key_value_heads": self.num_key_value_heads, "head_dim": self.head_dim,
            "max_position_embeddings": self.max_position_embeddings, "rms_norm_eps": self.rms_norm_eps,
            "rope_theta": self.rope_theta, "rope_scaling": scaling, "rope_parameters": rope,
            "tie_word_embeddings": self.tie_word_embeddings, "attention_bias": self.attention_bias, "mlp_bias": self.mlp_bias,
            "attention_dropout": 0.0, "initializer_range": self.initializer_range, "use_cache": true, "pretraining_tp": 1,
            "bos_token_id": bos, "eos_token_id": eos,
        })
    }

    /// All weights by Hugging Face name, in the order in which the model is built.
    pub fn weights(&self) -> Vec<WeightSpec> {
        decoder::weights(self)
    }

    /// A norm of the family.
    ///
    /// # Errors
    /// The errors of the source of the weights.
    pub(crate) fn norm(
        &self,
        parts: &mut Parts<'_, '_>,
        path: &str,
        width: usize,
    ) -> Result<Norm, ModelError> {
        match self.variant.norm {
            NormKind::RootMeanSquare => parts.rms_norm(path, width, self.rms_norm_eps),
            NormKind::RootMeanSquareOffset => parts.rms_offset(path, width, self.rms_norm_eps),
            NormKind::Layer => parts.layer_norm(path, width, self.rms_norm_eps),
        }
    }

    /// Whether the query, key and value projections have a bias, and whether the output projection
    /// has one.
    pub(crate) fn attention_biases(&self) -> (bool, bool) {
        (
            self.attention_bias || self.variant.qkv_bias,
            self.attention_bias && !self.variant.qkv_bias,
        )
    }

    /// The sizes that all families have.
    pub(crate) fn shape(&self) -> ModelShape {
        ModelShape {
            family: self.variant.model_type.to_owned(),
            hidden: self.hidden_size,
            layers: self.num_hidden_layers,
            heads: self.num_attention_heads,
            kv_heads: self.num_key_value_heads,
            head_dim: self.head_dim,
            intermediate: self.intermediate_size,
            vocab: self.vocab_size,
            max_positions: self.max_position_embeddings,
            tied: self.tie_word_embeddings && self.variant.labels.is_none(),
        }
    }

    fn check(&self) -> Result<(), String> {
        if !self.num_attention_heads.is_multiple_of(self.num_key_value_heads) {
            return Err(format!(
                "{} query heads are not a multiple of {} key heads",
                self.num_attention_heads, self.num_key_value_heads
            ));
        }
        if self.head_dim == 0 || !self.head_dim.is_multiple_of(2) {
            return Err(format!(
                "`head_dim` must be even for rotary embeddings, got {} dimensions",
                self.head_dim
            ));
        }
        Ok(())
    }
}

/// The classification head of a config, if its first architecture is a
/// `...ForSequenceClassification`.
fn classifier(config: &Value) -> Result<Variant, String> {
    let architecture =
        config.get("architectures").and_then(|names| names.get(0)).and_then(Value::as_str);
    let is_classifier =
        architecture.is_some_and(|name| name.ends_with("ForSequenceClassification"));
    let named = config.get("id2label").and_then(Value::as_object).map_or(0, |names| names.len());
    let labels = ConfigSizes(config).or("num_labels", if named == 0 { 2 } else { named });
    let labels = is_classifier.then_some(labels).transpose()?;
    let padding = config.get("pad_token_id").and_then(Value::as_u64);
    Ok(Variant {
        labels,
        label_names: id2label::names(config)
            .filter(|names| labels.is_none_or(|labels| labels == names.len())),
        pad_token_id: padding.and_then(|id| u32::try_from(id).ok()),
        ..Variant::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn smallest() -> Value {
        json!({"vocab_size": 96, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4})
    }

    #[test]
    fn absent_keys_have_the_defaults_of_transformers() {
        let config = LlamaConfig::from_json(&smallest()).unwrap();
        assert_eq!(
            (config.num_key_value_heads, config.head_dim, config.max_position_embeddings),
            (4, 8, 2048)
        );
        assert!(!config.tie_word_embeddings && !config.attention_bias);
    }

    #[test]
    fn saved_weights_are_read_back() {
        let mut config = LlamaConfig::from_json(&smallest()).unwrap();
        config.rope_scaling = RopeScaling::Llama3 {
            factor: 8.0,
            low_freq_factor: 1.0,
            high_freq_factor: 4.0,
            original_max_positions: 64.0,
        };
        config.tie_word_embeddings = true;
        assert_eq!(LlamaConfig::from_json(&config.to_json(Some(1), Some(2))).unwrap(), config);
    }

    #[test]
    fn a_bad_config_is_refused_with_the_reason() {
        let mut config = smallest();
        config["hidden_size"] = json!(-1);
        assert!(LlamaConfig::from_json(&config).unwrap_err().contains("`hidden_size`"));
        let mut config = smallest();
        config["num_key_value_heads"] = json!(3);
        assert!(LlamaConfig::from_json(&config).unwrap_err().contains("4 query heads"));
        let mut config = smallest();
        config["head_dim"] = json!(7);
        assert!(LlamaConfig::from_json(&config).unwrap_err().contains("7 dimensions"));
    }
}
