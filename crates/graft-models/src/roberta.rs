//! The RoBERTa family, also XLM-RoBERTa: BERT's encoder with positions that start after the padding
//! token's row, and a head of its own.
//!
//! ```text
//! x = LayerNorm(word(ids) + position[padding + 1 + t] + token_type(0))
//! logits = classifier.out_proj(tanh(classifier.dense(x[0])))
//! ```
//! Shapes and the other equations are those of [`crate::bert`].
//!
//! # Source
//! Liu et al. 2019, arXiv:1907.11692; Conneau et al. 2020, arXiv:1911.02116; transformers'
//! `modeling_roberta.py`, which it matches within 1e-4 (goldens `roberta`)

use serde_json::Value;

use crate::{
    bert::{BERT, BertConfig, HeadNames, Variant},
    sizes::ConfigSizes,
};

/// RoBERTa.
pub(crate) const ROBERTA: Variant = Variant {
    model_type: "roberta",
    classifier: "RobertaForSequenceClassification",
    trunk: "roberta.",
    head: HeadNames { dense: "classifier.dense", classifier: "classifier.out_proj", ..BERT.head },
    ..BERT
};

/// RoBERTa with a vocabulary for a hundred languages.
pub(crate) const XLM_ROBERTA: Variant = Variant {
    model_type: "xlm-roberta",
    classifier: "XLMRobertaForSequenceClassification",
    ..ROBERTA
};

/// Reads `config.json`.
///
/// # Errors
/// Returns a description of the problem: those of [`BertConfig::from_json`], and a padding token
/// that leaves no row for positions.
pub(crate) fn config(json: &Value, variant: Variant) -> Result<BertConfig, String> {
    let config = BertConfig::of_variant(json, variant)?;
    let padding = match json.get("pad_token_id").and_then(Value::as_u64) {
        Some(0) => 0,
        _ => ConfigSizes(json).or("pad_token_id", 1)?,
    };
    if padding + 1 >= config.max_position_embeddings {
        return Err(format!(
            "`pad_token_id` is {padding}, which leaves no position for a token: the table has {} \
             rows (`max_position_embeddings`), and positions start at `pad_token_id` + 1",
            config.max_position_embeddings
        ));
    }
    Ok(BertConfig { first_position: padding + 1, ..config })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn json() -> Value {
        json!({"vocab_size": 40, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 1, "num_attention_heads": 4,
            "max_position_embeddings": 34, "architectures": ["RobertaForSequenceClassification"], "num_labels": 3})
    }

    #[test]
    fn the_context_is_shorter_than_the_table_by_the_rows_up_to_the_padding_token() {
        let positions = |json: &Value| {
            let config = config(json, ROBERTA).unwrap();
            (config.first_position, config.max_position_embeddings)
        };
        assert_eq!(positions(&json()), (2, 34));
        let mut other = json();
        other["pad_token_id"] = 0.into();
        assert_eq!(positions(&other), (1, 34));
        other["pad_token_id"] = 33.into();
        assert!(config(&other, ROBERTA).unwrap_err().contains("`pad_token_id` is 33"));
    }

    #[test]
    fn the_head_has_two_layers_and_there_is_no_pooler() {
        let names: Vec<_> =
            config(&json(), ROBERTA).unwrap().weights().into_iter().map(|spec| spec.name).collect();
        assert!(names.iter().any(|name| name == "classifier.dense.weight"));
        assert!(names.iter().any(|name| name == "classifier.out_proj.bias"));
        assert!(!names.iter().any(|name| name.contains("pooler")), "{names:?}");
        assert!(names.iter().any(|name| name.starts_with("roberta.encoder.layer.0.output")));
    }
}
