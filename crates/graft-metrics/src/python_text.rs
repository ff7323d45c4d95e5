//! Python's notion of spaces and words, which the reference implementations of the metrics use.

use std::sync::LazyLock;

use regex::Regex;

/// Letters, numbers and underscores: `\w` of Python's `re`. That of Rust also has combining marks.
static WORD: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"[\p{L}\p{N}_]+").expect("invariant: the pattern is valid"));

/// Whether a character is a space for `str.isspace`.
fn is_space(character: char) -> bool {
    character.is_whitespace() || matches!(character, '\x1c'..='\x1f')
}

/// The parts of a text between spaces: `str.split()`.
pub(crate) fn split(text: &str) -> impl Iterator<Item = &str> {
    text.split(is_space).filter(|part| !part.is_empty())
}

/// The text without spaces at its end: `str.rstrip()`.
pub(crate) fn trim_end(text: &str) -> &str {
    text.trim_end_matches(is_space)
}

/// The text with every run of word characters for which `is_removed` holds replaced by a space.
pub(crate) fn without_words(text: &str, is_removed: impl Fn(&str) -> bool) -> String {
    let replaced = WORD.replace_all(text, |found: &regex::Captures<'_>| {
        let word = &found[0];
        if is_removed(word) { " ".to_owned() } else { word.to_owned() }
    });
    replaced.into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separators_of_ascii_are_spaces_and_combining_marks_are_no_word_characters() {
        assert_eq!(split("a\u{1c}b \u{a0}c\n").collect::<Vec<_>>(), ["a", "b", "c"]);
        assert_eq!(trim_end("a \u{1f}"), "a");
        assert_eq!(without_words("a\u{301} a_b a", |word| word == "a"), " \u{301} a_b  ");
    }
}
