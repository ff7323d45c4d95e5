//! Dropout in the config of a base model, which Graft does not apply in training.

use serde_json::Value;

/// For each `model_type`, the keys of dropout probabilities and their defaults in transformers.
const KEYS: &[(&str, &[(&str, f64)])] = &[
    ("bert", BERT),
    ("roberta", BERT),
    ("xlm-roberta", BERT),
    ("distilbert", &[("dropout", 0.1), ("attention_dropout", 0.1), ("seq_classif_dropout", 0.2)]),
    (
        "modernbert",
        &[
            ("attention_dropout", 0.0),
            ("embedding_dropout", 0.0),
            ("mlp_dropout", 0.0),
            ("classifier_dropout", 0.0),
        ],
    ),
    ("gpt2", &[("embd_pdrop", 0.1), ("attn_pdrop", 0.1), ("resid_pdrop", 0.1)]),
    ("t5", &[("dropout_rate", 0.1)]),
    ("mt5", &[("dropout_rate", 0.1)]),
    ("llama", &[("attention_dropout", 0.0)]),
    ("mistral", &[("attention_dropout", 0.0)]),
    ("qwen2", &[("attention_dropout", 0.0)]),
    ("qwen3", &[("attention_dropout", 0.0)]),
    ("gemma2", &[("attention_dropout", 0.0)]),
    ("gemma3_text", &[("attention_dropout", 0.0)]),
    ("phi3", &[("attention_dropout", 0.0), ("embd_pdrop", 0.0), ("resid_pdrop", 0.0)]),
    ("olmo2", &[("attention_dropout", 0.0)]),
    ("smollm3", &[("attention_dropout", 0.0)]),
    ("granite", &[("attention_dropout", 0.0)]),
    ("gpt_neox", &[("attention_dropout", 0.0), ("hidden_dropout", 0.0)]),
];

const BERT: &[(&str, f64)] = &[
    ("hidden_dropout_prob", 0.1),
    ("attention_probs_dropout_prob", 0.1),
    ("classifier_dropout", 0.0),
];

/// The non-zero dropout probabilities in the config of a base model, by key. Unlike transformers'
/// `Trainer`, Graft does not apply them in training.
pub fn unapplied_dropout(config: &Value) -> Vec<(&'static str, f64)> {
    let family = config.get("model_type").and_then(Value::as_str).unwrap_or_default();
    let keys = KEYS.iter().find(|(known, _)| *known == family).map_or(&[][..], |(_, keys)| keys);
    let probabilities = keys
        .iter()
        .map(|(key, default)| (*key, config.get(*key).and_then(Value::as_f64).unwrap_or(*default)));
    probabilities.filter(|(_, probability)| *probability > 0.0).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::unapplied_dropout;

    #[test]
    fn absent_keys_have_the_defaults_of_transformers_and_zeros_are_left_out() {
        assert_eq!(
            unapplied_dropout(&json!({"model_type": "gpt2", "attn_pdrop": 0.0})),
            [("embd_pdrop", 0.1), ("resid_pdrop", 0.1)]
        );
        let bert = json!({"model_type": "bert", "hidden_dropout_prob": 0.2, "attention_probs_dropout_prob": 0, "classifier_dropout": null});
        assert_eq!(unapplied_dropout(&bert), [("hidden_dropout_prob", 0.2)]);
        assert_eq!(unapplied_dropout(&json!({"model_type": "llama"})), []);
    }
}
