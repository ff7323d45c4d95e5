//! Finds the end of a Rust expression in braces.

/// Braces at the start of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Braces<'a> {
    /// `{code}` or `{code:format}`.
    Expression {
        /// The expression.
        code: &'a str,
        /// The format after the colon.
        format: &'a str,
        /// Bytes of the text, including the braces.
        length: usize,
    },
    /// `{{text}}`.
    Literal {
        /// The text with one pair of braces.
        text: &'a str,
        /// Bytes of the text, including all braces.
        length: usize,
    },
}

/// Reads the braces at the start of `text`. `None` if they are not closed, or if their content is
/// not an expression: nothing, a number (as in a regular expression), a string, or values separated
/// by commas.
pub(crate) fn scan(text: &str) -> Option<Braces<'_>> {
    let outer = balanced(text)?;
    if text.starts_with("{{") {
        let inner = balanced(text.get(1..)?)?;
        let is_double = inner.length + 2 == outer.length;
        return is_double.then(|| {
            Some(Braces::Literal { text: text.get(1..=inner.length)?, length: outer.length })
        })?;
    }
    let content = text.get(1..outer.length - 1)?;
    let (code, format) = match outer.colon {
        Some(colon) => (text.get(1..colon)?, text.get(colon + 1..outer.length - 1)?),
        None => (content, ""),
    };
    let code = code.trim();
    let is_format =
        format.chars().all(|next| next.is_ascii_alphanumeric() || "<>^+-#?.*_".contains(next));
    let is_number = code.chars().all(|next| next.is_ascii_digit());
    let is_string = code.starts_with(['"', '\''])
        && code.get(1..).is_some_and(|rest| rest.find(['"', '\'']) == Some(rest.len() - 1));
    let is_expression = !outer.has_comma && !is_number && !is_string && is_format;
    is_expression.then_some(Braces::Expression { code, format, length: outer.length })
}

/// A balanced pair of braces.
struct Balanced {
    /// Bytes, including both braces.
    length: usize,
    /// Whether it contains a comma outside inner brackets.
    has_comma: bool,
    /// The last single colon outside inner brackets.
    colon: Option<usize>,
}

/// Reads from the brace at the start of `text` to the one that closes it on the same line.
fn balanced(text: &str) -> Option<Balanced> {
    let mut found = Balanced { length: 0, has_comma: false, colon: None };
    let (mut at, mut open) = (0, Vec::new());
    while let Some(next) = text.get(at..).and_then(|rest| rest.chars().next()) {
        let rest = text.get(at..)?;
        let mut length = next.len_utf8();
        match next {
            '\n' => return None,
            '"' => length = string_length(rest)?,
            '\'' => length = character_length(rest),
            '{' => open.push('}'),
            '(' => open.push(')'),
            '[' => open.push(']'),
            '}' | ')' | ']' if open.pop() != Some(next) => return None,
            ',' if open.len() == 1 => found.has_comma = true,
            ':' if rest.starts_with("::") => length = 2,
            ':' if open.len() == 1 => found.colon = Some(at),
            _ => {}
        }
        at += length;
        if open.is_empty() {
            found.length = at;
            return Some(found);
        }
    }
    None
}

/// Returns the length of the string literal at the start of `text`, with its quotes.
pub(super) fn string_length(text: &str) -> Option<usize> {
    let mut escaped = false;
    for (at, next) in text.char_indices().skip(1) {
        match next {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return Some(at + 1),
            _ => {}
        }
    }
    None
}

/// Returns the length of the character literal at the start of `text`; 1 for a lifetime.
fn character_length(text: &str) -> usize {
    let mut chars = text.chars().skip(1);
    match (chars.next(), chars.next()) {
        (Some('\\'), Some(_)) => {
            text.char_indices().skip(3).find(|(_, next)| *next == '\'').map_or(1, |(at, _)| at + 1)
        }
        (Some(next), Some('\'')) => 2 + next.len_utf8(),
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> Option<(&str, &str)> {
        match scan(text)? {
            Braces::Expression { code, format, .. } => Some((code, format)),
            Braces::Literal { .. } => None,
        }
    }

    #[test]
    fn an_expression_ends_at_its_own_brace() {
        for (text, expected) in [
            ("{rank}", ("rank", "")),
            ("{ rank * 2 } x", ("rank * 2", "")),
            ("{lr:e}", ("lr", "e")),
            ("{x:>8.3}", ("x", ">8.3")),
            ("{std::f64::consts::PI}", ("std::f64::consts::PI", "")),
            ("{name.find('}').unwrap()}", ("name.find('}').unwrap()", "")),
            ("{names.join(\"}, \")} y", ("names.join(\"}, \")", "")),
            ("{if big { 8 } else { 4 }}", ("if big { 8 } else { 4 }", "")),
            ("{f(a, b)}", ("f(a, b)", "")),
            ("{'\\''}", ("'\\''", "")),
        ] {
            assert_eq!(code(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn other_braces_are_not_expressions() {
        for text in [
            "{}",
            "{ }",
            "{",
            "{x",
            "{2}",
            "{1,3}",
            "{q_proj, v_proj}",
            "{\"q_proj\"}",
            "{'a': 1}",
            "{\"a\": 1}",
            "{a)}",
            "{x\n}",
        ] {
            assert_eq!(code(text), None, "{text}");
        }
        assert_eq!(scan("{{x}} y"), Some(Braces::Literal { text: "{x}", length: 5 }));
        assert_eq!(scan("{{x} y}"), None);
    }
}
