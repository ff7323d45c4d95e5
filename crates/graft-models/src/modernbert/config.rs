//! `config.json` of the ModernBERT family, in the formats of transformers 4 and 5.

use graft_nn::{
    ModelShape,
    ops::{Gelu, RopeScaling},
};
use serde_json::{Value, json};

use crate::{WeightSpec, activation, id2label, rope, sizes::ConfigSizes, window};

/// The vector from which a classifier predicts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pooling {
    /// `cls`: that of the first token.
    First,
    /// `mean`: the mean over all tokens.
    Mean,
}

/// The configuration of a ModernBERT model, with the names of Hugging Face.
#[derive(Clone, Debug, PartialEq)]
pub struct ModernBertConfig {
    /// `V`: rows of the embedding.
    pub vocab_size: usize,
    /// `C`: size of the hidden states.
    pub hidden_size: usize,
    /// `F`: size of the feed-forward layers.
    pub intermediate_size: usize,
    /// Number of layers.
    pub num_hidden_layers: usize,
    /// `H`: number of heads.
    pub num_attention_heads: usize,
    /// Longest context in tokens.
    pub max_position_embeddings: usize,
    /// Added to the variance inside LayerNorm.
    pub norm_eps: f64,
    /// Whether the norms have a bias.
    pub norm_bias: bool,
    /// Whether the projections of attention have a bias.
    pub attention_bias: bool,
    /// Whether the feed-forward layers have a bias.
    pub mlp_bias: bool,
    /// Whether the layer in front of the classifier has a bias.
    pub classifier_bias: bool,
    /// Form of the GELU in the blocks.
    pub gelu: Gelu,
    /// Form of the GELU in front of the classifier.
    pub classifier_gelu: Gelu,
    /// The vector from which a classifier predicts.
    pub classifier_pooling: Pooling,
    /// Whether each layer sees the whole text.
    pub is_global: Vec<bool>,
    /// Number of tokens that a local layer sees, half of them to either side.
    pub local_attention: usize,
    /// Base of the rotation and scaling in global layers.
    pub global_rope: (f64, RopeScaling),
    /// Base of the rotation and scaling in local layers.
    pub local_rope: (f64, RopeScaling),
    /// Number of classes of the head; `None` for a bare encoder.
    pub num_labels: Option<usize>,
    /// Names of the classes, if `id2label` has others than `LABEL_0`, `LABEL_1`, ….
    pub label_names: Option<Vec<String>>,
    /// Standard deviation of newly initialized weights.
    pub initializer_range: f64,
}

impl ModernBertConfig {
    /// Reads `config.json`. `ModernBertForSequenceClassification` as the first architecture gives
    /// the model a head.
    ///
    /// # Errors
    /// Returns a description of the problem: a missing key, inconsistent sizes or an unsupported
    /// value.
    pub fn from_json(config: &Value) -> Result<Self, String> {
        let sizes = ConfigSizes(config);
        let number =
            |key: &str, default| config.get(key).and_then(Value::as_f64).unwrap_or(default);
        let flag = |key: &str| config.get(key).and_then(Value::as_bool).unwrap_or(false);
        let hidden_size = sizes.needed("hidden_size")?;
        let num_attention_heads = sizes.needed("num_attention_heads")?;
        if !hidden_size.is_multiple_of(2 * num_attention_heads) {
            return Err(format!(
                "`hidden_size` must be an even multiple of `num_attention_heads`, got \
                 {hidden_size} and {num_attention_heads}"
            ));
        }
        let num_hidden_layers = sizes.needed("num_hidden_layers")?;
        let num_labels = id2label::count(config, "ModernBertForSequenceClassification")?;
        Ok(Self {
            vocab_size: sizes.needed("vocab_size")?,
            hidden_size,
            intermediate_size: sizes.needed("intermediate_size")?,
            num_hidden_layers,
            num_attention_heads,
            max_position_embeddings: sizes.or("max_position_embeddings", 8192)?,
            norm_eps: number("norm_eps", 1e-5),
            norm_bias: flag("norm_bias"),
            attention_bias: flag("attention_bias"),
            mlp_bias: flag("mlp_bias"),
            classifier_bias: flag("classifier_bias"),
            gelu: activation::gelu(config, "hidden_activation", "gelu")?,
            classifier_gelu: activation::gelu(config, "classifier_activation", "gelu")?,
            classifier_pooling: pooling(config)?,
            is_global: global_layers(config, num_hidden_layers)?,
            local_attention: sizes.or("local_attention", 128)?,
            global_rope: layer_rope(
                config,
                "full_attention",
                number("global_rope_theta", 160_000.0),
            )?,
            local_rope: layer_rope(config, "sliding_attention", local_theta(config))?,
            num_labels,
            label_names: id2label::names(config)
                .filter(|names| num_labels.is_none_or(|labels| labels == names.len())),
            initializer_range: number("initializer_range", 0.02),
        })
    }

    /// Prefix of the encoder's weight names: `model.`, or empty for a bare encoder, as in
    /// transformers.
    pub(super) fn trunk(&self) -> &'static str {
        if self.num_labels.is_some() { "model." } else { "" }
    }

    /// All weights by Hugging Face name.
    pub fn weights(&self) -> Vec<WeightSpec> {
        let width = self.hidden_size;
        let wide = self.intermediate_size;
        let trunk = self.trunk();
        let mut specs = Vec::new();
        let mut add = |path: String, shape: &[usize], has_bias: bool| {
            specs.push(WeightSpec::new(format!("{path}.weight"), shape));
            if has_bias {
                specs.push(WeightSpec::new(format!("{path}.bias"), &shape[..1]));
            }
        };
        add(format!("{trunk}embeddings.tok_embeddings"), &[self.vocab_size, width], false);
        add(format!("{trunk}embeddings.norm"), &[width], self.norm_bias);
        for layer in 0..self.num_hidden_layers {
            let at = |name: &str| format!("{trunk}layers.{layer}.{name}");
            if layer > 0 {
                add(at("attn_norm"), &[width], self.norm_bias);
            }
            add(at("attn.Wqkv"), &[3 * width, width], self.attention_bias);
            add(at("attn.Wo"), &[width, width], self.attention_bias);
            add(at("mlp_norm"), &[width], self.norm_bias);
            add(at("mlp.Wi"), &[2 * wide, width], self.mlp_bias);
            add(at("mlp.Wo"), &[width, wide], self.mlp_bias);
        }
        add(format!("{trunk}final_norm"), &[width], self.norm_bias);
        if let Some(labels) = self.num_labels {
            add("head.dense".to_owned(), &[width, width], self.classifier_bias);
            add("head.norm".to_owned(), &[width], self.norm_bias);
            add("classifier".to_owned(), &[labels, width], true);
        }
        specs
    }

    /// The sizes that all families have.
    pub(super) fn shape(&self) -> ModelShape {
        ModelShape {
            family: "modernbert".to_owned(),
            hidden: self.hidden_size,
            layers: self.num_hidden_layers,
            heads: self.num_attention_heads,
            kv_heads: self.num_attention_heads,
            head_dim: self.hidden_size / self.num_attention_heads,
            intermediate: self.intermediate_size,
            vocab: self.vocab_size,
            max_positions: self.max_position_embeddings,
            tied: false,
        }
    }
}

fn pooling(config: &Value) -> Result<Pooling, String> {
    match config.get("classifier_pooling").and_then(Value::as_str).unwrap_or("cls") {
        "cls" => Ok(Pooling::First),
        "mean" => Ok(Pooling::Mean),
        other => Err(format!("`classifier_pooling` `{other}` is not supported (cls and mean are)")),
    }
}

/// Whether each layer is global: from `layer_types` (transformers 5), or else the first of every
/// `global_attn_every_n_layers`.
fn global_layers(config: &Value, layers: usize) -> Result<Vec<bool>, String> {
    if config.get("layer_types").is_some_and(Value::is_array) {
        let windows = window::of_layers(config, layers, 0, Some(1))?;
        return Ok(windows.iter().map(Option::is_none).collect());
    }
    let every = ConfigSizes(config).or("global_attn_every_n_layers", 3)?;
    Ok((0..layers).map(|layer| layer.is_multiple_of(every)).collect())
}

/// `local_rope_theta`; without it local layers rotate as global ones.
fn local_theta(config: &Value) -> f64 {
    let number = |key: &str| config.get(key).and_then(Value::as_f64);
    match config.get("local_rope_theta") {
        Some(Value::Null) => number("global_rope_theta").unwrap_or(160_000.0),
        _ => number("local_rope_theta").unwrap_or(10_000.0),
    }
}

/// Base and scaling of one kind of layer: from its own object in `rope_parameters` (transformers
/// 5), or else `theta` and the scaling of all layers.
fn layer_rope(config: &Value, kind: &str, theta: f64) -> Result<(f64, RopeScaling), String> {
    let mut own = config
        .get("rope_parameters")
        .and_then(|parameters| parameters.get(kind))
        .or_else(|| config.get("rope_scaling"))
        .filter(|own| own.is_object())
        .cloned()
        .unwrap_or_else(|| json!({}));
    if own.get("rope_theta").is_none() {
        own["rope_theta"] = theta.into();
    }
    rope::from_config(&json!({ "rope_parameters": own }))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(crate) fn json() -> Value {
        json!({"vocab_size": 40, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 4, "num_attention_heads": 4,
            "max_position_embeddings": 32, "local_attention": 4, "architectures": ["ModernBertForSequenceClassification"], "num_labels": 3})
    }

    #[test]
    fn both_spellings_of_transformers_mean_the_same() {
        let mut four = json();
        four["global_rope_theta"] = 8000.0.into();
        four["local_rope_theta"] = 50.0.into();
        let mut five = json();
        five["rope_parameters"] = json!({"full_attention": {"rope_type": "default", "rope_theta": 8000.0},
            "sliding_attention": {"rope_type": "default", "rope_theta": 50.0}});
        five["layer_types"] =
            json!(["full_attention", "sliding_attention", "sliding_attention", "full_attention"]);
        let config = ModernBertConfig::from_json(&four).unwrap();
        assert_eq!(config, ModernBertConfig::from_json(&five).unwrap());
        assert_eq!((config.global_rope.0, config.local_rope.0), (8000.0, 50.0));
        assert_eq!(config.is_global, [true, false, false, true]);
        four["local_rope_theta"] = Value::Null;
        assert_eq!(ModernBertConfig::from_json(&four).unwrap().local_rope.0, 8000.0);
    }

    #[test]
    fn unsupported_values_are_named() {
        for (key, value, word) in [
            ("classifier_pooling", json!("max"), "`max`"),
            ("hidden_activation", json!("silu"), "`silu`"),
            ("num_attention_heads", json!(16), "even multiple"),
            ("layer_types", json!(["full_attention"]), "1 entries for 4 layers"),
            ("rope_parameters", json!({"full_attention": {"rope_type": "ntk"}}), "`ntk`"),
        ] {
            let mut config = json();
            config[key] = value;
            let problem = ModernBertConfig::from_json(&config).unwrap_err();
            assert!(problem.contains(word), "{problem}");
        }
    }
}
