//! Keys and values. One [`KeySpec`] defines parser, help, completion, Rust setter and documentation
//! of a key; [`Settings`] holds the values that were given.

mod transformers_words;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::SpecError;

/// The type of a value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum KeyKind {
    /// `true` or `false`; the bare key means true.
    Bool,
    /// A whole number in `[min, max]`. `200_000`, `2k` and `1e3` are valid.
    Integer {
        /// Smallest value.
        min: i64,
        /// Largest value.
        max: i64,
    },
    /// A whole number in `[min, max]`, or `auto`.
    IntegerOrAuto {
        /// Smallest value.
        min: i64,
        /// Largest value.
        max: i64,
    },
    /// A finite number in `[min, max]`.
    Float {
        /// Smallest value.
        min: f64,
        /// Largest value.
        max: f64,
    },
    /// A finite number in `[min, max]`, or `auto`.
    FloatOrAuto {
        /// Smallest number.
        min: f64,
        /// Largest number.
        max: f64,
    },
    /// A finite number in `[min, max]`, or a file or folder.
    FloatOrPath {
        /// Smallest number.
        min: f64,
        /// Largest number.
        max: f64,
    },
    /// Any text, in quotes if it contains spaces.
    Text,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// Modules: a comma-separated list of suffixes, a regular expression, or `all-linear`.
    Modules,
    /// A comma-separated list.
    List,
    /// A file or folder.
    Path,
}

/// The value that lets Graft choose.
pub const AUTO: &str = "auto";

/// One key of a method, of training or of any other verb.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KeySpec {
    /// Canonical name, that of HF PEFT where it has one, such as `lora_alpha`.
    pub name: &'static str,
    /// Short forms, such as `alpha`.
    pub aliases: &'static [&'static str],
    /// The type of its value.
    pub kind: KeyKind,
    /// The default as a user would type it. Empty if there is none; `help` then describes what
    /// happens without the key.
    pub default: &'static str,
    /// One line: meaning, unit, range.
    pub help: &'static str,
}

/// A value that a user gave, checked against its [`KeySpec`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Value {
    /// From [`KeyKind::Bool`].
    Bool(bool),
    /// From [`KeyKind::Integer`].
    Integer(i64),
    /// From [`KeyKind::Float`] and [`KeyKind::FloatOrPath`]; always finite.
    Float(f64),
    /// From [`KeyKind::Text`], [`KeyKind::Choice`] and [`KeyKind::Path`]; [`AUTO`]; the path of a
    /// [`KeyKind::FloatOrPath`].
    Text(String),
    /// From [`KeyKind::Modules`] and [`KeyKind::List`]; a regular expression is a list of one.
    List(Vec<String>),
}

/// The values that were given, by canonical name. Absent keys have their default.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Canonical name to value.
    pub values: BTreeMap<String, Value>,
}

impl KeySpec {
    /// Returns whether `word` is the canonical name or an alias.
    pub fn is_named(&self, word: &str) -> bool {
        self.name == word || self.aliases.contains(&word)
    }

    /// Returns whether a file or folder is a value of this key, in addition to a number.
    pub fn takes_path(&self) -> bool {
        matches!(self.kind, KeyKind::FloatOrPath { .. })
    }

    /// Returns whether [`AUTO`] is a value of this key.
    pub fn takes_auto(&self) -> bool {
        matches!(self.kind, KeyKind::IntegerOrAuto { .. } | KeyKind::FloatOrAuto { .. })
    }

    /// Parses `text` as a value of this key.
    ///
    /// # Errors
    /// [`SpecError::WrongType`], [`SpecError::OutOfRange`] and [`SpecError::NoChoice`], with the
    /// valid values in the hint.
    pub fn parse(&self, text: &str) -> Result<Value, SpecError> {
        let text = transformers_words::meaning(self.name, text);
        match self.kind {
            KeyKind::Bool => Self::parse_bool(text)
                .map(Value::Bool)
                .ok_or_else(|| self.wrong_type(text, "true or false")),
            _ if text == AUTO && self.takes_auto() => Ok(Value::Text(AUTO.to_owned())),
            KeyKind::Integer { min, max } | KeyKind::IntegerOrAuto { min, max } => {
                let expected = if matches!(self.kind, KeyKind::Integer { .. }) {
                    "a whole number"
                } else {
                    "a whole number or auto"
                };
                let value = parse_integer(text).ok_or_else(|| self.wrong_type(text, expected))?;
                if value < min || value > max {
                    return Err(self.out_of_range(text, min as f64, max as f64));
                }
                Ok(Value::Integer(value))
            }
            KeyKind::FloatOrPath { .. } if text.parse::<f64>().is_err() => match text.is_empty() {
                true => Err(self.wrong_type(text, "a number or a file")),
                false => Ok(Value::Text(text.to_owned())),
            },
            KeyKind::Float { min, max }
            | KeyKind::FloatOrAuto { min, max }
            | KeyKind::FloatOrPath { min, max } => {
                let expected = if self.takes_auto() { "a number or auto" } else { "a number" };
                let value: f64 = text
                    .parse()
                    .ok()
                    .filter(|value: &f64| value.is_finite())
                    .ok_or_else(|| self.wrong_type(text, expected))?;
                if value < min || value > max {
                    return Err(self.out_of_range(text, min, max));
                }
                Ok(Value::Float(value))
            }
            KeyKind::Choice(words) if !words.contains(&text) => {
                Err(SpecError::NoChoice { key: self.name, found: text.to_owned(), words })
            }
            KeyKind::Text | KeyKind::Path | KeyKind::Choice(_) => Ok(Value::Text(text.to_owned())),
            KeyKind::Modules | KeyKind::List => Ok(Value::List(split_list(text, self.kind))),
        }
    }

    /// Returns the default as a value, if there is one.
    pub fn default_value(&self) -> Option<Value> {
        if self.default.is_empty() { None } else { self.parse(self.default).ok() }
    }

    /// Parses a truth value; an empty text is true.
    pub fn parse_bool(text: &str) -> Option<bool> {
        match text.to_ascii_lowercase().as_str() {
            "" | "true" | "yes" | "on" | "1" => Some(true),
            "false" | "no" | "off" | "0" => Some(false),
            _ => None,
        }
    }

    fn wrong_type(&self, text: &str, expected: &'static str) -> SpecError {
        let example = self.example();
        SpecError::WrongType { key: self.name, expected, found: text.to_owned(), example }
    }

    fn out_of_range(&self, text: &str, min: f64, max: f64) -> SpecError {
        let example = self.example();
        SpecError::OutOfRange { key: self.name, min, max, found: text.to_owned(), example }
    }

    /// A value for the hint of a number without a default.
    fn sample(&self) -> Option<String> {
        match self.kind {
            KeyKind::Float { min: _, max } if max >= 1e6 => Some("1".to_owned()),
            KeyKind::Float { min, max } | KeyKind::FloatOrAuto { min, max }
                if (min..=max).contains(&1e-3) =>
            {
                Some("1e-3".to_owned())
            }
            KeyKind::Integer { min, max } | KeyKind::IntegerOrAuto { min, max } => {
                Some(100.clamp(min, max).to_string())
            }
            _ => None,
        }
    }

    fn example(&self) -> String {
        if let (true, Some(sample)) = (self.default.is_empty(), self.sample()) {
            format!("for example {}={sample} ({})", self.name, self.help)
        } else if self.default.is_empty() {
            format!("{}: {}", self.name, self.help)
        } else {
            format!("for example {}={} ({})", self.name, self.default, self.help)
        }
    }
}

fn parse_integer(text: &str) -> Option<i64> {
    let plain = text.replace('_', "");
    if let Ok(value) = plain.parse() {
        return Some(value);
    }
    let (digits, factor) = match plain.strip_suffix(['k', 'K']) {
        Some(digits) => (digits, 1e3),
        None => (plain.as_str(), 1.0),
    };
    let value = digits.parse::<f64>().ok()? * factor;
    (value.is_finite() && value.fract() == 0.0 && value.abs() < 9e15).then_some(value as i64)
}

/// Splits a list at commas. A regular expression, which contains a character that is not allowed in
/// module names, is not split.
fn split_list(text: &str, kind: KeyKind) -> Vec<String> {
    if kind == KeyKind::Modules && text.contains(['*', '(', '[', '\\', '|', '^', '$', '+', '?']) {
        return vec![text.to_owned()];
    }
    text.trim_matches(['[', ']'])
        .split(',')
        .map(|item| item.trim().trim_matches(['"', '\'']).to_owned())
        .filter(|item| !item.is_empty())
        .collect()
}

impl Settings {
    /// Stores a value under its canonical name.
    pub fn set(&mut self, name: &str, value: Value) {
        self.values.insert(name.to_owned(), value);
    }

    /// Adds a value, for chained calls.
    #[must_use]
    pub fn with(mut self, name: &str, value: Value) -> Self {
        self.set(name, value);
        self
    }

    /// Returns the given value, or the default of its spec, if any.
    pub fn get(&self, specs: &[KeySpec], name: &str) -> Option<Value> {
        self.values
            .get(name)
            .cloned()
            .or_else(|| specs.iter().find(|spec| spec.name == name)?.default_value())
    }

    /// Returns the given or default value as a whole number.
    pub fn integer(&self, specs: &[KeySpec], name: &str) -> Option<i64> {
        match self.get(specs, name)? {
            Value::Integer(value) => Some(value),
            Value::Float(value) if value.fract() == 0.0 => Some(value as i64),
            _ => None,
        }
    }

    /// Returns the given or default value as a number.
    pub fn float(&self, specs: &[KeySpec], name: &str) -> Option<f64> {
        match self.get(specs, name)? {
            Value::Float(value) => Some(value),
            Value::Integer(value) => Some(value as f64),
            _ => None,
        }
    }

    /// Returns the given or default value as a boolean; false without either.
    pub fn bool(&self, specs: &[KeySpec], name: &str) -> bool {
        matches!(self.get(specs, name), Some(Value::Bool(true)))
    }

    /// Returns the given or default value as text.
    pub fn text(&self, specs: &[KeySpec], name: &str) -> Option<String> {
        match self.get(specs, name)? {
            Value::Text(value) => Some(value),
            Value::List(values) => Some(values.join(",")),
            _ => None,
        }
    }

    /// Returns the given or default value as a list. A text is a list of one.
    pub fn list(&self, specs: &[KeySpec], name: &str) -> Option<Vec<String>> {
        match self.get(specs, name)? {
            Value::List(values) => Some(values),
            Value::Text(value) => Some(vec![value]),
            _ => None,
        }
    }

    /// Splits into the settings with keys in `first` and the others.
    pub fn split(self, first: &[KeySpec]) -> (Self, Self) {
        let (mine, rest) = self
            .values
            .into_iter()
            .partition(|(name, _)| first.iter().any(|spec| spec.name == name));
        (Self { values: mine }, Self { values: rest })
    }

    /// Checks every value against its spec. Settings from Rust code or from the link have not been
    /// parsed.
    ///
    /// # Errors
    /// [`SpecError::UnknownKey`] with the valid keys, and the errors of [`KeySpec::parse`].
    pub fn check(&self, specs: &[KeySpec]) -> Result<(), SpecError> {
        for (name, value) in &self.values {
            let Some(spec) = specs.iter().find(|spec| spec.name == name) else {
                let known = specs.iter().map(|spec| spec.name).collect();
                return Err(SpecError::UnknownKey { key: name.clone(), known });
            };
            spec.parse(&value.to_string())?;
        }
        Ok(())
    }
}

impl std::fmt::Display for Value {
    /// Formats the value as a user would type it, without quotes.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Bool(value) => write!(f, "{value}"),
            Self::Integer(value) => write!(f, "{value}"),
            Self::Float(value) => write!(f, "{value}"),
            Self::Text(value) => write!(f, "{value}"),
            Self::List(values) => write!(f, "{}", values.join(",")),
        }
    }
}
