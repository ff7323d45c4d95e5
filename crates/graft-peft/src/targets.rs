//! Which layers a method acts on: HF PEFT's matching rules, as pure functions of names.
//!
//! # Source
//! peft, `tuners/tuners_utils.py`: `check_target_module_exists`, `_maybe_include_all_linear_layers`.

use regex::Regex;
use serde_json::Value;

use crate::{PeftError, config_file::ConfigFile, patterns::compile, trained_modules};

/// The word that takes every linear layer but the head, in any case.
pub(crate) const ALL_LINEAR: &str = "all-linear";
/// Characters that no module path has: a word with one is a regular expression.
const PATTERN: &[char] = &['*', '(', '[', '\\', '|', '^', '$', '+', '?', '{'];

/// Most names of the list of blocks: each is a regular expression.
const MOST_PATTERNS: usize = 100;

/// `target_modules` or `exclude_modules`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Targets {
    /// Every linear layer but the head.
    AllLinear,
    /// Paths or their ends.
    List(Vec<String>),
    /// A regular expression for whole paths.
    Pattern(String),
}

/// Everything in a config that decides which layers are meant.
#[derive(Clone, Debug)]
pub(crate) struct Selection {
    /// `target_modules`.
    pub(crate) targets: Targets,
    /// `exclude_modules`.
    pub(crate) excluded: Option<Targets>,
    /// `layers_to_transform`: numbers of the blocks; none means all.
    pub(crate) layers: Vec<usize>,
    /// `layers_pattern`: names of the list of blocks.
    pub(crate) layers_pattern: Vec<String>,
    /// `modules_to_save`: never targeted.
    pub(crate) saved: Vec<String>,
}

impl Targets {
    /// From the words of a key: one word with a character that no path has is a regular expression.
    pub(crate) fn from_words(words: &[String]) -> Self {
        match words {
            [one] if one.eq_ignore_ascii_case(ALL_LINEAR) => Self::AllLinear,
            [one] if one.contains(PATTERN) => Self::Pattern(one.clone()),
            many => Self::List(many.to_vec()),
        }
    }

    /// From `adapter_config.json`: a text is a regular expression (or `all-linear`), a list holds names.
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

    /// HF PEFT's looser rule for IA³'s feed-forward modules: a name need not begin after a dot.
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

    /// Whether the layer at `path`, or a module around it, is meant: `layers.0` means everything inside the first block.
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

    /// For `adapter_config.json`.
    pub(crate) fn to_json(&self) -> Value {
        match self {
            Self::AllLinear => ALL_LINEAR.into(),
            Self::List(names) => names.clone().into(),
            Self::Pattern(pattern) => pattern.clone().into(),
        }
    }
}

impl Selection {
    /// Reads the fields that decide it.
    ///
    /// # Errors
    /// [`PeftError::Malformed`] for a value of another kind and when `target_modules` is absent.
    pub(crate) fn read(config: &ConfigFile) -> Result<Self, PeftError> {
        let targets = |name: &str| match config.get(name) {
            None => Ok(None),
            Some(value) => Targets::from_json(value).map(Some).ok_or_else(|| {
                config.wrong(name, "a list of module names or a regular expression")
            }),
        };
        let layers = match config.get("layers_to_transform") {
            None => Vec::new(),
            Some(Value::Array(items)) => {
                items.iter().filter_map(Value::as_u64).map(|layer| layer as usize).collect()
            }
            Some(one) => vec![
                one.as_u64().ok_or_else(|| config.wrong("layers_to_transform", "layer numbers"))?
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
            config.wrong("target_modules", "a list of module names or a regular expression")
        })?;
        Ok(Self {
            targets: chosen,
            excluded: targets("exclude_modules")?,
            layers,
            layers_pattern,
            saved: trained_modules::names(config),
        })
    }

    /// Whether the layer at `path` is meant; `is_head` is for the head alone. Called for linear layers; see [`Matcher`] to test many.
    ///
    /// # Errors
    /// [`PeftError::BadPattern`].
    pub(crate) fn matcher(&self) -> Result<Matcher<'_>, PeftError> {
        let whole = |targets: &Targets| match targets {
            Targets::Pattern(pattern) => {
                Some(compile(pattern, &format!("^(?:{pattern})$"))).transpose()
            }
            _ => Ok(None),
        };
        if self.layers_pattern.len() > MOST_PATTERNS {
            return Err(PeftError::TooManyPatterns {
                field: "layers_pattern".to_owned(),
                found: self.layers_pattern.len(),
                most: MOST_PATTERNS,
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

/// A selection with its regular expressions ready.
pub(crate) struct Matcher<'a> {
    selection: &'a Selection,
    pattern: Option<Regex>,
    excluded: Option<Regex>,
    /// Finds the number of the block in a path.
    layer: Vec<Regex>,
}

impl Matcher<'_> {
    /// Whether the layer at `path` is meant. Only linear layers that are not the head belong to `all-linear`.
    pub(crate) fn matches(&self, path: &str, in_all_linear: bool) -> bool {
        if self.is_excluded(path) || trained_modules::is_named(path, &self.selection.saved) {
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

/// Whether `path` is `name` or ends with it after a dot.
pub(crate) fn ends_with(path: &str, name: &str) -> bool {
    path.strip_suffix(name).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

#[cfg(test)]
mod tests;
