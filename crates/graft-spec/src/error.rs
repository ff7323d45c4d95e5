//! Errors of values, keys and grids.

use crate::{Hint, suggest::nearest};

/// Why a value, a key or a grid is invalid.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SpecError {
    /// A value has another type than its key.
    #[error("`{key}` must be {expected}, got `{found}`")]
    WrongType {
        /// The key.
        key: &'static str,
        /// The type, such as `a whole number`.
        expected: &'static str,
        /// The value.
        found: String,
        /// An example of a valid value.
        example: String,
    },
    /// A number is outside the range of its key.
    #[error("`{key}` must be {}, got `{found}`", range(*min, *max))]
    OutOfRange {
        /// The key.
        key: &'static str,
        /// Smallest value.
        min: f64,
        /// Largest value.
        max: f64,
        /// The value.
        found: String,
        /// An example of a valid value.
        example: String,
    },
    /// A word is not one of the words that its key accepts.
    #[error("invalid value `{found}` for `{key}`")]
    NoChoice {
        /// The key.
        key: &'static str,
        /// The value.
        found: String,
        /// The valid values.
        words: &'static [&'static str],
    },
    /// Two keys that set the same thing are given.
    #[error("`{one}` and `{other}` cannot be given together")]
    Exclusive {
        /// One key.
        one: &'static str,
        /// The other key.
        other: &'static str,
    },
    /// A key acts with one value of another key only.
    #[error("`{key}` has no effect with {other}={found}")]
    NeedsKey {
        /// The key.
        key: &'static str,
        /// The other key.
        other: &'static str,
        /// The value that it needs.
        value: &'static str,
        /// The value that it has.
        found: String,
    },
    /// A key does not exist.
    #[error("unknown key `{key}`")]
    UnknownKey {
        /// The key.
        key: String,
        /// The keys that exist.
        known: Vec<&'static str>,
    },
    /// A grid names no method.
    #[error("no method to compare")]
    NoMethod,
    /// A key of training is given in a line without a method.
    #[error("`{key}` applies to training, but the line names no method")]
    KeyWithoutMethod {
        /// The key.
        key: String,
    },
    /// A grid names a method that does not exist.
    #[error("unknown method `{name}`")]
    UnknownMethod {
        /// The name.
        name: String,
        /// The methods that exist.
        known: Vec<&'static str>,
    },
    /// A key of a grid belongs neither to its methods nor to training.
    #[error("unknown key `{key}` for {} and training", methods.join(", "))]
    UnknownGridKey {
        /// The key.
        key: String,
        /// The methods of the grid.
        methods: Vec<&'static str>,
        /// The keys that can vary.
        known: Vec<&'static str>,
    },
    /// A key of a grid has no values.
    #[error("`{key}` has no values")]
    NoValues {
        /// The key.
        key: String,
    },
    /// A key has the same value in all trials of a grid.
    #[error("`{key}` cannot be part of a grid")]
    SharedKey {
        /// The key.
        key: &'static str,
    },
    /// A grid contains `batch=auto`.
    #[error("batch=auto cannot be part of a grid: it would give each trial another batch size")]
    AutoBatch,
    /// A grid contains the schedule that depends on validations.
    #[error(
        "schedule=reduce_on_plateau cannot be part of a grid: it needs validations, and trials \
         have none"
    )]
    PlateauInGrid,
    /// A comparison has no trial of this number.
    #[error("unknown trial {number}")]
    UnknownTrial {
        /// The number.
        number: usize,
        /// Number of trials.
        count: usize,
    },
    /// A comparison already has a trial with these keys.
    #[error("trial {number} already has these keys")]
    SameTrial {
        /// The number of that trial.
        number: usize,
    },
}

impl Hint for SpecError {
    fn code(&self) -> &'static str {
        match self {
            Self::WrongType { .. } => "settings::wrong_type",
            Self::OutOfRange { .. } => "settings::out_of_range",
            Self::NoChoice { .. } => "settings::no_choice",
            Self::Exclusive { .. } => "settings::exclusive",
            Self::NeedsKey { .. } => "settings::needs_key",
            Self::UnknownKey { .. } => "settings::unknown_key",
            Self::NoMethod | Self::KeyWithoutMethod { .. } => "ablate::no_method",
            Self::UnknownMethod { .. } => "ablate::unknown_method",
            Self::UnknownGridKey { .. } => "ablate::unknown_key",
            Self::NoValues { .. } => "ablate::empty",
            Self::SharedKey { .. } => "ablate::shared",
            Self::AutoBatch => "ablate::auto_batch",
            Self::PlateauInGrid => "ablate::plateau",
            Self::UnknownTrial { .. } => "ablate::no_trial",
            Self::SameTrial { .. } => "ablate::same_trial",
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::WrongType { example, .. } | Self::OutOfRange { example, .. } => example.clone(),
            Self::NoChoice { key, found, words } => {
                format!("{}`{key}` must be one of {}", meant(found, words), words.join(", "))
            }
            Self::Exclusive { one, other } => format!("leave out `{one}` or `{other}`"),
            Self::NeedsKey { key, other, value, .. } => {
                format!("add {other}={value}, or leave out `{key}`")
            }
            Self::UnknownKey { key, known } | Self::UnknownGridKey { key, known, .. } => {
                format!("{}keys: {}", meant(key, known), known.join(", "))
            }
            Self::UnknownMethod { name, known } => {
                format!("{}methods: {}", meant(name, known), known.join(", "))
            }
            Self::NoMethod => "for example %ablate lora r=1,4,16 seeds=3 steps=100".to_owned(),
            Self::KeyWithoutMethod { .. } => "for example %forgetting lora,full steps=100; \
                without a method, %forgetting domain=rust-docs measures the attached adapters"
                .to_owned(),
            Self::NoValues { key } => format!("for example {key}=1,2,4"),
            Self::SharedKey { key: "seed" } => "seeds=3 trains every configuration with the seed \
                of the session and the two after it"
                .to_owned(),
            Self::SharedKey { key: "best" | "early_stopping" | "load_best" } => {
                "trials are not validated; early=halving stops the worse half of them".to_owned()
            }
            Self::SharedKey { .. } => "all trials share it".to_owned(),
            Self::AutoBatch => {
                "set a number, such as batch=8; %train batch=auto shows which size fits".to_owned()
            }
            Self::PlateauInGrid => "compare schedules without validations, such as \
                schedule=linear,cosine, or run %train schedule=reduce_on_plateau for each \
                configuration"
                .to_owned(),
            Self::UnknownTrial { count, .. } => format!("the comparison has trials 1 to {count}"),
            Self::SameTrial { .. } => "change a key, such as r=32".to_owned(),
        })
    }
}

/// A range as text. Limits that no user reaches are left out.
fn range(min: f64, max: f64) -> String {
    if max >= 1e15 { format!("at least {min}") } else { format!("between {min} and {max}") }
}

/// `did you mean ...? `, or nothing if no name resembles `word`.
fn meant(word: &str, known: &[&str]) -> String {
    nearest(word, known.iter().copied())
        .first()
        .map(|name| format!("did you mean `{name}`? "))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Failure;

    #[test]
    fn an_error_becomes_a_failure_with_code_values_and_the_nearest_name() {
        let error =
            SpecError::UnknownMethod { name: "lroa".to_owned(), known: vec!["lora", "dora"] };
        let failure = Failure::from(error);
        assert_eq!(failure.code, "ablate::unknown_method");
        assert_eq!(failure.message, "unknown method `lroa`");
        assert_eq!(failure.hint.as_deref(), Some("did you mean `lora`? methods: lora, dora"));
    }

    #[test]
    fn a_name_that_resembles_no_other_gets_the_list_only() {
        let error = SpecError::UnknownKey { key: "zzzz".to_owned(), known: vec!["r", "lr"] };
        assert_eq!(error.hint().as_deref(), Some("keys: r, lr"));
    }

    #[test]
    fn a_range_without_a_limit_names_its_start_only() {
        assert_eq!(range(1.0, 1e18), "at least 1");
        assert_eq!(range(0.0, 1.0), "between 0 and 1");
    }
}
