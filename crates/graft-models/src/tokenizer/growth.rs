//! Upper bound of the factor by which the rules of a `tokenizer.json` can lengthen a text.
//!
//! A chain of thirty rules that replace `a` by `aa` turns one letter into a gigabyte. Published
//! tokenizers are far below [`MOST`].

use serde::Deserialize;
use serde_json::Value;

/// Largest accepted factor.
const MOST: f64 = 16_384.0;

/// The parts of a tokenizer that produce text.
#[derive(Deserialize)]
struct Rules {
    #[serde(default)]
    normalizer: Value,
    #[serde(default)]
    decoder: Value,
}

/// Rejects a tokenizer whose rules can lengthen a text by more than [`MOST`].
///
/// # Errors
/// Returns a description of the problem.
pub(super) fn check(json: &[u8]) -> Result<(), String> {
    // Parsed here first, because the tokenizers library panics on some damaged JSON.
    let rules: Rules =
        serde_json::from_slice(json).map_err(|error| format!("not a valid tokenizer ({error})"))?;
    for (name, rule) in [("normalizer", &rules.normalizer), ("decoder", &rules.decoder)] {
        let growth = growth(rule);
        if growth > MOST {
            return Err(format!("its {name} can make a text more than {MOST} times longer"));
        }
    }
    Ok(())
}

/// The largest factor by which a rule can lengthen a text.
fn growth(rule: &Value) -> f64 {
    let length = |key: &str| rule.get(key).and_then(Value::as_str).map_or(0, str::len) as f64;
    match rule.get("type").and_then(Value::as_str).unwrap_or_default() {
        "Sequence" => {
            let parts = ["normalizers", "decoders"]
                .iter()
                .filter_map(|key| rule.get(*key)?.as_array())
                .flatten();
            parts.map(growth).product()
        }
        "Replace" => match rule
            .get("pattern")
            .and_then(|pattern| pattern.get("String"))
            .and_then(Value::as_str)
        {
            Some("") | None => 1.0 + length("content"),
            Some(pattern) => (length("content") / pattern.len() as f64).max(1.0),
        },
        "Prepend" => 1.0 + length("prepend"),
        // One ligature of 3 bytes decomposes into 33 bytes.
        "NFKD" | "NFKC" | "Precompiled" => 11.0,
        "NFD" | "BertNormalizer" => 3.0,
        "Lowercase" => 1.5,
        _ => 1.0,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(normalizers: Vec<Value>) -> Result<(), String> {
        check(json!({"normalizer": {"type": "Sequence", "normalizers": normalizers}, "decoder": null}).to_string().as_bytes())
    }

    #[test]
    fn a_chain_that_explodes_is_refused_and_the_rules_of_published_tokenizers_are_not() {
        let replace = |pattern: Value, content: &str| json!({"type": "Replace", "pattern": pattern, "content": content});
        assert!(
            of(vec![replace(json!({"String": "a"}), "aa"); 30]).unwrap_err().contains("normalizer")
        );
        assert!(of(vec![replace(json!({"Regex": "."}), &"x".repeat(1000)); 2]).is_err());
        assert!(of(vec![json!({"type": "Prepend", "prepend": "x".repeat(200)}); 3]).is_err());
        let decoder = json!({"type": "Sequence", "decoders": vec![replace(json!({"String": "a"}), "aaaa"); 9]});
        assert!(
            check(json!({ "decoder": decoder }).to_string().as_bytes())
                .unwrap_err()
                .contains("decoder")
        );
        // Llama 2; ALBERT; DeBERTa.
        assert_eq!(
            of(vec![
                json!({"type": "Prepend", "prepend": "▁"}),
                replace(json!({"String": " "}), "▁")
            ]),
            Ok(())
        );
        let albert = [
            replace(json!({"String": "``"}), "\""),
            replace(json!({"String": "''"}), "\""),
            json!({"type": "NFKD"}),
            json!({"type": "StripAccents"}),
        ];
        let rest = [
            json!({"type": "Lowercase"}),
            json!({"type": "Precompiled"}),
            replace(json!({"Regex": " {2,}"}), " "),
        ];
        assert_eq!(of(albert.into_iter().chain(rest).collect()), Ok(()));
    }
}
