//! `config.json` of the BERT family.

use graft_nn::{ModelShape, ops::Gelu};
use serde_json::Value;

use super::{BERT, Variant};
use crate::{WeightSpec, activation, id2label, sizes::ConfigSizes};

/// The configuration of a BERT model, with the names of Hugging Face.
#[derive(Clone, Debug, PartialEq)]
pub struct BertConfig {
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
    /// Number of token types, of which only the first is used; 0 if there is no table.
    pub type_vocab_size: usize,
    /// Row of the position table that belongs to the first token.
    pub first_position: usize,
    /// Added to the variance inside LayerNorm.
    pub layer_norm_eps: f64,
    /// Form of the GELU.
    pub gelu: Gelu,
    /// Number of classes of the head; `None` for a bare encoder.
    pub num_labels: Option<usize>,
    /// Names of the classes, if `id2label` has others than `LABEL_0`, `LABEL_1`, ….
    pub label_names: Option<Vec<String>>,
    /// Standard deviation of newly initialized weights.
    pub initializer_range: f64,
    /// Differences from BERT.
    pub variant: Variant,
}

impl BertConfig {
    /// Reads the `config.json` of a BERT model. The first architecture determines whether the model
    /// has a head: `BertForSequenceClassification` has one, and `num_labels` or `id2label`
    /// determine the number of classes.
    ///
    /// # Errors
    /// Returns a description of the problem: a missing key, inconsistent sizes or an unsupported
    /// value.
    pub fn from_json(config: &Value) -> Result<Self, String> {
        Self::of_variant(config, BERT)
    }

    /// Reads the `config.json` of a related family.
    ///
    /// # Errors
    /// As [`Self::from_json`].
    pub(crate) fn of_variant(config: &Value, variant: Variant) -> Result<Self, String> {
        let keys = variant.keys;
        let sizes = ConfigSizes(config);
        let number =
            |key: &str, default| config.get(key).and_then(Value::as_f64).unwrap_or(default);
        check_supported(config)?;
        let hidden_size = sizes.needed(keys.hidden)?;
        let num_attention_heads = sizes.needed(keys.heads)?;
        if !hidden_size.is_multiple_of(num_attention_heads) {
            return Err(format!(
                "`{}` must be a multiple of `{}`, got {hidden_size} and {num_attention_heads}",
                keys.hidden, keys.heads
            ));
        }
        let num_labels = id2label::count(config, variant.classifier)?;
        Ok(Self {
            vocab_size: sizes.needed("vocab_size")?,
            hidden_size,
            intermediate_size: sizes.needed(keys.intermediate)?,
            num_hidden_layers: sizes.needed(keys.layers)?,
            num_attention_heads,
            max_position_embeddings: sizes.or("max_position_embeddings", 512)?,
            type_vocab_size: if variant.has_token_types {
                sizes.or("type_vocab_size", 2)?
            } else {
                0
            },
            first_position: 0,
            layer_norm_eps: number("layer_norm_eps", 1e-12),
            gelu: activation::gelu(config, keys.activation, "gelu")?,
            num_labels,
            label_names: id2label::names(config)
                .filter(|names| num_labels.is_none_or(|labels| labels == names.len())),
            initializer_range: number("initializer_range", 0.02),
            variant,
        })
    }

    /// Prefix of the encoder's weight names: that of the family, such as `bert.`, or empty for a
    /// bare encoder, as in transformers.
    pub(super) fn trunk(&self) -> &'static str {
        if self.num_labels.is_some() { self.variant.trunk } else { "" }
    }

    /// Path of the block with this index.
    pub(super) fn block(&self, index: usize) -> String {
        format!("{}{}.{index}", self.trunk(), self.variant.names.blocks)
    }

    /// Path of the linear layer in front of the classifier, or that of a bare encoder's pooler, if
    /// there is one.
    pub(super) fn pooler(&self) -> Option<&'static str> {
        let head = self.variant.head;
        if self.num_labels.is_some() { Some(head.dense) } else { head.bare_pooler }
    }

    /// Longest context in tokens: the rows of the position table from the first token's on.
    fn context(&self) -> usize {
        self.max_position_embeddings - self.first_position
    }

    /// All weights by Hugging Face name.
    pub fn weights(&self) -> Vec<WeightSpec> {
        let width = self.hidden_size;
        let trunk = self.trunk();
        let mut specs = Vec::new();
        let mut add = |name: String, shape: &[usize]| specs.push(WeightSpec::new(name, shape));
        for (table, rows) in [
            ("word", self.vocab_size),
            ("position", self.max_position_embeddings),
            ("token_type", self.type_vocab_size),
        ] {
            if rows > 0 {
                add(format!("{trunk}embeddings.{table}_embeddings.weight"), &[rows, width]);
            }
        }
        for (path, shape) in self.linear_layers() {
            add(format!("{path}.weight"), &shape);
            add(format!("{path}.bias"), &shape[..1]);
        }
        for path in self.norms() {
            add(format!("{path}.weight"), &[width]);
            add(format!("{path}.bias"), &[width]);
        }
        specs
    }

    /// The paths of the linear layers with the shapes of their weights.
    fn linear_layers(&self) -> Vec<(String, [usize; 2])> {
        let width = self.hidden_size;
        let wide = self.intermediate_size;
        let names = self.variant.names;
        let mut maps = Vec::new();
        for layer in 0..self.num_hidden_layers {
            let at = |name: &str| format!("{}.{name}", self.block(layer));
            let square = [names.query, names.key, names.value, names.attention_output];
            maps.extend(square.map(|name| (at(name), [width, width])));
            maps.extend([
                (at(names.intermediate), [wide, width]),
                (at(names.output), [width, wide]),
            ]);
        }
        maps.extend(self.pooler().map(|path| (path.to_owned(), [width, width])));
        let classifier = self.variant.head.classifier;
        maps.extend(self.num_labels.map(|labels| (classifier.to_owned(), [labels, width])));
        maps
    }

    /// The paths of the norms.
    fn norms(&self) -> Vec<String> {
        let names = self.variant.names;
        let mut norms = vec![format!("{}embeddings.LayerNorm", self.trunk())];
        for layer in 0..self.num_hidden_layers {
            let at = |name: &str| format!("{}.{name}", self.block(layer));
            norms.extend([at(names.attention_norm), at(names.output_norm)]);
        }
        norms
    }

    /// The sizes that all families have.
    pub(super) fn shape(&self) -> ModelShape {
        ModelShape {
            family: self.variant.model_type.to_owned(),
            hidden: self.hidden_size,
            layers: self.num_hidden_layers,
            heads: self.num_attention_heads,
            kv_heads: self.num_attention_heads,
            head_dim: self.hidden_size / self.num_attention_heads,
            intermediate: self.intermediate_size,
            vocab: self.vocab_size,
            max_positions: self.context(),
            tied: false,
        }
    }
}

/// Checks the values that this implementation does not support.
fn check_supported(config: &Value) -> Result<(), String> {
    if config.get("is_decoder").and_then(Value::as_bool).unwrap_or(false) {
        return Err(
            "a decoder (`is_decoder`) is not supported; encoders of this family are".to_owned()
        );
    }
    let kind = config.get("position_embedding_type").and_then(Value::as_str).unwrap_or("absolute");
    if kind != "absolute" {
        return Err(format!("position embedding `{kind}` is not supported (absolute is)"));
    }
    Ok(())
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::json;

    use super::*;

    pub(crate) fn json() -> Value {
        json!({"vocab_size": 40, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4,
            "max_position_embeddings": 32, "architectures": ["BertForSequenceClassification"], "id2label": {"0": "a", "1": "b", "2": "c"}})
    }

    #[test]
    fn the_architecture_determines_whether_there_is_a_head() {
        let config = BertConfig::from_json(&json()).unwrap();
        assert_eq!(
            (config.num_labels, config.label_names.unwrap().join(" ")),
            (Some(3), "a b c".to_owned())
        );
        let mut bare = json();
        bare["architectures"] = json!(["BertModel"]);
        let config = BertConfig::from_json(&bare).unwrap();
        assert_eq!(config.num_labels, None);
        assert!(
            config.weights().iter().all(
                |spec| !spec.name.starts_with("bert.") && !spec.name.starts_with("classifier.")
            )
        );
    }

    #[test]
    fn unsupported_values_are_named() {
        for (key, value, word) in [
            ("is_decoder", json!(true), "is_decoder"),
            ("position_embedding_type", json!("relative_key"), "relative_key"),
            ("hidden_act", json!("relu"), "relu"),
            ("num_attention_heads", json!(5), "multiple of `num_attention_heads`"),
        ] {
            let mut config = json();
            config[key] = value;
            let problem = BertConfig::from_json(&config).unwrap_err();
            assert!(problem.contains(word), "{problem}");
        }
    }
}
