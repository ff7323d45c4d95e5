//! Range checks of all numbers in a configuration, typed or read from a file, before any
//! allocation.

use graft_spec::{KeyKind, KeySpec, methods::MethodSpec};
use serde_json::Value;

use crate::{PeftError, config_file::ConfigFile};

/// Maximum number of items in a list or an object: more than any model has layers, and more than
/// any list of tokens in use.
const MAX_ITEMS: usize = 100_000;
/// Largest rank, the same as the limit of the keys.
const MAX_RANK: i64 = 65_536;
/// Largest scale, the same as the limit of the keys.
const MAX_SCALE: f64 = 1e9;

/// Checks the fields against the keys of the method.
///
/// # Errors
/// [`PeftError::Malformed`] for the first field that is out of range.
pub(crate) fn check(config: &ConfigFile, spec: &MethodSpec) -> Result<(), PeftError> {
    for (name, value) in config.fields() {
        let items = match value {
            Value::Array(items) => items.len(),
            Value::Object(fields) => fields.len(),
            _ => 0,
        };
        if items > MAX_ITEMS {
            return Err(config.too_long(name, items, MAX_ITEMS));
        }
    }
    for key in spec.keys {
        if let Some(value) = config.get(key.name) {
            check_key(config, key, value)?;
        }
    }
    check_patterns(config)
}

fn check_key(config: &ConfigFile, key: &KeySpec, value: &Value) -> Result<(), PeftError> {
    match key.kind {
        KeyKind::Integer { min, max } | KeyKind::IntegerOrAuto { min, max } => {
            if value.as_i64().is_some_and(|number| (min..=max).contains(&number)) {
                Ok(())
            } else {
                Err(config.invalid(key.name, &whole_number(min, max)))
            }
        }
        // Unlike keys, files may have negative scales. The method itself refuses values that are
        // not numbers.
        KeyKind::Float { min, max } => {
            let most = max.abs().max(min.abs());
            if value.as_f64().is_none_or(|number| number.is_finite() && number.abs() <= most) {
                Ok(())
            } else {
                Err(config.invalid(key.name, &format!("a number of at most {most}")))
            }
        }
        _ => Ok(()),
    }
}

/// Checks the values of `rank_pattern` and `alpha_pattern`. AdaLoRA's `rank_pattern` has a list of
/// booleans for each layer.
fn check_patterns(config: &ConfigFile) -> Result<(), PeftError> {
    let values = |name: &str| {
        config.get(name).and_then(Value::as_object).into_iter().flatten().map(|(_, value)| value)
    };
    for value in values("rank_pattern") {
        let fits = match value {
            Value::Array(ranks) => {
                ranks.len() as i64 <= MAX_RANK && ranks.iter().all(Value::is_boolean)
            }
            number => number.as_i64().is_some_and(|rank| (1..=MAX_RANK).contains(&rank)),
        };
        if !fits {
            return Err(config.invalid(
                "rank_pattern",
                &format!("ranks by module name, each {}", whole_number(1, MAX_RANK)),
            ));
        }
    }
    if values("alpha_pattern").any(|value| {
        value.as_f64().is_none_or(|alpha| !alpha.is_finite() || alpha.abs() > MAX_SCALE)
    }) {
        return Err(config.invalid(
            "alpha_pattern",
            &format!("numbers by module name, each of at most {MAX_SCALE}"),
        ));
    }
    Ok(())
}

fn whole_number(min: i64, max: i64) -> String {
    if max > 1 << 41 {
        format!("a whole number of at least {min}")
    } else {
        format!("a whole number between {min} and {max}")
    }
}

#[cfg(test)]
mod tests {
    use graft_spec::methods::METHODS;
    use serde_json::json;

    use super::*;
    use crate::methods::by_verb;

    /// Every numeric key of every method: none of these values may pass.
    #[test]
    fn no_method_accepts_a_number_outside_the_range_of_its_key() {
        let (mut integers, mut floats) = (0, 0);
        for spec in METHODS {
            let defaults = by_verb(spec.verb).expect("a method for every spec").defaults();
            let refused = |name: &'static str, value: Value| {
                check(&ConfigFile::new(defaults, [(name, value)]), spec).is_err()
            };
            for key in spec.keys {
                match key.kind {
                    KeyKind::Integer { min, max } | KeyKind::IntegerOrAuto { min, max } => {
                        let beyond = [
                            json!(i128::from(max) + 1).to_string(),
                            format!("{}", i128::from(min) - 1),
                            "1e308".to_owned(),
                            "2.5".to_owned(),
                            "\"two\"".to_owned(),
                            "[1]".to_owned(),
                        ];
                        for text in beyond {
                            let value: Value = serde_json::from_str(&text).expect("JSON");
                            assert!(refused(key.name, value), "{} {}={text}", spec.verb, key.name);
                        }
                        integers += 1;
                    }
                    KeyKind::Float { .. } => {
                        assert!(
                            refused(key.name, json!(1e308)) && refused(key.name, json!(-1e308)),
                            "{} {}",
                            spec.verb,
                            key.name
                        );
                        floats += 1;
                    }
                    _ => {}
                }
            }
            assert!(
                check(&ConfigFile::new(defaults, []), spec).is_ok()
                    || spec.keys.iter().any(|key| key.name == "num_virtual_tokens"),
                "{}",
                spec.verb
            );
        }
        assert!(integers >= 20 && floats >= 15, "{integers} {floats}");
    }

    #[test]
    fn patterns_and_lists_are_bounded() {
        let spec = &graft_spec::methods::lora::SPEC;
        let refused = |name: &'static str, value: Value| {
            check(&ConfigFile::new("{}", [(name, value)]), spec).expect_err("refused").to_string()
        };
        for rank in
            [json!(0), json!(-1), json!(65_537), json!(2_147_483_647), json!(1e308), json!([1])]
        {
            assert!(
                refused("rank_pattern", json!({ "q_proj": rank })).contains("between 1 and 65536"),
                "{rank}"
            );
        }
        assert!(refused("alpha_pattern", json!({"q_proj": 1e308})).contains("alpha_pattern"));
        assert!(
            refused("target_modules", json!(vec!["x"; MAX_ITEMS + 1])).contains("100001 items")
        );
        assert!(
            check(
                &ConfigFile::new("{}", [("rank_pattern", json!({"a": 3, "b": [true, false]}))]),
                spec
            )
            .is_ok()
        );
    }
}
