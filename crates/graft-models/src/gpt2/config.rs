//! `config.json` of the GPT-2 family.

use graft_nn::{ModelShape, ops::Gelu};
use serde_json::Value;

use crate::{WeightSpec, activation, sizes::ConfigSizes};

/// The configuration of a GPT-2 model, with the names of Hugging Face.
#[derive(Clone, Debug, PartialEq)]
pub struct Gpt2Config {
    /// `V`: rows of the embedding.
    pub vocab_size: usize,
    /// `C`: size of the hidden states.
    pub n_embd: usize,
    /// `F`: size of the feed-forward layers, 4 C by default.
    pub n_inner: usize,
    /// Number of layers.
    pub n_layer: usize,
    /// `H`: number of heads.
    pub n_head: usize,
    /// Longest context in tokens.
    pub n_positions: usize,
    /// Added to the variance inside LayerNorm.
    pub layer_norm_epsilon: f64,
    /// Form of the GELU.
    pub gelu: Gelu,
    /// Whether the attention scores of layer `i` are also divided by `i + 1`.
    pub scale_attn_by_inverse_layer_idx: bool,
    /// Whether the head shares the weight of the embedding.
    pub tie_word_embeddings: bool,
}

impl Gpt2Config {
    /// Reads `config.json`.
    ///
    /// # Errors
    /// Returns a description of the problem: a missing key, inconsistent sizes or an unsupported
    /// value.
    pub fn from_json(config: &Value) -> Result<Self, String> {
        let sizes = ConfigSizes(config);
        let flag = |key: &str, default| config.get(key).and_then(Value::as_bool).unwrap_or(default);
        if flag("add_cross_attention", false) {
            return Err("cross-attention (`add_cross_attention`) is not supported".to_owned());
        }
        if !flag("scale_attn_weights", true) {
            return Err(
                "unscaled attention (`scale_attn_weights` is false) is not supported".to_owned()
            );
        }
        let n_embd = sizes.needed("n_embd")?;
        let n_head = sizes.needed("n_head")?;
        if !n_embd.is_multiple_of(n_head) {
            return Err(format!(
                "`n_embd` must be a multiple of `n_head`, got {n_embd} and {n_head}"
            ));
        }
        Ok(Self {
            vocab_size: sizes.needed("vocab_size")?,
            n_embd,
            n_inner: sizes.or("n_inner", 4 * n_embd)?,
            n_layer: sizes.needed("n_layer")?,
            n_head,
            n_positions: sizes.or("n_positions", sizes.or("n_ctx", 1024)?)?,
            layer_norm_epsilon: config
                .get("layer_norm_epsilon")
                .and_then(Value::as_f64)
                .unwrap_or(1e-5),
            gelu: activation::gelu(config, "activation_function", "gelu_new")?,
            scale_attn_by_inverse_layer_idx: flag("scale_attn_by_inverse_layer_idx", false),
            tie_word_embeddings: flag("tie_word_embeddings", true),
        })
    }

    /// All weights by Hugging Face name, with the shapes in the files.
    pub fn weights(&self) -> Vec<WeightSpec> {
        let width = self.n_embd;
        let wide = self.n_inner;
        let mut specs = Vec::new();
        let mut add = |name: String, shape: &[usize]| specs.push(WeightSpec::new(name, shape));
        add("transformer.wte.weight".to_owned(), &[self.vocab_size, width]);
        add("transformer.wpe.weight".to_owned(), &[self.n_positions, width]);
        for layer in 0..self.n_layer {
            let maps = [
                ("attn.c_attn", [width, 3 * width]),
                ("attn.c_proj", [width, width]),
                ("mlp.c_fc", [width, wide]),
                ("mlp.c_proj", [wide, width]),
            ];
            for (name, shape) in maps {
                add(format!("transformer.h.{layer}.{name}.weight"), &shape); // (d_in, d_out)
                add(format!("transformer.h.{layer}.{name}.bias"), &shape[1..]);
            }
            for (norm, part) in
                [("ln_1", "weight"), ("ln_1", "bias"), ("ln_2", "weight"), ("ln_2", "bias")]
            {
                add(format!("transformer.h.{layer}.{norm}.{part}"), &[width]);
            }
        }
        add("transformer.ln_f.weight".to_owned(), &[width]);
        add("transformer.ln_f.bias".to_owned(), &[width]);
        if !self.tie_word_embeddings {
            add("lm_head.weight".to_owned(), &[self.vocab_size, width]);
        }
        specs
    }

    /// The sizes that all families have.
    pub(super) fn shape(&self) -> ModelShape {
        ModelShape {
            family: "gpt2".to_owned(),
            hidden: self.n_embd,
            layers: self.n_layer,
            heads: self.n_head,
            kv_heads: self.n_head,
            head_dim: self.n_embd / self.n_head,
            intermediate: self.n_inner,
            vocab: self.vocab_size,
            max_positions: self.n_positions,
            tied: self.tie_word_embeddings,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn absent_keys_have_the_defaults_of_transformers() {
        let config = Gpt2Config::from_json(
            &json!({"vocab_size": 96, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_inner": null}),
        )
        .unwrap();
        assert_eq!(
            (config.n_inner, config.n_positions, config.gelu, config.tie_word_embeddings),
            (128, 1024, Gelu::Tanh, true)
        );
    }

    #[test]
    fn a_bad_config_is_refused_with_the_reason() {
        let good = json!({"vocab_size": 96, "n_embd": 32, "n_layer": 2, "n_head": 4});
        for (key, value, word) in [
            ("n_head", json!(5), "multiple of `n_head`"),
            ("n_layer", json!(0), "`n_layer`"),
            ("activation_function", json!("relu"), "`relu`"),
            ("add_cross_attention", json!(true), "add_cross_attention"),
            ("scale_attn_weights", json!(false), "scale_attn_weights"),
        ] {
            let mut config = good.clone();
            config[key] = value;
            let problem = Gpt2Config::from_json(&config).unwrap_err();
            assert!(problem.contains(word), "{problem}");
        }
    }
}
