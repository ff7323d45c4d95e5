//! Splits a cell into parts: magics, Rust, commands of evcxr and shell lines, in order.
//!
//! A line magic is `%` in column 0 followed by a letter, outside strings, comments and open
//! brackets of the Rust around it; a cell magic is `%%name` on the first non-blank line. `!cmd` and
//! evcxr's `:cmd` follow the same rule. At the start of a statement, `%` and `?` cannot be Rust, so
//! `  %lora`, `% lora` and `?lora` are magics there.

mod rust_lines;

use graft_protocol::{Command, Snapshot};
use graft_spec::{Failure, Span};

use crate::{
    line::{self, MagicText},
    part::{Context, HostCommand, Part, PartKind},
};
pub(crate) use rust_lines::RustLines;

/// Splits a cell into its parts. If any magic has an error, nothing is executed.
///
/// # Errors
/// Any `magic::*` or `settings::*` failure, with the span of the wrong token.
pub fn parse_cell(text: &str, snapshot: &Snapshot) -> Result<Vec<Part>, Failure> {
    parse_text(text, 0, &mut Context::new(snapshot))
}

/// Parses a text that begins at a given line of the cell; see [`parse_cell`].
pub(crate) fn parse_text(
    text: &str,
    first_line: usize,
    cx: &mut Context<'_>,
) -> Result<Vec<Part>, Failure> {
    if let Some(head) = cell_magic(text) {
        return parse_cell_magic(text, &head, first_line, cx);
    }
    let mut cutter = Cutter {
        parts: Vec::new(),
        rust: RustLines::default(),
        pending: String::new(),
        pending_line: 0,
    };
    let mut lines = text.split_inclusive('\n').enumerate().peekable();
    while let Some((index, source)) = lines.next() {
        let number = first_line + index;
        let Some(indent) = magic_at(&cutter.rust, source) else {
            cutter.rust_line(source, number);
            continue;
        };
        let mut whole = source.get(indent..).unwrap_or_default().to_owned();
        while whole.trim_end().ends_with('\\') && whole.starts_with('%') {
            let Some((_, more)) = lines.next() else { break };
            whole.push_str(more);
        }
        cx.model_changes |= cutter.flush();
        let column = source.get(..indent).map_or(0, |blank| blank.chars().count());
        let kind = line_kind(&whole, number, column, cx)?;
        cutter.parts.append(&mut notes(cx, number));
        cx.model_changes |=
            matches!(kind, PartKind::Session(Command::ModelLoad { .. }) | PartKind::Deferred(_));
        cutter.parts.push(Part { kind, line: number, text: whole.trim_end().to_owned() });
    }
    cutter.flush();
    Ok(cutter.parts)
}

/// Parses a cell that consists of one `%%` magic.
pub(crate) fn parse_cell_magic(
    text: &str,
    head: &CellMagic<'_>,
    first_line: usize,
    cx: &mut Context<'_>,
) -> Result<Vec<Part>, Failure> {
    let line = first_line + head.line;
    let magic =
        MagicText { text: head.text, line, column: head.column, body: Some((head.body, line + 1)) };
    let kind = line::parse(&magic, cx)?;
    let mut parts = notes(cx, line);
    parts.push(Part { kind, line, text: text.to_owned() });
    Ok(parts)
}

/// Returns the notes about the magic that was parsed last.
pub(crate) fn notes(cx: &mut Context<'_>, line: usize) -> Vec<Part> {
    std::mem::take(&mut cx.notes)
        .into_iter()
        .map(|note| Part {
            kind: PartKind::Host(HostCommand::Note(note)),
            line,
            text: String::new(),
        })
        .collect()
}

/// Returns the byte of `line` at which a magic, a `:command` or a shell line begins after the given
/// Rust code; `None` if the line is Rust.
pub(crate) fn magic_at(rust: &RustLines, line: &str) -> Option<usize> {
    if !rust.is_top_level() {
        return None;
    }
    if begins_magic(line) {
        return Some(0);
    }
    // A statement cannot begin with either sign, but a continued expression can.
    let text = line.trim_start();
    (rust.is_statement_start() && text.starts_with(['%', '?'])).then(|| line.len() - text.len())
}

/// Returns whether a line outside strings, comments and brackets is not Rust.
pub(crate) fn begins_magic(line: &str) -> bool {
    let mut chars = line.chars();
    match (chars.next(), chars.next()) {
        (Some('%' | ':'), Some(second)) => {
            second.is_ascii_alphabetic()
                || (line.starts_with("%%")
                    && chars.next().is_some_and(|third| third.is_ascii_alphabetic()))
        }
        (Some('?'), Some('%')) => true,
        (Some('!'), Some(second)) => !second.is_whitespace() && !matches!(second, '=' | '[' | '('),
        _ => false,
    }
}

/// Parses a line that is not Rust and begins at code point `column` of its line in the cell.
pub(crate) fn line_kind(
    text: &str,
    line: usize,
    column: usize,
    cx: &mut Context<'_>,
) -> Result<PartKind, Failure> {
    let trimmed = text.trim_end();
    if trimmed.starts_with("%%") {
        let end = column + trimmed.split_whitespace().next().map_or(2, |word| word.chars().count());
        return Err(Failure::new(
            "magic::not_first",
            "a `%%` magic applies to the whole cell, so it must be on the first line",
        )
        .hint("move it to the top or into its own cell")
        .span(Span { line, start: column, end }));
    }
    if let Some(rest) = trimmed.strip_prefix('?') {
        let name = rest.trim_start_matches(['%', '?', ' ']);
        let end = column + trimmed.chars().count();
        return line::help(name, Span { line, start: end - name.chars().count(), end });
    }
    if let Some(command) = trimmed.strip_prefix('!') {
        return Ok(PartKind::Shell(command.to_owned()));
    }
    match trimmed.strip_prefix('%') {
        Some(magic) => {
            let name = magic.trim_start_matches([' ', '\t']);
            line::parse(
                &MagicText {
                    text: name,
                    line,
                    column: column + 1 + (magic.len() - name.len()),
                    body: None,
                },
                cx,
            )
        }
        None => Ok(PartKind::EvcxrCommand(trimmed.to_owned())),
    }
}

/// The first line of a `%%name` cell.
pub(crate) struct CellMagic<'a> {
    /// The text after the two signs.
    pub text: &'a str,
    /// Code point of its line at which `text` begins.
    pub column: usize,
    /// Its line, starting at 0.
    pub line: usize,
    /// The text below it.
    pub body: &'a str,
}

/// Returns the cell magic that `text` begins with.
pub(crate) fn cell_magic(text: &str) -> Option<CellMagic<'_>> {
    let blank: usize =
        text.split_inclusive('\n').take_while(|line| line.trim().is_empty()).map(str::len).sum();
    let first = text.get(blank..)?;
    let (first, body) = first.split_once('\n').unwrap_or((first, ""));
    let sign = first.trim_start();
    let name = sign.strip_prefix("%%")?.trim_start();
    let column = first.get(..first.len() - name.len())?.chars().count();
    let is_name = name.starts_with(|first: char| first.is_ascii_alphabetic());
    is_name.then(|| CellMagic {
        text: name.trim_end(),
        column,
        line: text.get(..blank).unwrap_or_default().matches('\n').count(),
        body,
    })
}

struct Cutter {
    parts: Vec<Part>,
    rust: RustLines,
    pending: String,
    pending_line: usize,
}

impl Cutter {
    fn rust_line(&mut self, source: &str, number: usize) {
        if self.pending.is_empty() {
            if source.trim().is_empty() {
                return;
            }
            self.pending_line = number;
        }
        let source = self.rust.without_hash_comment(source);
        self.rust.feed(&source);
        self.pending.push_str(&source);
    }

    /// Ends a block of Rust code. Returns false if it contains nothing but comments.
    fn flush(&mut self) -> bool {
        let text = std::mem::take(&mut self.pending);
        let rust = std::mem::take(&mut self.rust);
        if rust.has_code() {
            let text = text.trim_end().to_owned();
            let kind = PartKind::Rust(format!("{}{text}", "\n".repeat(self.pending_line)));
            self.parts.push(Part { kind, line: self.pending_line, text });
        }
        rust.has_code()
    }
}

#[cfg(test)]
mod tests;
