//! Scans Rust just far enough to decide whether a line begins inside a string, a comment or an open
//! bracket.

use std::borrow::Cow;

/// The state of the scanner, which reads Rust line by line.
#[derive(Debug, Default)]
pub(crate) struct RustLines {
    state: Inside,
    /// The number of open brackets.
    depth: u32,
    /// The last character of code, ignoring comments and spaces.
    last: Option<char>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Inside {
    #[default]
    Code,
    /// In a block comment, with its depth.
    Comment(u32),
    /// In a string with escapes.
    Text,
    /// In a raw string that ends with a quote and this many `#`.
    Raw(usize),
}

impl RustLines {
    /// Returns whether the next line begins outside strings, comments and brackets.
    pub(crate) fn is_top_level(&self) -> bool {
        self.state == Inside::Code && self.depth == 0
    }

    /// Returns whether there is anything but comments and spaces.
    pub(crate) fn has_code(&self) -> bool {
        self.last.is_some()
    }

    /// Returns whether the next line certainly begins a statement: at the start, or after a
    /// semicolon. After a `}`, the expression may continue.
    pub(crate) fn is_statement_start(&self) -> bool {
        self.is_top_level() && self.last.is_none_or(|last| last == ';')
    }

    /// Returns whether the next line may begin a statement.
    pub(crate) fn may_begin_statement(&self) -> bool {
        self.is_top_level() && self.last.is_none_or(|last| matches!(last, ';' | '}'))
    }

    /// Scans one line, including its end.
    pub(crate) fn feed(&mut self, line: &str) {
        let mut rest = line;
        while let Some(first) = rest.chars().next() {
            rest = match self.state {
                Inside::Code => self.code(rest, first),
                Inside::Comment(depth) => self.comment(rest, first, depth),
                Inside::Text => self.text(rest, first),
                Inside::Raw(hashes) => self.raw(rest, hashes),
            };
        }
    }

    fn code<'a>(&mut self, rest: &'a str, first: char) -> &'a str {
        if rest.starts_with("//") {
            return "";
        }
        if let Some(after) = rest.strip_prefix("/*") {
            self.state = Inside::Comment(1);
            return after;
        }
        if !first.is_whitespace() {
            self.last = Some(first);
        }
        match first {
            '"' => self.state = Inside::Text,
            '(' | '[' | '{' => self.depth += 1,
            ')' | ']' | '}' => self.depth = self.depth.saturating_sub(1),
            '\'' => return after_quote(rest),
            _ if first.is_alphanumeric() || first == '_' => return self.name(rest),
            _ => {}
        }
        skip(rest, first.len_utf8())
    }

    /// Returns the line as Rust: at the top level `# ...` is a comment in Python's syntax, unless
    /// it begins an attribute.
    pub(crate) fn without_hash_comment<'a>(&self, line: &'a str) -> Cow<'a, str> {
        let text = line.trim_start();
        match text.strip_prefix('#') {
            Some(comment) if self.is_top_level() && is_comment(comment) => {
                let indent = line.get(..line.len() - text.len()).unwrap_or_default();
                Cow::Owned(format!("{indent}//{comment}"))
            }
            _ => Cow::Borrowed(line),
        }
    }

    /// Scans a name, or the prefix of a raw string.
    fn name<'a>(&mut self, rest: &'a str) -> &'a str {
        let end =
            rest.find(|next: char| !next.is_alphanumeric() && next != '_').unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        if matches!(name, "r" | "br" | "cr") {
            let hashes = after.len() - after.trim_start_matches('#').len();
            if let Some(inside) = skip(after, hashes).strip_prefix('"') {
                self.state = Inside::Raw(hashes);
                return inside;
            }
        }
        after
    }

    fn comment<'a>(&mut self, rest: &'a str, first: char, depth: u32) -> &'a str {
        if let Some(after) = rest.strip_prefix("*/") {
            self.state = if depth > 1 { Inside::Comment(depth - 1) } else { Inside::Code };
            return after;
        }
        if let Some(after) = rest.strip_prefix("/*") {
            self.state = Inside::Comment(depth + 1);
            return after;
        }
        skip(rest, first.len_utf8())
    }

    fn text<'a>(&mut self, rest: &'a str, first: char) -> &'a str {
        if first == '"' {
            self.state = Inside::Code;
        }
        let after = skip(rest, first.len_utf8());
        if first == '\\' {
            skip(after, after.chars().next().map_or(0, char::len_utf8))
        } else {
            after
        }
    }

    fn raw<'a>(&mut self, rest: &'a str, hashes: usize) -> &'a str {
        let Some(quote) = rest.find('"') else { return "" };
        let after = skip(rest, quote + 1);
        if after.len() - after.trim_start_matches('#').len() < hashes {
            return after;
        }
        self.state = Inside::Code;
        skip(after, hashes)
    }
}

/// Returns whether the text after a `#` is not an attribute: neither `#[...]` nor `#![...]`.
fn is_comment(after: &str) -> bool {
    let inner = after.strip_prefix('!').unwrap_or(after);
    !inner.trim_start().starts_with('[')
}

/// Skips the text after a `'`: a whole character literal, or only the quote of a lifetime.
fn after_quote(rest: &str) -> &str {
    let inside = skip(rest, 1);
    let mut chars = inside.chars();
    match (chars.next(), chars.next()) {
        (Some('\\'), Some(escaped)) => {
            let after = skip(inside, 1 + escaped.len_utf8());
            after.find('\'').filter(|end| *end <= 10).map_or(after, |end| skip(after, end + 1))
        }
        (Some(letter), Some('\'')) if letter != '\'' => skip(inside, letter.len_utf8() + 1),
        _ => inside,
    }
}

fn skip(text: &str, bytes: usize) -> &str {
    text.get(bytes..).unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open_after(text: &str) -> bool {
        let mut lines = RustLines::default();
        for line in text.split_inclusive('\n') {
            lines.feed(line);
        }
        !lines.is_top_level()
    }

    #[test]
    fn strings_comments_and_brackets_stay_open_over_lines() {
        for open in [
            "let s = \"a",
            "let s = r#\"a\" b",
            "/* a /* b */",
            "f(1,",
            "let x = {",
            "vec![",
            "let s = br##\"x\"#",
            "let s = \"a\\\"",
        ] {
            assert!(open_after(open), "{open} leaves something open");
        }
    }

    #[test]
    fn what_looks_open_but_is_not_is_closed() {
        for closed in [
            "let s = \"a\\\\\";",
            "let s = r#\"a\"#;",
            "// f(",
            "/* ( */",
            "let c = '(';",
            "let c = '\"';",
            "let c = '\\'';",
            "fn f<'a>(x: &'a str) {}",
            "let r#fn = 1;",
            "'outer: loop {}",
            "let c = '\\u{7b}';",
            "let b = b'{';",
            "\"// {\";",
            "let x = 'é';",
        ] {
            assert!(!open_after(closed), "{closed} leaves nothing open");
        }
    }

    #[test]
    fn comments_alone_are_not_code() {
        let mut lines = RustLines::default();
        lines.feed("// note\n");
        lines.feed("/* more */ \n");
        assert!(!lines.has_code());
        lines.feed("x\n");
        assert!(lines.has_code());
    }

    #[test]
    fn a_statement_begins_after_nothing_or_a_semicolon() {
        for (text, expected) in [
            ("", true),
            ("// a", true),
            ("a; // b", true),
            ("a", false),
            ("fn f() {}", false),
            ("f(;", false),
            ("\";\"", false),
        ] {
            let mut lines = RustLines::default();
            lines.feed(text);
            assert_eq!(lines.is_statement_start(), expected, "{text}");
        }
    }

    #[test]
    fn a_comment_of_python_becomes_one_of_rust_and_an_attribute_stays() {
        let rust = |line| RustLines::default().without_hash_comment(line).into_owned();
        assert_eq!(rust("  # don't (\n"), "  // don't (\n");
        assert_eq!(rust("#!/bin/sh"), "//!/bin/sh");
        for attribute in ["#[test]", "# [derive(Debug)]", "#![allow(dead_code)]", "a # b"] {
            assert_eq!(rust(attribute), attribute);
        }
    }
}
