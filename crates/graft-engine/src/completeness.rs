//! Checks whether Rust code is a complete input, from brackets, strings, comments and the end of
//! the last line.

/// Whether a text is a complete Rust input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Completeness {
    /// The text can be run.
    Complete,
    /// A bracket, string, comment or statement is open.
    Incomplete {
        /// Indentation of the next line, in spaces.
        indent: String,
    },
    /// A closing bracket has no opening bracket, or the wrong one.
    Invalid,
}

/// Spaces per indentation level.
const INDENT: usize = 4;

/// Tokens that cannot end a statement.
const CONTINUING_TOKENS: [&str; 17] =
    ["=", "+", "-", "*", "/", "&&", "||", ",", ".", "->", "=>", "::", "<<", "==", "!=", "<=", ">="];
/// Words that cannot end a statement.
const CONTINUING_WORDS: [&str; 9] =
    ["let", "mut", "else", "in", "as", "impl", "where", "use", "mod"];

/// Checks whether `code` is complete.
pub fn of(code: &str) -> Completeness {
    let scan = Scan::of(code);
    if scan.has_unmatched_bracket {
        return Completeness::Invalid;
    }
    if scan.is_open || scan.depth > 0 {
        return Completeness::Incomplete { indent: " ".repeat(scan.depth * INDENT) };
    }
    let last = scan.code.trim_end();
    let is_attribute = last
        .lines()
        .last()
        .is_some_and(|line| line.trim_start().starts_with("#[") && line.ends_with(']'));
    let word = last
        .rsplit(|character: char| !character.is_alphanumeric() && character != '_')
        .next()
        .unwrap_or_default();
    if is_attribute
        || CONTINUING_TOKENS.iter().any(|end| last.ends_with(end)) && !last.ends_with("..")
        || CONTINUING_WORDS.contains(&word)
    {
        return Completeness::Incomplete { indent: " ".repeat(INDENT) };
    }
    Completeness::Complete
}

/// The result of one pass over the text.
#[derive(Default)]
struct Scan {
    /// The text without comments and with literals replaced by `0`.
    code: String,
    /// Number of open brackets at the end.
    depth: usize,
    /// Whether a string or comment is open at the end.
    is_open: bool,
    /// Whether a closing bracket has no opening bracket of its kind.
    has_unmatched_bracket: bool,
}

impl Scan {
    fn of(code: &str) -> Self {
        let mut scan = Self::default();
        let mut brackets = Vec::new();
        let mut rest = code;
        while let Some(first) = rest.chars().next() {
            let after_word =
                scan.code.chars().last().is_some_and(|last| last.is_alphanumeric() || last == '_');
            let taken = match first {
                '/' if rest.starts_with("//") => Some(rest.find('\n').unwrap_or(rest.len())),
                '/' if rest.starts_with("/*") => comment(rest),
                '"' => string(rest, 1),
                'r' | 'b' | 'c' if !after_word && literal_prefix(rest) > 0 => prefixed(rest),
                '\'' => Some(character_or_lifetime(rest)),
                _ => {
                    scan.bracket(first, &mut brackets);
                    scan.code.push(first);
                    Some(first.len_utf8())
                }
            };
            let Some(taken) = taken else {
                scan.is_open = true;
                break;
            };
            if matches!(first, '"' | '\'') || literal_prefix(rest) > 0 && taken > 1 {
                scan.code.push('0');
            }
            rest = rest.get(taken..).unwrap_or_default();
        }
        scan.depth = brackets.len();
        scan
    }

    fn bracket(&mut self, character: char, open: &mut Vec<char>) {
        match character {
            '(' => open.push(')'),
            '[' => open.push(']'),
            '{' => open.push('}'),
            ')' | ']' | '}' => self.has_unmatched_bracket |= open.pop() != Some(character),
            _ => {}
        }
    }
}

/// Length of a block comment, which may be nested; `None` if it is open.
fn comment(text: &str) -> Option<usize> {
    let mut depth = 0usize;
    let mut position = 0;
    loop {
        let rest = text.get(position..)?;
        if rest.starts_with("/*") {
            depth += 1;
            position += 2;
        } else if rest.starts_with("*/") {
            depth -= 1;
            position += 2;
            if depth == 0 {
                return Some(position);
            }
        } else {
            position += rest.chars().next()?.len_utf8();
        }
    }
}

/// Length of a string whose content begins at `start`; `None` if it is open.
fn string(text: &str, start: usize) -> Option<usize> {
    let mut escaped = false;
    for (position, character) in text.get(start..)?.char_indices() {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return Some(start + position + 1),
            _ => {}
        }
    }
    None
}

/// Length of the prefix before a literal's quote: `r##`, `b`, `br`, `c`, `cr`; 0 if the text does
/// not begin with a prefixed literal.
fn literal_prefix(text: &str) -> usize {
    let letters = text.chars().take_while(|character| matches!(character, 'r' | 'b' | 'c')).count();
    let raw = text.get(..letters).is_some_and(|prefix| prefix.ends_with('r'));
    let hashes = text
        .get(letters..)
        .unwrap_or_default()
        .chars()
        .take_while(|character| *character == '#')
        .count();
    let quoted = text.get(letters + hashes..).is_some_and(|rest| rest.starts_with('"'));
    let byte_character = letters == 1 && hashes == 0 && text.starts_with("b'");
    if letters > 0 && letters <= 2 && ((quoted && (raw || hashes == 0)) || byte_character) {
        letters + hashes
    } else {
        0
    }
}

fn prefixed(text: &str) -> Option<usize> {
    let prefix = literal_prefix(text);
    let before = text.get(..prefix)?;
    if text.get(prefix..)?.starts_with('\'') {
        return Some(prefix + character_or_lifetime(text.get(prefix..)?));
    }
    if !before.contains('r') {
        return string(text, prefix + 1);
    }
    let end = format!("\"{}", "#".repeat(before.matches('#').count()));
    text.get(prefix + 1..)?.find(&end).map(|found| prefix + 1 + found + end.len())
}

/// Length of a character literal, or 1 for the quote of a lifetime.
fn character_or_lifetime(text: &str) -> usize {
    let mut characters = text.char_indices().skip(1);
    match (characters.next(), characters.next()) {
        (Some((_, '\\')), Some(_)) => characters
            .find(|(_, character)| *character == '\'')
            .map_or(text.len(), |(end, _)| end + 1),
        (Some(_), Some((end, '\''))) => end + 1,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is(code: &str) -> &'static str {
        match of(code) {
            Completeness::Complete => "complete",
            Completeness::Incomplete { .. } => "incomplete",
            Completeness::Invalid => "invalid",
        }
    }

    #[test]
    fn whole_statements_are_complete() {
        let whole = [
            "let x = 1;",
            "x",
            "fn f<'a>(s: &'a str) -> char { '}' }",
            "\"a { b\"",
            "r#\" \" { \"#",
            "/* { */ x",
            "// {",
            "b'{'",
            "'\\''",
            "x?",
            "",
        ];
        for code in whole {
            assert_eq!(is(code), "complete", "{code}");
        }
    }

    #[test]
    fn open_input_is_incomplete() {
        let open = [
            "fn f() {",
            "foo(1,",
            "\"abc",
            "r#\"abc\"",
            "/* /* */",
            "let x =",
            "a +",
            "x.",
            "#[derive(Debug)]",
            "let mut",
            "v[0",
        ];
        for code in open {
            assert_eq!(is(code), "incomplete", "{code}");
        }
    }

    #[test]
    fn an_unmatched_closing_bracket_is_invalid() {
        for code in ["}", "foo)", "(]"] {
            assert_eq!(is(code), "invalid", "{code}");
        }
    }

    #[test]
    fn the_indent_follows_the_brackets() {
        assert_eq!(of("fn f() {\n    if x {"), Completeness::Incomplete { indent: " ".repeat(8) });
    }

    #[test]
    fn an_open_ended_range_is_complete() {
        assert_eq!(is("&v[1..]"), "complete");
        assert_eq!(is("1.."), "complete");
    }
}
