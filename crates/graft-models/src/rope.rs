//! Rotary embeddings in `config.json`.

use std::sync::Arc;

use graft_nn::ops::{LongRope, RopeScaling, Yarn};
use serde_json::Value;

/// Reads `rope_theta` and the scaling, in the format of transformers 5 (`rope_parameters`) or 4
/// (`rope_theta`, `rope_scaling`).
///
/// # Errors
/// Returns a description of the problem if a number is missing or the type is not one of [`TYPES`].
pub(crate) fn from_config(config: &Value) -> Result<(f64, RopeScaling), String> {
    with_default(config, 10_000.0)
}

/// The types of scaling, by their names in transformers.
const TYPES: &str = "default, linear, dynamic, llama3, yarn and longrope";

/// The object with the parameters.
fn parameters(config: &Value) -> Option<&Value> {
    ["rope_parameters", "rope_scaling"]
        .iter()
        .find_map(|key| config.get(*key).filter(|value| value.is_object()))
}

/// [`from_config`] with another default of `rope_theta`.
///
/// # Errors
/// The errors of [`from_config`].
pub(crate) fn with_default(config: &Value, theta: f64) -> Result<(f64, RopeScaling), String> {
    let parameters = parameters(config);
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
    let list = |key: &str| {
        let list = parameters?.get(key)?.as_array()?;
        list.iter().map(Value::as_f64).collect::<Option<Vec<f64>>>()
    };
    let truncate = parameters.and_then(|object| object.get("truncate")).and_then(Value::as_bool);
    let scaling = match kind {
        // Phi-3 was published with this name.
        "longrope" | "su" => long_rope(&number, &list)?,
        "yarn" => yarn(&number, truncate.unwrap_or(true))?,
        _ => scaling(kind, &number)?,
    };
    let theta = number("rope_theta").unwrap_or(theta);
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
        "dynamic" => Ok(RopeScaling::Dynamic {
            factor: needed("factor")?,
            original_max_positions: number("original_max_position_embeddings")
                .map_or_else(|| needed("max_position_embeddings"), Ok)?,
        }),
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
        other => Err(format!("rope type `{other}` is not supported ({TYPES} are)")),
    }
}

/// The context for which the frequencies were made: that of the config if no other is given.
fn original_positions(number: &dyn Fn(&str) -> Option<f64>) -> Result<f64, String> {
    let original =
        number("original_max_position_embeddings").or_else(|| number("max_position_embeddings"));
    original.filter(|original| *original > 0.0).ok_or_else(|| {
        "rope scaling requires a positive `original_max_position_embeddings`".to_owned()
    })
}

/// The factor of a scaling whose original context is known: `factor`, or the ratio of the contexts.
fn factor(number: &dyn Fn(&str) -> Option<f64>, original: f64) -> Result<f64, String> {
    let of_contexts = || number("max_position_embeddings").map(|longest| longest / original);
    let factor = number("factor").or_else(of_contexts);
    let factor = factor.filter(|factor| factor.is_finite() && *factor > 0.0);
    factor.ok_or_else(|| "rope scaling requires a positive `factor`".to_owned())
}

/// YaRN; the scores of attention grow by the square of the attention factor.
fn yarn(number: &dyn Fn(&str) -> Option<f64>, truncate: bool) -> Result<RopeScaling, String> {
    let original_max_positions = original_positions(number)?;
    let factor = factor(number, original_max_positions)?;
    let mscale = |by: f64| if factor <= 1.0 { 1.0 } else { 0.1 * by * factor.ln() + 1.0 };
    let set = |key: &str| number(key).filter(|value| *value != 0.0);
    let by_mscale = match (set("mscale"), set("mscale_all_dim")) {
        (Some(one), Some(all)) => mscale(one) / mscale(all),
        _ => mscale(1.0),
    };
    Ok(RopeScaling::Yarn(Yarn {
        factor,
        original_max_positions,
        beta_fast: set("beta_fast").unwrap_or(32.0),
        beta_slow: set("beta_slow").unwrap_or(1.0),
        truncate,
        attention_factor: number("attention_factor").unwrap_or(by_mscale),
    }))
}

/// LongRoPE; the attention factor follows from the ratio of the contexts.
fn long_rope(
    number: &dyn Fn(&str) -> Option<f64>,
    list: &dyn Fn(&str) -> Option<Vec<f64>>,
) -> Result<RopeScaling, String> {
    let original_max_positions = original_positions(number)?;
    let factors = |key: &str| {
        let positive = |list: &Vec<f64>| list.iter().all(|factor| *factor > 0.0);
        list(key)
            .filter(positive)
            .ok_or_else(|| format!("rope scaling requires a list of positive numbers `{key}`"))
    };
    let attention_factor = match number("attention_factor") {
        Some(stored) => stored,
        None => {
            let longer = factor(number, original_max_positions)?.max(1.0);
            (1.0 + longer.ln() / original_max_positions.ln()).sqrt()
        }
    };
    Ok(RopeScaling::LongRope(Arc::new(LongRope {
        short_factor: factors("short_factor")?,
        long_factor: factors("long_factor")?,
        original_max_positions,
        attention_factor,
    })))
}

/// Width of the rotated part of a head: `partial_rotary_factor` of the head, or else `default`.
///
/// # Errors
/// Returns a description of the problem if this is not an even number up to `head_dim`.
pub(crate) fn partial(config: &Value, head_dim: usize, default: f64) -> Result<usize, String> {
    const KEY: &str = "partial_rotary_factor";
    let stored = parameters(config).and_then(|object| object.get(KEY)).or_else(|| config.get(KEY));
    let factor = stored.and_then(Value::as_f64).unwrap_or(default);
    let width = (head_dim as f64 * factor) as usize;
    if width == 0 || width > head_dim || !width.is_multiple_of(2) {
        return Err(format!(
            "`{KEY}` must rotate an even number of the {head_dim} dimensions of a head, got {factor}"
        ));
    }
    Ok(width)
}

/// The longest context: that of the config, or the one for which the frequencies are scaled.
pub(crate) fn positions(longest: usize, scaling: &RopeScaling) -> usize {
    let scaled = match scaling {
        RopeScaling::Dynamic { factor, original_max_positions }
        | RopeScaling::Yarn(Yarn { factor, original_max_positions, .. }) => {
            factor * original_max_positions
        }
        _ => 0.0,
    };
    // Positions are stored as u32.
    longest.max(scaled.min(f64::from(u32::MAX)) as usize)
}

/// The `rope_parameters` object of transformers 5.
pub(crate) fn to_config(theta: f64, scaling: &RopeScaling) -> Value {
    let mut json = serde_json::json!({ "rope_theta": theta, "rope_type": "default" });
    match scaling {
        RopeScaling::Default => {}
        RopeScaling::Linear { factor } => {
            json["rope_type"] = "linear".into();
            json["factor"] = (*factor).into();
        }
        RopeScaling::Dynamic { factor, original_max_positions } => {
            json["rope_type"] = "dynamic".into();
            json["factor"] = (*factor).into();
            json["original_max_position_embeddings"] = (*original_max_positions as u64).into();
        }
        RopeScaling::Yarn(yarn) => {
            json["rope_type"] = "yarn".into();
            json["factor"] = yarn.factor.into();
            json["original_max_position_embeddings"] = (yarn.original_max_positions as u64).into();
            json["beta_fast"] = yarn.beta_fast.into();
            json["beta_slow"] = yarn.beta_slow.into();
            json["truncate"] = yarn.truncate.into();
            json["attention_factor"] = yarn.attention_factor.into();
        }
        RopeScaling::LongRope(long) => {
            json["rope_type"] = "longrope".into();
            json["original_max_position_embeddings"] = (long.original_max_positions as u64).into();
            json["short_factor"] = long.short_factor.clone().into();
            json["long_factor"] = long.long_factor.clone().into();
            json["attention_factor"] = long.attention_factor.into();
        }
        RopeScaling::Llama3 {
            factor,
            low_freq_factor,
            high_freq_factor,
            original_max_positions,
        } => {
            json["rope_type"] = "llama3".into();
            json["factor"] = (*factor).into();
            json["low_freq_factor"] = (*low_freq_factor).into();
            json["high_freq_factor"] = (*high_freq_factor).into();
            json["original_max_position_embeddings"] = (*original_max_positions as u64).into();
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
        let five = json!({ "rope_parameters": to_config(theta, &scaling) });
        assert_eq!(from_config(&five).unwrap(), (5e5, scaling.clone()));
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
    fn yarn_dynamic_and_longrope_are_read_with_their_defaults_and_written_back() {
        let longest =
            json!({"max_position_embeddings": 131_072, "original_max_position_embeddings": 4096});
        let with = |scaling: Value| {
            let mut config = longest.clone();
            config["rope_scaling"] = scaling;
            config
        };
        let yarn = with(json!({"type": "yarn", "factor": 4.0}));
        let dynamic = with(json!({"rope_type": "dynamic", "factor": 2.0}));
        let long = with(json!({"type": "su", "short_factor": [1.0, 1.5], "long_factor": [2, 40]}));
        let read = |config: &Value| from_config(config).unwrap().1;
        for config in [&yarn, &dynamic, &long] {
            let scaling = read(config);
            assert_eq!(read(&json!({ "rope_parameters": to_config(1e4, &scaling) })), scaling);
        }
        assert!((read(&yarn).attention_factor() - 1.138_629_436_111_989).abs() < 1e-12);
        // sqrt(1 + ln(32) / ln(4096))
        assert!((read(&long).attention_factor() - 1.190_238_071_423_808).abs() < 1e-9);
        assert_eq!((positions(4096, &read(&dynamic)), positions(4096, &read(&long))), (8192, 4096));
        let short = with(json!({"type": "longrope", "short_factor": [1.0, 1.5]}));
        assert!(from_config(&short).unwrap_err().contains("`long_factor`"));
    }

    #[test]
    fn only_an_even_part_of_a_head_is_rotated() {
        let of = |factor: f64| partial(&json!({ "partial_rotary_factor": factor }), 96, 1.0);
        assert_eq!((of(0.75), partial(&json!({}), 96, 0.25)), (Ok(72), Ok(24)));
        assert!(of(0.01).unwrap_err().contains("96 dimensions"));
        assert!(of(2.0).is_err());
    }

    #[test]
    fn an_unknown_type_is_named() {
        let problem =
            from_config(&json!({"rope_scaling": {"type": "ntk", "factor": 4.0}})).unwrap_err();
        assert!(problem.contains("`ntk`"), "{problem}");
    }
}
