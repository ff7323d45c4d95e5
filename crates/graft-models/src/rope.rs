//! Rotary embeddings in `config.json`.

use graft_nn::ops::RopeScaling;
use serde_json::Value;

/// Reads `rope_theta` and the scaling, in the format of transformers 5 (`rope_parameters`) or 4
/// (`rope_theta`, `rope_scaling`).
///
/// # Errors
/// Returns a description of the problem if a number is missing or the type is not `default`,
/// `linear` or `llama3`.
pub(crate) fn from_config(config: &Value) -> Result<(f64, RopeScaling), String> {
    let parameters = ["rope_parameters", "rope_scaling"]
        .iter()
        .find_map(|key| config.get(*key).filter(|value| value.is_object()));
    let number = |key: &str| {
        parameters
            .and_then(|object| object.get(key))
            .or_else(|| config.get(key))
            .and_then(Value::as_f64)
    };
    let kind = parameters
        .and_then(|object| object.get("rope_type").or_else(|| object.get("type")))
        .and_then(Value::as_str)
        .unwrap_or("default");
    let scaling = scaling(kind, &number)?;
    let theta = number("rope_theta").unwrap_or(10_000.0);
    if theta > 0.0 {
        Ok((theta, scaling))
    } else {
        Err(format!("`rope_theta` must be positive, got {theta}"))
    }
}

/// The scaling of type `kind` with parameters that `number` looks up.
fn scaling(kind: &str, number: &dyn Fn(&str) -> Option<f64>) -> Result<RopeScaling, String> {
    let needed = |key: &str| {
        number(key)
            .filter(|value| value.is_finite() && *value > 0.0)
            .ok_or_else(|| format!("rope scaling requires a positive `{key}`"))
    };
    match kind {
        "default" => Ok(RopeScaling::Default),
        "linear" => Ok(RopeScaling::Linear { factor: needed("factor")? }),
        "llama3" => {
            let factor = needed("factor")?;
            let low_freq_factor = needed("low_freq_factor")?;
            let high_freq_factor = needed("high_freq_factor")?;
            let original_max_positions = needed("original_max_position_embeddings")?;
            if low_freq_factor >= high_freq_factor {
                return Err(format!(
                    "`high_freq_factor` must be greater than `low_freq_factor`, \
                     got {high_freq_factor} and {low_freq_factor}"
                ));
            }
            Ok(RopeScaling::Llama3 {
                factor,
                low_freq_factor,
                high_freq_factor,
                original_max_positions,
            })
        }
        other => {
            Err(format!("rope type `{other}` is not supported (default, linear and llama3 are)"))
        }
    }
}

/// The `rope_parameters` object of transformers 5.
pub(crate) fn to_config(theta: f64, scaling: RopeScaling) -> Value {
    let mut json = serde_json::json!({ "rope_theta": theta, "rope_type": "default" });
    match scaling {
        RopeScaling::Default => {}
        RopeScaling::Linear { factor } => {
            json["rope_type"] = "linear".into();
            json["factor"] = factor.into();
        }
        RopeScaling::Llama3 {
            factor,
            low_freq_factor,
            high_freq_factor,
            original_max_positions,
        } => {
            json["rope_type"] = "llama3".into();
            json["factor"] = factor.into();
            json["low_freq_factor"] = low_freq_factor.into();
            json["high_freq_factor"] = high_freq_factor.into();
            json["original_max_position_embeddings"] = (original_max_positions as u64).into();
        }
    }
    json
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn both_spellings_of_transformers_mean_the_same() {
        let four = json!({"rope_theta": 5e5, "rope_scaling": {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
            "original_max_position_embeddings": 8192}});
        let (theta, scaling) = from_config(&four).unwrap();
        let five = json!({ "rope_parameters": to_config(theta, scaling) });
        assert_eq!(from_config(&five).unwrap(), (5e5, scaling));
        assert!(matches!(scaling, RopeScaling::Llama3 { original_max_positions: 8192.0, .. }));
        assert_eq!(
            from_config(&json!({"rope_scaling": null})).unwrap(),
            (10_000.0, RopeScaling::Default)
        );
        assert_eq!(
            from_config(&json!({"rope_scaling": {"type": "linear", "factor": 2}})).unwrap().1,
            RopeScaling::Linear { factor: 2.0 }
        );
    }

    #[test]
    fn an_unknown_type_is_named() {
        let problem =
            from_config(&json!({"rope_scaling": {"type": "yarn", "factor": 4.0}})).unwrap_err();
        assert!(problem.contains("`yarn`"), "{problem}");
    }
}
