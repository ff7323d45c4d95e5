//! Values by module name, as in `rank_pattern`: each key is a regular expression for the end of a
//! path, compiled once.
//!
//! # Source
//! peft, `utils/other.py`: `get_pattern_key`

use regex::{Regex, RegexBuilder};

use crate::PeftError;

/// Maximum characters of a regular expression.
const MAX_CHARS: usize = 32_768;
/// Maximum bytes of a compiled one. The time to match is proportional to it and to the length of
/// the path.
const LARGEST: usize = 2 << 20;
/// Maximum number of keys that are compiled because they are more than a name.
const MAX_PATTERNS: usize = 2_000;

/// Values by pattern; the first pattern that matches is used.
#[derive(Clone, Debug)]
pub(crate) struct Patterns<T>(Vec<Pattern<T>>);

#[derive(Clone, Debug)]
struct Pattern<T> {
    key: String,
    /// `None` for a plain name, which is compared directly; there may be many of them.
    regex: Option<Regex>,
    value: T,
}

impl<T: Copy> Patterns<T> {
    /// Compiles the keys; `field` is for errors.
    ///
    /// # Errors
    /// [`PeftError::BadPattern`], [`PeftError::TooManyPatterns`].
    pub(crate) fn new(field: &str, values: Vec<(String, T)>) -> Result<Self, PeftError> {
        let is_plain = |key: &str| {
            key.chars()
                .all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-' | '.'))
        };
        let found = values.iter().filter(|(key, _)| !is_plain(key)).count();
        if found > MAX_PATTERNS {
            return Err(PeftError::TooManyPatterns {
                field: field.to_owned(),
                found,
                most: MAX_PATTERNS,
            });
        }
        let pattern = |(key, value): (String, T)| {
            let regex = if is_plain(&key) {
                None
            } else {
                Some(compile(&key, &format!(r"^(?:.*\.)?(?:{key})$"))?)
            };
            Ok(Pattern { key, regex, value })
        };
        Ok(Self(values.into_iter().map(pattern).collect::<Result<_, PeftError>>()?))
    }

    /// The value of the first key that matches.
    pub(crate) fn at(&self, path: &str) -> Option<T> {
        self.0.iter().find(|pattern| pattern.fits(path)).map(|pattern| pattern.value)
    }

    /// The keys that match none of the paths.
    pub(crate) fn unmatched(&self, paths: &[&str]) -> Vec<&str> {
        self.0
            .iter()
            .filter(|pattern| !paths.iter().any(|path| pattern.fits(path)))
            .map(|pattern| pattern.key.as_str())
            .collect()
    }
}

impl<T> Pattern<T> {
    fn fits(&self, path: &str) -> bool {
        match &self.regex {
            Some(regex) => regex.is_match(path),
            // A dot matches any character, as in a regular expression.
            None => {
                let Some(start) = path
                    .len()
                    .checked_sub(self.key.len())
                    .filter(|start| path.is_char_boundary(*start))
                else {
                    return false;
                };
                let (before, end) = path.split_at(start);
                (before.is_empty() || before.ends_with('.'))
                    && end
                        .bytes()
                        .zip(self.key.bytes())
                        .all(|(letter, key)| letter == key || key == b'.')
            }
        }
    }
}

/// Compiles `pattern`, which is called `shown` in errors.
///
/// # Errors
/// [`PeftError::BadPattern`].
pub(crate) fn compile(shown: &str, pattern: &str) -> Result<Regex, PeftError> {
    let bad = |problem: String| PeftError::BadPattern {
        pattern: shown.chars().take(200).collect(),
        problem,
    };
    if pattern.len() > MAX_CHARS {
        return Err(bad(format!("it has more than {MAX_CHARS} characters")));
    }
    RegexBuilder::new(pattern).size_limit(LARGEST).build().map_err(|error| {
        let problem = error.to_string();
        bad(problem
            .lines()
            .last()
            .unwrap_or_default()
            .trim()
            .trim_start_matches("error: ")
            .to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_fitting_pattern_gives_the_rank() {
        let patterns = Patterns::new(
            "rank_pattern",
            vec![("layers.0.q_proj".to_owned(), 2), ("q_proj".to_owned(), 3), ("^v".to_owned(), 4)],
        )
        .unwrap();
        assert_eq!(patterns.at("model.layers.0.q_proj"), Some(2));
        assert_eq!(patterns.at("model.layers.1.q_proj"), Some(3));
        assert_eq!(patterns.at("model.layers.1.xq_proj"), None);
        assert_eq!((patterns.at("v"), patterns.at("x.v")), (Some(4), None));
        assert_eq!(patterns.unmatched(&["model.layers.1.q_proj"]), ["layers.0.q_proj", "^v"]);
    }

    #[test]
    fn a_plain_name_matches_the_same_paths_as_its_regular_expression() {
        for key in ["q_proj", "layers.0.q_proj", "0.q", ".", "a-b", ""] {
            let regex = compile(key, &format!(r"^(?:.*\.)?(?:{key})$")).unwrap();
            let plain = Patterns::new("rank_pattern", vec![(key.to_owned(), ())]).unwrap();
            for path in [
                "q_proj",
                "model.layers.0.q_proj",
                "layersx0xq_proj",
                "x.layersx0.q_proj",
                "xq_proj",
                "a.0.q",
                "a-b",
                "x.a-b",
                "x",
                "x.y",
                "",
                "é.q_proj",
                "éq_proj",
            ] {
                assert_eq!(plain.at(path).is_some(), regex.is_match(path), "{key} {path}");
            }
        }
    }

    #[test]
    fn patterns_that_are_too_long_too_large_or_too_many_are_refused_at_once() {
        let started = std::time::Instant::now();
        for pattern in [
            "a".repeat(MAX_CHARS) + "b*",
            r"(?:(?:\w{50}){50}){50}".to_owned(),
            "(".to_owned(),
            r"(?=x)".to_owned(),
        ] {
            assert!(compile(&pattern, &format!("^(?:{pattern})$")).is_err());
        }
        assert!(
            Patterns::new(
                "rank_pattern",
                (0..=MAX_PATTERNS).map(|number| (format!("{number}.*"), 1)).collect()
            )
            .is_err()
        );
        // A backtracking matcher would not terminate in practice.
        assert!(!compile("x", "^(?:(a+)+b)$").unwrap().is_match(&"a".repeat(5_000)));
        assert!(started.elapsed().as_secs() < 20);
    }
}
