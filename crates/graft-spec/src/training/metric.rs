//! The keys of metrics of generated text.

use crate::{KeyKind, KeySpec};

/// The metrics.
pub(super) const METRIC: KeySpec = KeySpec {
    name: "metric",
    aliases: &["metrics"],
    kind: KeyKind::List,
    default: "",
    help: "metrics to compute, also of generated text: accuracy, f1_macro, f1_weighted, precision, recall, exact_match, token_f1, rouge, bleu, chrf, regex, numeric, or your own from lab().metric",
};

/// The expression of the metric `regex`.
pub(super) const PATTERN: KeySpec = KeySpec {
    name: "pattern",
    aliases: &[],
    kind: KeyKind::Text,
    default: "",
    help: "regular expression of the metric regex: its first group, or the whole match, is the answer",
};

/// The length of generated answers.
pub(super) const MAX_NEW_TOKENS: KeySpec = KeySpec {
    name: "max_new_tokens",
    aliases: &[],
    kind: KeyKind::Integer { min: 1, max: 100_000 },
    default: "128",
    help: "maximum number of tokens of a generated answer; generation is greedy",
};

/// The end of generated answers.
pub(super) const STOP: KeySpec = KeySpec {
    name: "stop",
    aliases: &[],
    kind: KeyKind::Text,
    default: "",
    help: "end a generated answer before this text",
};
