//! The tokenizer `13a` of sacrebleu, which is that of `mteval-v13a`.

use std::sync::LazyLock;

use regex::Regex;

use crate::python_text;

/// Patterns and their replacements, applied in this order.
static RULES: LazyLock<[(Regex, &str); 4]> = LazyLock::new(|| {
    [
        // Punctuation except apostrophe, comma, dash and full stop.
        (r"([{-~\[-` -&(-+:-@/])", " $1 "),
        // A full stop or comma, unless a digit comes before or after it.
        (r"([^0-9])([.,])", "$1 $2 "),
        (r"([.,])([^0-9])", " $1 $2"),
        // A dash after a digit.
        (r"([0-9])(-)", "$1 $2 "),
    ]
    .map(|(pattern, by)| (Regex::new(pattern).expect("invariant: the pattern is valid"), by))
});

/// The tokens of a text.
///
/// # Source
/// `Tokenizer13a` of sacrebleu 2
pub fn tokenize_13a(text: &str) -> Vec<String> {
    let mut line =
        python_text::trim_end(text).replace("<skipped>", "").replace("-\n", "").replace('\n', " ");
    if line.contains('&') {
        for (entity, character) in [("&quot;", "\""), ("&amp;", "&"), ("&lt;", "<"), ("&gt;", ">")]
        {
            line = line.replace(entity, character);
        }
    }
    line = format!(" {line} ");
    for (pattern, by) in RULES.iter() {
        line = pattern.replace_all(&line, *by).into_owned();
    }
    python_text::split(&line).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stay_whole_and_punctuation_is_separated() {
        assert_eq!(
            tokenize_13a("It costs $1,234.56, \"not\" 3-4.\n"),
            ["It", "costs", "$", "1,234.56", ",", "\"", "not", "\"", "3", "-", "4", "."]
        );
        assert_eq!(tokenize_13a("a&amp;b don't re-\nread"), ["a", "&", "b", "don't", "reread"]);
    }
}
