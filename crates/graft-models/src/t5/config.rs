//! `config.json` of the T5 family, in the formats of transformers 4 and 5.

use graft_nn::{
    ModelShape, Result as NnResult, Tensor,
    ops::{self, Gelu},
};
use serde_json::Value;

use crate::{WeightSpec, sizes::ConfigSizes};

/// The activation of the feed-forward parts, with or without a gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// `max(x, 0)`.
    Relu,
    /// A form of the GELU.
    Gelu(Gelu),
    /// `x / (1 + exp(-x))`.
    Silu,
}

impl Activation {
    /// The activated first input, times the second one if there is one: (B, T, F) -> (B, T, F).
    pub(super) fn apply(self, inputs: &[Tensor]) -> NnResult<Tensor> {
        let activate = |x: &Tensor| match self {
            Self::Relu => Ok(x.relu()?),
            Self::Gelu(kind) => ops::gelu(x, kind),
            Self::Silu => Ok(x.silu()?),
        };
        match inputs {
            [gate, x] => Ok((activate(gate)? * x)?),
            [x, ..] => activate(x),
            [] => Err(graft_nn::NnError::Shape {
                what: "feed-forward part",
                expected: "one or two input layers".to_owned(),
                found: vec![0],
            }),
        }
    }
}

/// The configuration of a T5 model, with the names of Hugging Face.
#[derive(Clone, Debug, PartialEq)]
pub struct T5Config {
    /// `model_type`: `t5` or `mt5`.
    pub model_type: &'static str,
    /// `V`: rows of the embedding.
    pub vocab_size: usize,
    /// `C`: size of the hidden states.
    pub d_model: usize,
    /// `D`: width of one head.
    pub d_kv: usize,
    /// `F`: size of the feed-forward layers.
    pub d_ff: usize,
    /// Number of blocks of the encoder.
    pub num_layers: usize,
    /// Number of blocks of the decoder.
    pub num_decoder_layers: usize,
    /// `H`: number of heads.
    pub num_heads: usize,
    /// Longest text in training; positions are relative, so longer ones work too.
    pub n_positions: usize,
    /// Number of buckets of distances.
    pub relative_attention_num_buckets: usize,
    /// Distance from which all keys share a bucket.
    pub relative_attention_max_distance: usize,
    /// Added to the mean square inside RMSNorm.
    pub layer_norm_epsilon: f64,
    /// The activation of the feed-forward parts.
    pub activation: Activation,
    /// Whether the feed-forward parts have a gate.
    pub is_gated: bool,
    /// Whether the head shares the embedding's weight.
    pub tie_word_embeddings: bool,
    /// Whether the hidden states are divided by sqrt(C) in front of the head.
    pub scale_decoder_outputs: bool,
    /// The token that begins every output.
    pub decoder_start_token_id: u32,
}

impl T5Config {
    /// Reads `config.json`.
    ///
    /// # Errors
    /// Returns a description of the problem: a missing key, inconsistent sizes or an unsupported
    /// value.
    pub fn from_json(config: &Value) -> Result<Self, String> {
        let sizes = ConfigSizes(config);
        let flag = |key: &str| config.get(key).and_then(Value::as_bool);
        let num_layers = sizes.needed("num_layers")?;
        let buckets = sizes.or("relative_attention_num_buckets", 32)?;
        let max_distance = sizes.or("relative_attention_max_distance", 128)?;
        if buckets < 4 || !buckets.is_multiple_of(2) || max_distance <= buckets / 2 {
            return Err(format!(
                "`relative_attention_num_buckets` must be even, at least 4 and less than twice \
                 `relative_attention_max_distance`, got {buckets} and {max_distance}"
            ));
        }
        let is_multilingual = config.get("model_type").and_then(Value::as_str) == Some("mt5");
        let (model_type, feed_forward) =
            if is_multilingual { ("mt5", "gated-gelu") } else { ("t5", "relu") };
        let (activation, is_gated) = activation(config, feed_forward)?;
        let tied = flag("tie_word_embeddings").unwrap_or(!is_multilingual);
        let vocab_size = sizes.needed("vocab_size")?;
        Ok(Self {
            model_type,
            vocab_size,
            d_model: sizes.needed("d_model")?,
            d_kv: sizes.or("d_kv", 64)?,
            d_ff: sizes.needed("d_ff")?,
            num_layers,
            num_decoder_layers: sizes.or("num_decoder_layers", num_layers)?,
            num_heads: sizes.needed("num_heads")?,
            n_positions: sizes.or("n_positions", 512)?,
            relative_attention_num_buckets: buckets,
            relative_attention_max_distance: max_distance,
            layer_norm_epsilon: config
                .get("layer_norm_epsilon")
                .and_then(Value::as_f64)
                .unwrap_or(1e-6),
            activation,
            is_gated,
            tie_word_embeddings: tied,
            scale_decoder_outputs: flag("scale_decoder_outputs")
                .unwrap_or(tied && !is_multilingual),
            decoder_start_token_id: start_token(config, vocab_size)?,
        })
    }

    /// All weights by Hugging Face name.
    pub fn weights(&self) -> Vec<WeightSpec> {
        let width = self.d_model;
        let mut specs =
            vec![WeightSpec::new("shared.weight".to_owned(), &[self.vocab_size, width])];
        let mut add = |path: &str, shape: &[usize]| {
            specs.push(WeightSpec::new(format!("{path}.weight"), shape));
        };
        let heads = self.num_heads * self.d_kv;
        for (stack, blocks) in [("encoder", self.num_layers), ("decoder", self.num_decoder_layers)]
        {
            for block in 0..blocks {
                let at = |name: &str| format!("{stack}.block.{block}.layer.{name}");
                let attentions: &[&str] = match stack {
                    "encoder" => &["SelfAttention"],
                    _ => &["SelfAttention", "EncDecAttention"],
                };
                for (layer, attention) in attentions.iter().enumerate() {
                    for name in ["q", "k", "v"] {
                        add(&at(&format!("{layer}.{attention}.{name}")), &[heads, width]);
                    }
                    add(&at(&format!("{layer}.{attention}.o")), &[width, heads]);
                    add(&at(&format!("{layer}.layer_norm")), &[width]);
                }
                if block == 0 {
                    let table = [self.relative_attention_num_buckets, self.num_heads];
                    add(&at("0.SelfAttention.relative_attention_bias"), &table);
                }
                let layer = attentions.len();
                for name in self.feed_forward_inputs() {
                    add(&at(&format!("{layer}.DenseReluDense.{name}")), &[self.d_ff, width]);
                }
                add(&at(&format!("{layer}.DenseReluDense.wo")), &[width, self.d_ff]);
                add(&at(&format!("{layer}.layer_norm")), &[width]);
            }
            add(&format!("{stack}.final_layer_norm"), &[width]);
        }
        if !self.tie_word_embeddings {
            add("lm_head", &[self.vocab_size, width]);
        }
        specs
    }

    /// Names of the first linear layers of a feed-forward part.
    pub(super) fn feed_forward_inputs(&self) -> &'static [&'static str] {
        if self.is_gated { &["wi_0", "wi_1"] } else { &["wi"] }
    }

    /// The sizes that all families have.
    pub(super) fn shape(&self) -> ModelShape {
        ModelShape {
            family: self.model_type.to_owned(),
            hidden: self.d_model,
            layers: self.num_decoder_layers,
            heads: self.num_heads,
            kv_heads: self.num_heads,
            head_dim: self.d_kv,
            intermediate: self.d_ff,
            vocab: self.vocab_size,
            max_positions: self.n_positions,
            tied: self.tie_word_embeddings,
        }
    }
}

/// `feed_forward_proj`: an activation, after `gated-` if there is a gate.
fn activation(config: &Value, default: &str) -> Result<(Activation, bool), String> {
    let name = config.get("feed_forward_proj").and_then(Value::as_str).unwrap_or(default);
    let gate = name.strip_prefix("gated-");
    let activation = match gate.unwrap_or(name) {
        "relu" => Activation::Relu,
        "silu" | "swish" => Activation::Silu,
        // As in transformers, which approximates the GELU of a gate.
        "gelu" if gate.is_some() => Activation::Gelu(Gelu::Tanh),
        "gelu" => Activation::Gelu(Gelu::Exact),
        "gelu_new" => Activation::Gelu(Gelu::Tanh),
        _ => {
            return Err(format!(
                "`feed_forward_proj` `{name}` is not supported (relu, gelu, silu, and each of them \
                 after `gated-` are)"
            ));
        }
    };
    Ok((activation, gate.is_some()))
}

/// `decoder_start_token_id`, or else the padding token.
fn start_token(config: &Value, vocab: usize) -> Result<u32, String> {
    let id = |key: &str| config.get(key).and_then(Value::as_u64);
    let start = id("decoder_start_token_id").or_else(|| id("pad_token_id")).unwrap_or(0);
    u32::try_from(start).ok().filter(|start| (*start as usize) < vocab).ok_or_else(|| {
        format!("`decoder_start_token_id` is {start}, but there are {vocab} tokens (`vocab_size`)")
    })
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::json;

    use super::*;

    pub(crate) fn json() -> Value {
        json!({"vocab_size": 40, "d_model": 16, "d_kv": 6, "d_ff": 24, "num_layers": 2, "num_heads": 2, "decoder_start_token_id": 0})
    }

    #[test]
    fn a_tied_head_scales_unless_the_config_says_otherwise() {
        let of = |changes: &[(&str, Value)]| {
            let mut config = json();
            changes.iter().for_each(|(key, value)| config[*key] = value.clone());
            let config = T5Config::from_json(&config).unwrap();
            (config.tie_word_embeddings, config.scale_decoder_outputs)
        };
        assert_eq!(of(&[]), (true, true));
        assert_eq!(of(&[("tie_word_embeddings", json!(false))]), (false, false));
        assert_eq!(of(&[("scale_decoder_outputs", json!(false))]), (true, false));
    }

    #[test]
    fn mt5_has_a_gate_and_a_head_of_its_own() {
        let mut config = json();
        config["model_type"] = "mt5".into();
        let config = T5Config::from_json(&config).unwrap();
        assert_eq!((config.activation, config.is_gated), (Activation::Gelu(Gelu::Tanh), true));
        assert_eq!((config.tie_word_embeddings, config.scale_decoder_outputs), (false, false));
        assert_eq!(config.shape().family, "mt5");
    }

    #[test]
    fn feed_forward_parts_are_those_of_transformers() {
        let of = |name: &str| {
            let mut config = json();
            config["feed_forward_proj"] = name.into();
            T5Config::from_json(&config).map(|config| (config.activation, config.is_gated))
        };
        assert_eq!(of("relu"), Ok((Activation::Relu, false)));
        assert_eq!(of("gated-gelu"), Ok((Activation::Gelu(Gelu::Tanh), true)));
        assert_eq!(of("gated-silu"), Ok((Activation::Silu, true)));
        assert!(of("gated-tanh").unwrap_err().contains("`gated-tanh`"));
    }

    #[test]
    fn unsupported_values_are_named() {
        for (key, value, word) in [
            ("relative_attention_num_buckets", json!(3), "at least 4"),
            ("relative_attention_max_distance", json!(16), "got 32 and 16"),
            ("decoder_start_token_id", json!(40), "`decoder_start_token_id` is 40"),
            ("num_heads", json!(0), "`num_heads`"),
        ] {
            let mut config = json();
            config[key] = value;
            let problem = T5Config::from_json(&config).unwrap_err();
            assert!(problem.contains(word), "{problem}");
        }
    }
}
