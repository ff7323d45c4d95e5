//! The layers that a method adapts: HF PEFT's matching rules, as pure functions of names.
//!
//! # Source
//! peft, `tuners/tuners_utils.py`: `check_target_module_exists`,
//! `_maybe_include_all_linear_layers`.

use regex::Regex;
use serde_json::Value;

use crate::{PeftError, config_file::ConfigFile, modules_to_save, patterns::compile};

/// The word that selects every linear layer except the head; the case does not matter.
pub(crate) const ALL_LINEAR: &str = "all-linear";
/// Characters that do not occur in module paths: a word with one of them is a regular expression.
const PATTERN: &[char] = &['*', '(', '[', '\\', '|', '^', '$', '+', '?', '{'];

/// Maximum number of items in `layers_pattern`: each is a regular expression.
const MAX_PATTERNS: usize = 100;

/// `target_modules` or `exclude_modules`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Targets {
    /// Every linear layer except the head.
    AllLinear,
    /// Paths or their suffixes.
    List(Vec<String>),
    /// A regular expression for whole paths.
    Pattern(String),
}

/// All fields that select layers.
#[derive(Clone, Debug)]
pub(crate) struct Selection {
    /// `target_modules`.
    pub(crate) targets: Targets,
    /// `exclude_modules`.
    pub(crate) excluded: Option<Targets>,
    /// `layers_to_transform`: block numbers; empty for all blocks.
    pub(crate) layers: Vec<usize>,
    /// `layers_pattern`: names of the list that contains the blocks.
    pub(crate) layers_pattern: Vec<String>,
    /// `modules_to_save`: never targeted.
    pub(crate) saved: Vec<String>,
}

impl Targets {
    /// Converts the words of a key: a single word with a character that does not occur in paths is
    /// a regular expression.
    pub(crate) fn from_words(words: &[String]) -> Self {
        match words {
            [one] if one.eq_ignore_ascii_case(ALL_LINEAR) => Self::AllLinear,
            [one] if one.contains(PATTERN) => Self::Pattern(one.clone()),
            many => Self::List(many.to_vec()),
        }
    }

    /// Converts a field of `adapter_config.json`: a string is a regular expression (or
    /// `all-linear`), a list contains names.
    pub(crate) fn from_json(value: &Value) -> Option<Self> {
        match value {
            Value::String(text) if text.eq_ignore_ascii_case(ALL_LINEAR) => Some(Self::AllLinear),
            Value::String(text) => Some(Self::Pattern(text.clone())),
            Value::Array(items) => Some(Self::List(
                items.iter().map(|item| item.as_str().map(str::to_owned)).collect::<Option<_>>()?,
            )),
            _ => None,
        }
    }

    /// HF PEFT's rule for IA³'s feed-forward modules: unlike in other fields, a name may match in
    /// the middle of a component.
    ///
    /// # Errors
    /// [`PeftError::BadPattern`].
    pub(crate) fn ends(&self, path: &str) -> Result<bool, PeftError> {
        match self {
            Self::AllLinear => Ok(true),
            Self::List(names) => Ok(names.iter().any(|name| path.ends_with(name))),
            Self::Pattern(pattern) => {
                Ok(compile(pattern, &format!("^(?:{pattern})$"))?.is_match(path))
            }
        }
    }

    /// Whether the layer at `path` or a module that contains it matches: `layers.0` matches
    /// everything inside the first block.
    ///
    /// # Errors
    /// [`PeftError::BadPattern`].
    pub(crate) fn covers(&self, path: &str) -> Result<bool, PeftError> {
        let mut modules = path.match_indices('.').map(|(end, _)| &path[..end]).chain([path]);
        match self {
            Self::AllLinear => Ok(true),
            Self::List(names) => {
                Ok(modules.any(|module| names.iter().any(|name| ends_with(module, name))))
            }
            Self::Pattern(pattern) => {
                let whole = compile(pattern, &format!("^(?:{pattern})$"))?;
                Ok(modules.any(|module| whole.is_match(module)))
            }
        }
    }

    /// The names, or the pattern, one by one.
    pub(crate) fn words(&self) -> Vec<Self> {
        match self {
            Self::List(names) => names.iter().map(|name| Self::List(vec![name.clone()])).collect(),
            other => vec![other.clone()],
        }
    }

    /// The field of `adapter_config.json`.
    pub(crate) fn to_json(&self) -> Value {
        match self {
            Self::AllLinear => ALL_LINEAR.into(),
            Self::List(names) => names.clone().into(),
            Self::Pattern(pattern) => pattern.clone().into(),
        }
    }
}

impl Selection {
    /// Reads the fields.
    ///
    /// # Errors
    /// [`PeftError::Malformed`] for an invalid value, or if `target_modules` is absent.
    pub(crate) fn read(config: &ConfigFile) -> Result<Self, PeftError> {
        let targets = |name: &str| match config.get(name) {
            None => Ok(None),
            Some(value) => Targets::from_json(value).map(Some).ok_or_else(|| {
                config.invalid(name, "a list of module names or a regular expression")
            }),
        };
        let layers = match config.get("layers_to_transform") {
            None => Vec::new(),
            Some(Value::Array(items)) => {
                items.iter().filter_map(Value::as_u64).map(|layer| layer as usize).collect()
            }
            Some(one) => vec![
                one.as_u64()
                    .ok_or_else(|| config.invalid("layers_to_transform", "layer numbers"))?
                    as usize,
            ],
        };
        let layers_pattern = match config.get("layers_pattern") {
            Some(Value::Array(items)) => {
                items.iter().filter_map(Value::as_str).map(str::to_owned).collect()
            }
            Some(Value::String(one)) => vec![one.clone()],
            _ => Vec::new(),
        };
        let chosen = targets("target_modules")?.ok_or_else(|| {
            config.invalid("target_modules", "a list of module names or a regular expression")
        })?;
        Ok(Self {
            targets: chosen,
            excluded: targets("exclude_modules")?,
            layers,
            layers_pattern,
            saved: modules_to_save::names(config),
        })
    }

    /// Compiles the regular expressions of the selection.
    ///
    /// # Errors
    /// [`PeftError::BadPattern`], [`PeftError::TooManyPatterns`].
    pub(crate) fn matcher(&self) -> Result<Matcher<'_>, PeftError> {
        let whole = |targets: &Targets| match targets {
            Targets::Pattern(pattern) => {
                Some(compile(pattern, &format!("^(?:{pattern})$"))).transpose()
            }
            _ => Ok(None),
        };
        if self.layers_pattern.len() > MAX_PATTERNS {
            return Err(PeftError::TooManyPatterns {
                field: "layers_pattern".to_owned(),
                found: self.layers_pattern.len(),
                most: MAX_PATTERNS,
            });
        }
        let layer = if self.layers_pattern.is_empty() {
            vec![compile("layers_to_transform", r"^.*?\.[^.]*\.(\d+)\.")?]
        } else {
            self.layers_pattern
                .iter()
                .map(|name| compile(name, &format!(r"^.*?\.(?:{name})\.(\d+)\.")))
                .collect::<Result<_, _>>()?
        };
        let excluded = self.excluded.as_ref().map(whole).transpose()?.flatten();
        Ok(Matcher { selection: self, pattern: whole(&self.targets)?, excluded, layer })
    }
}

/// A selection with compiled regular expressions.
pub(crate) struct Matcher<'a> {
    selection: &'a Selection,
    pattern: Option<Regex>,
    excluded: Option<Regex>,
    /// Finds the block number in a path.
    layer: Vec<Regex>,
}

impl Matcher<'_> {
    /// Whether the selection matches the layer at `path`. Only linear layers other than the head
    /// belong to `all-linear`.
    pub(crate) fn matches(&self, path: &str, in_all_linear: bool) -> bool {
        if self.is_excluded(path) || modules_to_save::is_named(path, &self.selection.saved) {
            return false;
        }
        match (&self.selection.targets, &self.pattern) {
            (Targets::AllLinear, _) => in_all_linear,
            (Targets::List(names), _) => {
                names.iter().any(|name| name == path)
                    || (names.iter().any(|name| ends_with(path, name)) && self.is_in_layers(path))
            }
            (Targets::Pattern(_), Some(pattern)) => pattern.is_match(path),
            (Targets::Pattern(_), None) => false,
        }
    }

    fn is_excluded(&self, path: &str) -> bool {
        match (&self.selection.excluded, &self.excluded) {
            (Some(Targets::List(names)), _) => names.iter().any(|name| ends_with(path, name)),
            (_, Some(pattern)) => pattern.is_match(path),
            _ => false,
        }
    }

    fn is_in_layers(&self, path: &str) -> bool {
        let number = || {
            self.layer
                .iter()
                .find_map(|pattern| pattern.captures(path))
                .and_then(|found| found.get(1)?.as_str().parse().ok())
        };
        self.selection.layers.is_empty()
            || number().is_some_and(|number: usize| self.selection.layers.contains(&number))
    }
}

/// Whether `path` is `name`, or ends with it after a dot.
pub(crate) fn ends_with(path: &str, name: &str) -> bool {
    path.strip_suffix(name).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

#[cfg(test)]
mod tests;
