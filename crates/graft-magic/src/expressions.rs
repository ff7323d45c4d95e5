//! `{expression}` in a magic: a Rust expression whose value replaces the braces.
//!
//! A line with such braces is parsed twice. The first time, [`markers`] stand for the values, so
//! that a wrong key fails before anything is executed; the result is a [`Deferred`] magic. When its
//! turn comes, the kernel evaluates the expressions and [`Deferred::fill`] parses the line with
//! their values. A value is never split into words: it remains one argument, whatever it contains.

mod scan;

use graft_protocol::Snapshot;
use graft_spec::{Failure, Span, Value};

use crate::{
    cell,
    part::{Context, Part},
    words::Word,
};
pub(crate) use scan::{Braces, scan};

/// Keys whose values contain braces of their own, such as `template="{text}"`.
pub(crate) const LITERAL_KEYS: &[&str] = &["template"];

/// Marks the place of a value that is not known yet: start, index, end. The start names the type
/// that `--rust` shows. These are private-use characters, which no keyboard types.
const TEXT: char = '\u{e000}';
const NUMBER: char = '\u{e001}';
const LIST: char = '\u{e002}';
const END: char = '\u{e003}';

/// A Rust expression in a magic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expression {
    /// The expression.
    pub code: String,
    /// Format of its value after a colon, as in `{lr:e}`; usually empty.
    pub format: String,
    /// Position of the braces.
    pub span: Span,
}

/// Braces in a word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hole {
    /// The byte of the word at which they begin.
    pub start: usize,
    /// The byte after them.
    pub end: usize,
    /// What replaces them.
    pub content: Content,
}

/// What replaces braces in a word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// The value of an expression.
    Expression(Expression),
    /// This text: `{{x}}` is `{x}`.
    Literal(String),
}

/// A magic whose arguments contain expressions. The kernel evaluates them before it executes the
/// magic.
#[derive(Clone, Debug, PartialEq)]
pub struct Deferred {
    /// The expressions, in order.
    pub expressions: Vec<Expression>,
    /// The magic with its sign, and the lines below a `%%` magic.
    pub(crate) text: String,
    /// Line of the cell at which `text` begins.
    pub(crate) line: usize,
    /// Code point of that line at which `text` begins.
    pub(crate) column: usize,
}

impl Deferred {
    /// Parses the magic with the values of its expressions.
    ///
    /// # Errors
    /// Those of [`crate::parse_cell`], with spans in the cell.
    pub fn fill(&self, values: Vec<String>, snapshot: &Snapshot) -> Result<Vec<Part>, Failure> {
        let mut cx = Context { values: Some(values), ..Context::new(snapshot) };
        let kind = match cell::cell_magic(&self.text) {
            Some(head) => return cell::parse_cell_magic(&self.text, &head, self.line, &mut cx),
            None => cell::line_kind(&self.text, self.line, self.column, &mut cx)?,
        };
        let mut parts = cell::notes(&mut cx, self.line);
        parts.push(Part { kind, line: self.line, text: self.text.clone() });
        Ok(parts)
    }
}

impl Expression {
    /// Returns the expression with its braces, as it was typed.
    pub fn source(&self) -> String {
        match self.format.as_str() {
            "" => format!("{{{}}}", self.code),
            format => format!("{{{}:{format}}}", self.code),
        }
    }

    /// Returns the Rust code of the value as a `String`.
    pub fn formatted(&self) -> String {
        let colon = if self.format.is_empty() { "" } else { ":" };
        format!("format!(\"{{{colon}{}}}\", ({}))", self.format, self.code)
    }
}

/// Returns the expressions of `words`, in order.
pub(crate) fn expressions(words: &[Word]) -> Vec<Expression> {
    let holes = words.iter().flat_map(|word| &word.holes);
    holes
        .filter_map(|hole| match &hole.content {
            Content::Expression(expression) => Some(expression.clone()),
            Content::Literal(_) => None,
        })
        .collect()
}

/// Replaces the braces in `words` by `values`, and `{{x}}` by `{x}`.
pub(crate) fn fill(words: &mut [Word], values: &[String]) {
    let mut next = 0;
    for word in words.iter_mut().filter(|word| !word.holes.is_empty()) {
        let holes = std::mem::take(&mut word.holes);
        let (mut text, mut copied) = (String::new(), 0);
        for hole in holes {
            text.push_str(word.text.get(copied..hole.start).unwrap_or_default());
            match hole.content {
                Content::Literal(literal) => text.push_str(&literal),
                Content::Expression(_) => {
                    text.push_str(values.get(next).map_or("", String::as_str));
                    next += 1;
                }
            }
            copied = hole.end;
        }
        text.push_str(word.text.get(copied..).unwrap_or_default());
        word.text = text;
        // A value is never a flag or a name.
        word.quoted |= word.equals.is_none();
    }
}

/// Returns the markers of `count` values.
pub(crate) fn markers(count: usize) -> Vec<String> {
    (0..count).map(|index| format!("{TEXT}{index}{END}")).collect()
}

/// Returns whether a text contains the marker of a value.
pub(crate) fn is_marked(text: &str) -> bool {
    text.contains([TEXT, NUMBER, LIST]) && text.contains(END)
}

/// Returns a marked text as the value of a key of `kind`.
pub(crate) fn marked_value(kind: graft_spec::KeyKind, text: &str) -> Value {
    use graft_spec::KeyKind;
    let sign = match kind {
        KeyKind::Bool
        | KeyKind::Integer { .. }
        | KeyKind::IntegerOrAuto { .. }
        | KeyKind::Float { .. }
        | KeyKind::FloatOrAuto { .. }
        | KeyKind::FloatOrPath { .. } => NUMBER,
        KeyKind::Modules | KeyKind::List => LIST,
        KeyKind::Text | KeyKind::Choice(_) | KeyKind::Path => TEXT,
    };
    let mut text = text.to_owned();
    if let Some(start) = text.find(TEXT) {
        text.replace_range(start..start + TEXT.len_utf8(), sign.encode_utf8(&mut [0; 4]));
    }
    Value::Text(text)
}

/// Replaces the markers in a message by the expressions as they were typed.
pub(crate) fn unmarked(text: &str, expressions: &[Expression]) -> String {
    expressions.iter().enumerate().fold(text.to_owned(), |text, (index, expression)| {
        [TEXT, NUMBER, LIST].iter().fold(text, |text, sign| {
            text.replace(&format!("{sign}{index}{END}"), &expression.source())
        })
    })
}

/// Replaces the string literals with markers in the Rust code of `--rust` by code that formats the
/// expressions. `None` if the code does not contain every expression.
pub(crate) fn in_rust(source: &str, expressions: &[Expression]) -> Option<String> {
    let mut out = String::new();
    let mut used = vec![false; expressions.len()];
    let mut rest = source;
    while let Some(open) = rest.find('"') {
        let length = scan::string_length(rest.get(open..)?)?;
        let literal = rest.get(open + 1..open + length - 1)?;
        out.push_str(rest.get(..open)?);
        match pieces(literal) {
            Some(pieces) => out.push_str(&code(&pieces, expressions, &mut used)?),
            None => out.push_str(rest.get(open..open + length)?),
        }
        rest = rest.get(open + length..)?;
    }
    out.push_str(rest);
    used.iter().all(|used| *used).then_some(out)
}

/// A piece of a string literal with markers.
enum Piece<'a> {
    Text(&'a str),
    Marker { sign: char, index: usize },
}

/// Splits the content of a literal, in which `{:?}` has escaped the markers; `None` without any.
fn pieces(literal: &str) -> Option<Vec<Piece<'_>>> {
    let (mut pieces, mut rest) = (Vec::new(), literal);
    let end = END.escape_unicode().to_string();
    let signs = [TEXT, NUMBER, LIST].map(|sign| (sign, sign.escape_unicode().to_string()));
    while let Some((at, sign, length)) = signs
        .iter()
        .filter_map(|(sign, escaped)| Some((rest.find(escaped)?, *sign, escaped.len())))
        .min_by_key(|found| found.0)
    {
        let (index, after) = rest.get(at + length..)?.split_once(&end)?;
        pieces.push(Piece::Text(rest.get(..at)?));
        pieces.push(Piece::Marker { sign, index: index.parse().ok()? });
        rest = after;
    }
    let has_markers = !pieces.is_empty();
    pieces.push(Piece::Text(rest));
    has_markers.then_some(pieces)
}

/// Returns the Rust expression of a literal with markers.
fn code(pieces: &[Piece<'_>], expressions: &[Expression], used: &mut [bool]) -> Option<String> {
    if let [Piece::Text(""), Piece::Marker { sign: NUMBER, index }, Piece::Text("")] = pieces {
        *used.get_mut(*index)? = true;
        return Some(expressions.get(*index)?.code.clone());
    }
    let (mut format, mut arguments, mut is_list) = (String::new(), String::new(), false);
    for piece in pieces {
        match piece {
            Piece::Text(text) => format.push_str(&with_double_braces(text)),
            Piece::Marker { sign, index } => {
                let expression = expressions.get(*index)?;
                let colon = if expression.format.is_empty() { "" } else { ":" };
                format.push_str(&format!("{{{colon}{}}}", expression.format));
                arguments.push_str(&format!(", {}", expression.code));
                is_list |= *sign == LIST;
                *used.get_mut(*index)? = true;
            }
        }
    }
    let end = if is_list { ".split(',')" } else { ".as_str()" };
    Some(format!("format!(\"{format}\"{arguments}){end}"))
}

/// Doubles the braces of a string literal for `format!`, apart from those of `\u{..}`.
fn with_double_braces(literal: &str) -> String {
    let mut out = String::new();
    let mut is_escape = false;
    let mut before = [' '; 2];
    for next in literal.chars() {
        is_escape |= next == '{' && before == ['\\', 'u'];
        out.push(next);
        if matches!(next, '{' | '}') && !is_escape {
            out.push(next);
        }
        is_escape &= next != '}';
        before = [before[1], next];
    }
    out
}

/// Returns whether the braces of an argument that is not `key=value` may be expressions: in a magic
/// for free text only if they are the whole text.
pub(crate) fn is_whole_text(words: &[Word]) -> bool {
    let mut positional = words.iter().filter(|word| {
        word.equals.is_none() && !word.bare().is_some_and(|text| text.starts_with("--"))
    });
    let (first, second) = (positional.next(), positional.next());
    second.is_none()
        && first.is_some_and(|word| {
            matches!(word.holes.as_slice(), [hole] if hole.start == 0 && hole.end == word.text.len())
        })
}

#[cfg(test)]
mod tests;
