//! The DistilBERT family: BERT's encoder without token types, with half of its blocks and other
//! names.
//!
//! ```text
//! x = LayerNorm(word(ids) + position)
//! for each block:
//!     x = sa_layer_norm(x + out_lin(attention(q_lin(x), k_lin(x), v_lin(x))))
//!     x = output_layer_norm(x + lin2(gelu(lin1(x))))
//! logits = classifier(relu(pre_classifier(x[0])))
//! ```
//! Shapes are those of [`crate::bert`].
//!
//! # Source
//! Sanh et al. 2019, arXiv:1910.01108; transformers' `modeling_distilbert.py`, which it matches
//! within 1e-4 (goldens `distilbert`)

use serde_json::Value;

use crate::bert::{BertConfig, BlockNames, HeadActivation, HeadNames, Keys, Variant};

/// DistilBERT.
const DISTILBERT: Variant = Variant {
    model_type: "distilbert",
    classifier: "DistilBertForSequenceClassification",
    trunk: "distilbert.",
    has_token_types: false,
    keys: Keys {
        hidden: "dim",
        intermediate: "hidden_dim",
        layers: "n_layers",
        heads: "n_heads",
        activation: "activation",
    },
    names: BlockNames {
        blocks: "transformer.layer",
        query: "attention.q_lin",
        key: "attention.k_lin",
        value: "attention.v_lin",
        attention_output: "attention.out_lin",
        attn_adapters: "attention_adapters",
        attention_norm: "sa_layer_norm",
        intermediate: "ffn.lin1",
        output: "ffn.lin2",
        mlp_adapters: "output_adapters",
        output_norm: "output_layer_norm",
    },
    head: HeadNames {
        dense: "pre_classifier",
        activation: HeadActivation::Relu,
        classifier: "classifier",
        bare_pooler: None,
    },
    targets: &["q_lin", "v_lin"],
};

/// Reads `config.json`.
///
/// # Errors
/// The errors of [`BertConfig::from_json`].
pub(crate) fn config(json: &Value) -> Result<BertConfig, String> {
    Ok(BertConfig { layer_norm_eps: 1e-12, ..BertConfig::of_variant(json, DISTILBERT)? })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn sizes_have_names_of_their_own_and_errors_name_them() {
        let json = json!({"vocab_size": 40, "dim": 16, "hidden_dim": 24, "n_layers": 1, "n_heads": 4,
            "architectures": ["DistilBertForSequenceClassification"]});
        let read = config(&json).unwrap();
        assert_eq!((read.hidden_size, read.intermediate_size, read.num_labels), (16, 24, Some(2)));
        let names: Vec<_> = read.weights().into_iter().map(|spec| spec.name).collect();
        assert!(names.iter().any(|name| name == "pre_classifier.weight"));
        assert!(!names.iter().any(|name| name.contains("token_type")), "{names:?}");
        let mut odd = json.clone();
        odd["n_heads"] = 5.into();
        assert!(config(&odd).unwrap_err().contains("`dim` must be a multiple of `n_heads`"));
        odd["n_heads"] = 4.into();
        odd["activation"] = "relu".into();
        assert!(config(&odd).unwrap_err().contains("`relu`"));
    }
}
