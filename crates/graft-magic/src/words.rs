//! Splits a line into words with their positions in the cell.
//!
//! Quoting is that of the shell with two exceptions. Inside double quotes the escapes are those of
//! Rust (`\n`, `\t`, `\"`, `\\`, `\u{1b}`), and an unknown escape keeps its backslash, so that
//! regular expressions need no escaping. A quote inside a word (`don't`) is an ordinary character.

use std::{iter::Peekable, str::Chars};

use graft_spec::{Failure, Span};

use crate::expressions::{self, Content, Expression, Hole};

/// One word of a magic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// The word without quotes and escapes.
    pub text: String,
    /// The byte of `text` with the `=` after a bare name, if the word is `key=value`.
    pub equals: Option<usize>,
    /// Whether it began with a quote. Such a word is never a name.
    pub quoted: bool,
    /// Whether its last character is a comma outside quotes, as between arguments of a call.
    pub comma: bool,
    /// Its position in the cell.
    pub span: Span,
    /// The expressions in braces, in order.
    pub(crate) holes: Vec<Hole>,
}

/// Where braces contain a Rust expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BraceRule {
    /// Nowhere.
    Never,
    /// In `key=value`.
    Values,
    /// In every word without quotes.
    Everywhere,
}

/// The words of a line, and the position of an unclosed quote.
#[derive(Debug, Default)]
pub(crate) struct Line {
    /// The words.
    pub words: Vec<Word>,
    /// The position of an unclosed quote.
    pub unclosed: Option<Span>,
}

impl Word {
    /// Splits a `key=value` or `--key=value` word into name and value.
    pub fn pair(&self) -> Option<(&str, &str)> {
        let equals = self.equals?;
        Some((self.text.get(..equals)?, self.text.get(equals + 1..)?))
    }

    /// Returns the word as a name, if it is neither quoted nor a pair.
    pub fn bare(&self) -> Option<&str> {
        (!self.quoted && self.equals.is_none()).then_some(self.text.as_str())
    }

    /// Returns the position of the name of a pair.
    pub fn key_span(&self) -> Span {
        let length = self
            .equals
            .map_or(0, |equals| self.text.get(..equals).map_or(0, |key| key.chars().count()));
        if length == 0 { self.span } else { Span { end: self.span.start + length, ..self.span } }
    }

    /// Returns the position of the value of a pair, or of the whole word if it is not a pair or the
    /// value is empty.
    pub fn value_span(&self) -> Span {
        let start = self.key_span().end + 1;
        if self.equals.is_some() && start < self.span.end {
            Span { start, ..self.span }
        } else {
            self.span
        }
    }
}

/// Splits `text`, which starts at `line` and code point `column` of the cell. A backslash at the
/// end of a line continues it.
///
/// # Errors
/// `magic::unclosed_quote`.
pub(crate) fn split(
    text: &str,
    line: usize,
    column: usize,
    braces: BraceRule,
) -> Result<Vec<Word>, Failure> {
    let found = lex(text, line, column, braces);
    match found.unclosed {
        None => Ok(found.words),
        Some(span) => Err(Failure::new("magic::unclosed_quote", "unclosed quote")
            .hint("close it, or put quotes around the whole text")
            .span(span)),
    }
}

/// Splits a line that is still being typed; see [`split`].
pub(crate) fn split_open(text: &str, line: usize, column: usize) -> Line {
    lex(text, line, column, BraceRule::Never)
}

fn lex(text: &str, line: usize, column: usize, braces: BraceRule) -> Line {
    let chars = text.chars().peekable();
    let mut lexer = Lexer { chars, line, column, braces, out: Line::default() };
    while lexer.skip_space() {
        lexer.word();
    }
    lexer.out
}

struct Lexer<'a> {
    chars: Peekable<Chars<'a>>,
    line: usize,
    column: usize,
    braces: BraceRule,
    out: Line,
}

impl Lexer<'_> {
    fn next(&mut self) -> Option<char> {
        let next = self.chars.next()?;
        if next == '\n' {
            self.line += 1;
            self.column = 0;
        } else {
            self.column += 1;
        }
        Some(next)
    }

    /// Returns false at the end.
    fn skip_space(&mut self) -> bool {
        loop {
            match self.chars.peek().copied() {
                None => return false,
                Some(next) if next.is_whitespace() => {
                    self.next();
                }
                Some('\\') if self.continues() => {
                    self.next();
                }
                Some(_) => return true,
            }
        }
    }

    /// Returns whether the current backslash is the last character of its line.
    fn continues(&self) -> bool {
        let mut ahead = self.chars.clone();
        ahead.next();
        let rest = ahead.find(|next| *next == '\n' || !next.is_whitespace());
        rest == Some('\n')
    }

    fn word(&mut self) {
        let (line, start) = (self.line, self.column);
        let quoted = matches!(self.chars.peek(), Some('"' | '\''));
        let mut word = Word {
            text: String::new(),
            equals: None,
            quoted,
            comma: false,
            span: Span { line, start, end: start },
            holes: Vec::new(),
        };
        let mut may_open = true;
        let mut list_end = None;
        while let Some(&next) = self.chars.peek() {
            if next == '\n'
                || (list_end.is_none()
                    && (next.is_whitespace() || (next == '\\' && self.continues())))
            {
                break;
            }
            if next == '{' && self.hole(&mut word) {
                (list_end, may_open, word.comma) = (None, false, false);
                continue;
            }
            if may_open && matches!(next, '"' | '\'') {
                self.quote(next, &mut word.text);
                word.comma = false;
                continue;
            }
            self.next();
            word.comma = next == ',';
            if next == '=' && word.equals.is_none() && !word.quoted && is_name(&word.text) {
                word.equals = Some(word.text.len());
                list_end = self.opened_list();
            } else if Some(next) == list_end {
                list_end = None;
            }
            may_open = matches!(next, '=' | ',' | '[' | ' ')
                || list_end.is_some() && matches!(next, '{' | '(' | ':');
            word.text.push(next);
        }
        word.span.end = if self.line == line { self.column } else { start + 1 };
        self.out.words.push(word);
    }

    /// Reads braces with an expression into `word`. Reads nothing if these are other braces.
    fn hole(&mut self, word: &mut Word) -> bool {
        let key = word.equals.and_then(|equals| word.text.get(..equals));
        let applies = match self.braces {
            BraceRule::Never => false,
            BraceRule::Values => key.is_some(),
            BraceRule::Everywhere => true,
        };
        let is_literal = key.is_some_and(|key| expressions::LITERAL_KEYS.contains(&key));
        if !applies || is_literal || word.quoted {
            return false;
        }
        let rest: String = self.chars.clone().take_while(|next| *next != '\n').collect();
        let Some(found) = expressions::scan(&rest) else { return false };
        let begin = Span { line: self.line, start: self.column, end: self.column };
        let length = match found {
            expressions::Braces::Expression { length, .. }
            | expressions::Braces::Literal { length, .. } => length,
        };
        let source = rest.get(..length).unwrap_or_default();
        for _ in source.chars() {
            self.next();
        }
        let content = match found {
            expressions::Braces::Literal { text, .. } => Content::Literal(text.to_owned()),
            expressions::Braces::Expression { code, format, .. } => {
                Content::Expression(Expression {
                    code: code.to_owned(),
                    format: format.to_owned(),
                    span: Span { end: self.column, ..begin },
                })
            }
        };
        let start = word.text.len();
        word.text.push_str(source);
        word.holes.push(Hole { start, end: word.text.len(), content });
        true
    }

    /// Returns the end of a list that begins here, such as `[a, b]`. Spaces inside it do not end
    /// the word.
    fn opened_list(&self) -> Option<char> {
        let mut ahead = self.chars.clone();
        let end = match ahead.next()? {
            '[' => ']',
            '{' => '}',
            '(' => ')',
            _ => return None,
        };
        ahead.take_while(|next| *next != '\n').any(|next| next == end).then_some(end)
    }

    fn quote(&mut self, quote: char, text: &mut String) {
        let open = Span { line: self.line, start: self.column, end: self.column + 1 };
        self.next();
        while let Some(next) = self.next() {
            match next {
                _ if next == quote => return,
                '\\' if quote == '"' => self.escape(text),
                _ => text.push(next),
            }
        }
        self.out.unclosed = Some(open);
    }

    fn escape(&mut self, text: &mut String) {
        match self.next() {
            Some('n') => text.push('\n'),
            Some('t') => text.push('\t'),
            Some('r') => text.push('\r'),
            Some(next @ ('"' | '\\' | '\'')) => text.push(next),
            Some('\n') => {}
            Some('u') => {
                text.push_str(&self.code_point().map_or_else(|| "\\u".to_owned(), String::from))
            }
            Some(next) => text.extend(['\\', next]),
            None => text.push('\\'),
        }
    }
}

impl Lexer<'_> {
    /// Reads `{1b}` and returns its character. Reads nothing if the text has another form.
    fn code_point(&mut self) -> Option<char> {
        let mut ahead = self.chars.clone();
        ahead.next_if_eq(&'{')?;
        let digits: String = ahead.take_while(|next| *next != '}').take(7).collect();
        let character = u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32)?;
        // Skip the braces and their content.
        let length = digits.chars().count() + 2;
        let is_closed = self.chars.clone().nth(length - 1) == Some('}');
        if is_closed && !digits.starts_with('+') {
            for _ in 0..length {
                self.next();
            }
            return Some(character);
        }
        None
    }
}

/// Returns whether a text is a valid name before `=`. Dashes are allowed, as in `--max-length`.
fn is_name(text: &str) -> bool {
    let name = text.trim_start_matches('-');
    name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && name.chars().all(|next| next.is_ascii_alphanumeric() || next == '_' || next == '-')
}

#[cfg(test)]
mod tests;
