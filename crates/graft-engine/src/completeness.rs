//! Checks whether Rust code is a complete input, from brackets, strings, comments and the end of
//! the last line.

use ra_ap_rustc_lexer::{FrontmatterAllowed, LiteralKind, TokenKind, tokenize};

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
        for token in tokenize(code, FrontmatterAllowed::No) {
            let (text, after) = rest.split_at(token.len as usize);
            rest = after;
            match token.kind {
                TokenKind::LineComment { .. } => {}
                TokenKind::BlockComment { terminated, .. } => scan.is_open |= !terminated,
                TokenKind::Literal { kind, .. } => {
                    scan.is_open |= is_open(kind);
                    scan.code.push('0');
                }
                _ => {
                    text.chars().for_each(|next| scan.bracket(next, &mut brackets));
                    scan.code.push_str(text);
                }
            }
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

/// Whether a literal may continue in the next line.
fn is_open(kind: LiteralKind) -> bool {
    match kind {
        LiteralKind::Str { terminated }
        | LiteralKind::ByteStr { terminated }
        | LiteralKind::CStr { terminated } => !terminated,
        LiteralKind::RawStr { n_hashes }
        | LiteralKind::RawByteStr { n_hashes }
        | LiteralKind::RawCStr { n_hashes } => n_hashes.is_none(),
        LiteralKind::Int { .. }
        | LiteralKind::Float { .. }
        | LiteralKind::Char { .. }
        | LiteralKind::Byte { .. } => false,
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
            "let c = 'é'; // {",
            "'outer: loop {}",
            "let r#fn = 1;",
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
