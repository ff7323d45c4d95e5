//! Conversion between the keys of a method and the fields of `adapter_config.json`. Both use HF
//! PEFT's names, so one rule serves all methods.

use graft_nn::{Linear, Model};
use graft_spec::{KeyKind, KeySpec, Settings, Value as Setting, methods::MethodSpec};
use serde_json::{Map, Value};

use crate::{
    AttachContext, PeftError,
    config_file::{ConfigFile, plain_number},
    layers::short_targets,
    targets::{Selection, Targets},
};

/// Keys whose list of `name:number` is an object in the file.
const PATTERNS: &[&str] = &["rank_pattern", "alpha_pattern"];

/// Keys whose list contains whole numbers.
const NUMBERS: &[&str] = &["layers_to_transform", "token_indices", "leave_out", TOKENS];

/// The key whose list may name layers, as `lm_head:17`, and is then an object in the file.
const TOKENS: &str = "trainable_token_indices";

/// Maximum number of items in such a list.
const MAX_NUMBERS: u64 = 100_000;

/// Keys that have no field of the same name in the file.
const NOT_FIELDS: &[&str] = &["adapter_name", LORAPLUS, EVA_RHO];
/// LoRA+'s ratio of the learning rates of B and A.
pub(crate) const LORAPLUS: &str = "loraplus_lr_ratio";
/// `rho` of the field `eva_config`.
pub(crate) const EVA_RHO: &str = "eva_rho";

/// The configuration for the given keys: `defaults` with these keys as fields. `default_targets`,
/// if there are any, are used when `target_modules` is not given.
///
/// # Errors
/// [`PeftError::NoTargets`], and [`PeftError::InvalidPatternItem`], [`PeftError::InvalidNumber`] or
/// [`PeftError::TooManyNumbers`] for an invalid list.
pub(crate) fn from_settings(
    spec: &MethodSpec,
    defaults: &'static str,
    settings: &Settings,
    default_targets: &[String],
) -> Result<ConfigFile, PeftError> {
    let mut fields = Vec::new();
    for key in spec.keys.iter().filter(|key| !NOT_FIELDS.contains(&key.name)) {
        let given = settings.get(spec.keys, key.name);
        let value = match given {
            Some(given) => field(key, given)?,
            None if key.name == "target_modules" && !default_targets.is_empty() => {
                default_targets.to_vec().into()
            }
            None => continue,
        };
        if key.name == "target_modules" && value.as_array().is_some_and(Vec::is_empty) {
            return Err(PeftError::NoTargets { defaults: default_targets.to_vec() });
        }
        fields.push((key.name, value));
    }
    Ok(ConfigFile::new(defaults, fields))
}

/// [`from_settings`] for a method with LoRA's default targets.
///
/// # Errors
/// Those of [`from_settings`].
pub(crate) fn on_default_targets(
    spec: &MethodSpec,
    defaults: &'static str,
    cx: &AttachContext<'_>,
    settings: &Settings,
) -> Result<ConfigFile, PeftError> {
    let targets: Vec<_> =
        cx.model.default_targets().iter().map(|name| (*name).to_owned()).collect();
    from_settings(spec, defaults, settings, &targets)
}

/// The effective keys: targets by the shortest names that select the chosen layers, and every other
/// key whose field differs from the default or whose name is in `always`.
pub(crate) fn to_settings(
    spec: &MethodSpec,
    config: &ConfigFile,
    always: &[&str],
    selection: &Selection,
    model: &dyn Model,
    chosen: &[&Linear],
) -> Settings {
    plain_settings(spec, config, always)
        .with("target_modules", Setting::List(short_targets(&selection.targets, model, chosen)))
}

/// [`to_settings`] of a method whose targets are not linear layers: they are not shortened.
pub(crate) fn plain_settings(spec: &MethodSpec, config: &ConfigFile, always: &[&str]) -> Settings {
    let mut settings = Settings::default();
    for key in spec.keys.iter().filter(|key| !NOT_FIELDS.contains(&key.name)) {
        let Some(setting) = config.get(key.name).and_then(|value| setting(key, value)) else {
            continue;
        };
        if always.contains(&key.name)
            || key.default_value().is_none_or(|default| default.to_string() != setting.to_string())
        {
            settings.set(key.name, setting);
        }
    }
    settings
}

/// Adds the names of targets that are not linear layers to a list of targets.
pub(crate) fn add_targets<'a>(
    settings: &mut Settings,
    selection: &Selection,
    names: impl Iterator<Item = &'a str>,
) {
    if let (Targets::List(_), Some(Setting::List(targets))) =
        (&selection.targets, settings.values.get_mut("target_modules"))
    {
        names
            .filter(|name| !targets.iter().any(|target| target == name))
            .map(str::to_owned)
            .collect::<Vec<_>>()
            .into_iter()
            .for_each(|name| targets.push(name));
    }
}

/// The value of a key as the field of the same name.
fn field(key: &KeySpec, given: Setting) -> Result<Value, PeftError> {
    Ok(match given {
        Setting::Bool(value) => value.into(),
        Setting::Integer(value) if matches!(key.kind, KeyKind::Float { .. }) => {
            plain_number(value as f64)
        }
        Setting::Integer(value) => value.into(),
        // HF PEFT declares scales as whole numbers and probabilities as floats.
        Setting::Float(value) if key.default.contains('.') || key.name.ends_with("dropout") => {
            value.into()
        }
        Setting::Float(value) => plain_number(value),
        Setting::Text(word) if word == "true" || word == "false" => (word == "true").into(),
        Setting::Text(word) => word.into(),
        Setting::List(items) if PATTERNS.contains(&key.name) => {
            Value::Object(numbers_by_name(key, &items)?)
        }
        Setting::List(items) if key.name == TOKENS && items.iter().any(|it| it.contains(':')) => {
            Value::Object(tokens_by_layer(key, &items)?)
        }
        Setting::List(items) if NUMBERS.contains(&key.name) => numbers(key, &items)?.into(),
        Setting::List(items) if key.kind == KeyKind::Modules => {
            Targets::from_words(&items).to_json()
        }
        Setting::List(items) => items.into(),
    })
}

/// A field as the value of the key of the same name; `None` for an empty field.
fn setting(key: &KeySpec, value: &Value) -> Option<Setting> {
    Some(match (key.kind, value) {
        (KeyKind::Integer { .. } | KeyKind::IntegerOrAuto { .. }, _) => {
            Setting::Integer(value.as_i64()?)
        }
        (KeyKind::Float { .. } | KeyKind::FloatOrAuto { .. } | KeyKind::FloatOrPath { .. }, _) => {
            Setting::Float(value.as_f64()?)
        }
        (KeyKind::Bool, _) => Setting::Bool(value.as_bool()?),
        (KeyKind::List | KeyKind::Modules, Value::Array(items)) if items.is_empty() => return None,
        (KeyKind::List | KeyKind::Modules, Value::Object(fields)) if fields.is_empty() => {
            return None;
        }
        (KeyKind::List | KeyKind::Modules, Value::Array(items)) => {
            Setting::List(items.iter().map(plain).collect())
        }
        (KeyKind::List, Value::Object(layers)) if key.name == TOKENS => {
            let of_layer = |(name, numbers): (&String, &Value)| -> Vec<String> {
                let numbers = numbers.as_array().map(Vec::as_slice).unwrap_or_default();
                numbers.iter().map(|number| format!("{name}:{number}")).collect()
            };
            Setting::List(layers.iter().flat_map(of_layer).collect())
        }
        (KeyKind::List | KeyKind::Modules, Value::Object(fields)) => {
            Setting::List(fields.iter().map(|(name, value)| format!("{name}:{value}")).collect())
        }
        (KeyKind::List | KeyKind::Modules, one) => Setting::List(vec![plain(one)]),
        (KeyKind::Choice(_) | KeyKind::Text | KeyKind::Path, one) => Setting::Text(plain(one)),
    })
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Converts `q_proj:16` to a field `"q_proj": 16`. A regular expression may contain colons, so the
/// last one is the separator.
fn numbers_by_name(key: &KeySpec, items: &[String]) -> Result<Map<String, Value>, PeftError> {
    let read = |item: &String| {
        let (name, number) = item.rsplit_once(':')?;
        let number: f64 = number
            .trim()
            .parse()
            .ok()
            .filter(|number: &f64| number.is_finite() && *number > 0.0)?;
        let whole = key.name != "rank_pattern" || number.fract() == 0.0;
        whole.then(|| (name.trim().to_owned(), plain_number(number)))
    };
    let wrong = |item: &String| {
        let expected = if key.name == "rank_pattern" { "a rank" } else { "a number" };
        PeftError::InvalidPatternItem { item: item.clone(), key: key.name, expected }
    };
    items.iter().map(|item| read(item).ok_or_else(|| wrong(item))).collect()
}

/// Converts `lm_head:17` and `lm_head:20-22` to a field `"lm_head": [17, 20, 21, 22]`.
fn tokens_by_layer(key: &KeySpec, items: &[String]) -> Result<Map<String, Value>, PeftError> {
    let mut layers: Map<String, Value> = Map::new();
    for item in items {
        let (name, range) = item.rsplit_once(':').ok_or_else(|| PeftError::InvalidPatternItem {
            item: item.clone(),
            key: key.name,
            expected: "a token number",
        })?;
        let found = numbers(key, &[range.to_owned()])?.into_iter().map(Value::from);
        let layer = layers.entry(name.trim()).or_insert_with(|| Value::Array(Vec::new()));
        layer.as_array_mut().into_iter().for_each(|list| list.extend(found.clone()));
    }
    Ok(layers)
}

/// Block or token numbers; `4-7` is a range of four numbers.
fn numbers(key: &KeySpec, items: &[String]) -> Result<Vec<u64>, PeftError> {
    let read = |item: &String| {
        let (first, last) = item.split_once('-').unwrap_or((item, item));
        Some((
            first.trim().parse::<u64>().ok()?,
            last.trim().parse::<u64>().ok().filter(|last| *last < 1 << 24)?,
        ))
    };
    let mut numbers = Vec::new();
    for item in items {
        let (first, last) = read(item)
            .filter(|(first, last)| first <= last)
            .ok_or_else(|| PeftError::InvalidNumber { item: item.clone(), key: key.name })?;
        if last - first >= MAX_NUMBERS - numbers.len() as u64 {
            return Err(PeftError::TooManyNumbers { key: key.name, most: MAX_NUMBERS });
        }
        numbers.extend(first..=last);
    }
    Ok(numbers)
}

#[cfg(test)]
mod tests {
    use graft_spec::methods::{self, METHODS};

    use super::*;
    use crate::methods::by_verb;

    #[test]
    fn the_default_of_every_key_is_the_default_of_hf_pefts_field() {
        for spec in
            METHODS.iter().filter(|spec| spec.keys.iter().any(|key| key.name == "target_modules"))
        {
            let method = by_verb(spec.verb).expect("a method for every spec");
            let theirs = ConfigFile::new(method.defaults(), []);
            for key in spec
                .keys
                .iter()
                .filter(|key| !key.default.is_empty() && !NOT_FIELDS.contains(&key.name))
            {
                let ours = field(key, key.default_value().expect("a default")).expect("a field");
                let theirs = theirs
                    .get(key.name)
                    .unwrap_or_else(|| panic!("{} has no field {}", spec.peft_type, key.name));
                assert!(
                    *theirs == ours
                        || theirs.as_f64().is_some_and(|number| Some(number) == ours.as_f64()),
                    "{} {}: {ours} {theirs}",
                    spec.verb,
                    key.name
                );
            }
        }
    }

    #[test]
    fn patterns_and_ranges_become_fields_and_come_back() {
        let keys = methods::lora::SPEC.keys;
        let key = |name: &str| keys.iter().find(|key| key.name == name).expect("a key");
        let list =
            |items: &[&str]| Setting::List(items.iter().map(|item| (*item).to_owned()).collect());
        let ranks = field(key("rank_pattern"), list(&["q_proj:16", r"^model\.(?:a)\.v:4"]))
            .expect("a field");
        assert_eq!(ranks, serde_json::json!({"q_proj": 16, r"^model\.(?:a)\.v": 4}));
        assert_eq!(
            field(key("layers_to_transform"), list(&["0", "2-4"])).expect("a field"),
            serde_json::json!([0, 2, 3, 4])
        );
        let tokens = list(&["lm_head:3", "embed_tokens:7-8", "lm_head:5"]);
        let object = field(key(TOKENS), tokens).expect("a field");
        assert_eq!(object, serde_json::json!({"lm_head": [3, 5], "embed_tokens": [7, 8]}));
        let back = setting(key(TOKENS), &object).expect("a list");
        assert_eq!(field(key(TOKENS), back).expect("a field"), object);
        assert_eq!(
            field(key(TOKENS), list(&["3", "7-8"])).expect("a field"),
            serde_json::json!([3, 7, 8])
        );
        for (name, item) in [
            (TOKENS, "lm_head:x"),
            ("rank_pattern", "q_proj"),
            ("rank_pattern", "q:2.5"),
            ("alpha_pattern", "q:-1"),
            ("layers_to_transform", "x"),
            ("layers_to_transform", "4-2"),
        ] {
            assert!(field(key(name), list(&[item])).is_err(), "{name}={item}");
        }
    }
}
