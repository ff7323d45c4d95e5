//! A cell into its parts: magics, Rust, evcxr's commands and shell lines, in order.
//!
//! A line magic is `%` in column 0 followed by a letter, outside strings, comments and open brackets of the Rust around it; a cell
//! magic is `%%name` on the first non-blank line. `!cmd` and evcxr's `:cmd` follow the same rule.

mod rust_lines;

use graft_protocol::{Command, Failure, Snapshot, Span};

use crate::line::{self, MagicText};
pub(crate) use rust_lines::RustLines;

/// One thing to do.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// What it is.
    pub kind: PartKind,
    /// Its first line in the cell, from 0.
    pub line: usize,
    /// Its text in the cell.
    pub text: String,
}

/// What a [`Part`] is.
#[derive(Clone, Debug, PartialEq)]
pub enum PartKind {
    /// A command for the session.
    Session(Command),
    /// Rust; blank lines stand before it for the lines of the cell above, so that compilers report the cell's own line numbers.
    Rust(String),
    /// A command of evcxr, such as `:dep serde = "1"`.
    EvcxrCommand(String),
    /// A line (or, with `%%sh`, a text) for the shell.
    Shell(String),
    /// Something the host does itself.
    Host(HostCommand),
    /// The Rust that does what the magic would have done: `--rust`.
    ShowRust(String),
}

/// What the host does without the session.
#[derive(Clone, Debug, PartialEq)]
pub enum HostCommand {
    /// `%lsmagic`.
    ListMagics,
    /// `%lora?`, `%lora -h`, `?%lora`.
    Help {
        /// Name of the verb; it exists.
        verb: String,
    },
    /// `%quickref`.
    Quickref,
    /// `%env`, `%env NAME`, `%env NAME=VALUE`.
    Env {
        /// Which variable; none lists them all.
        name: Option<String>,
        /// Its new value; none shows it.
        value: Option<String>,
    },
    /// `%cd FOLDER`; `~` is not yet resolved, an empty text is the home folder.
    Cd(String),
    /// `%pwd`.
    Pwd,
    /// `%history [N]`.
    History {
        /// How many of the last cells; none means all of this session.
        count: Option<usize>,
    },
    /// `%load FILE`: put the file's text into the cell.
    Load(String),
    /// `%run FILE`: run the file as a cell.
    Run(String),
    /// `%time LINE`.
    Time(Box<Part>),
    /// `%%time` over the rest of the cell.
    TimeCell(Vec<Part>),
    /// `%who`: the Rust variables.
    Who,
    /// `%reset`: a new child, nothing kept.
    Reset,
}

/// What the parser knows besides the text.
pub struct Context<'a> {
    /// The session as the child last told.
    pub snapshot: &'a Snapshot,
    /// Whether an earlier part of this cell may have changed the model: then module names cannot be checked yet.
    pub model_changes: bool,
}

/// Cuts a cell into its parts. Nothing runs when any magic in it is wrong.
///
/// # Errors
/// Any `magic::*` or `settings::*` failure, with the span of the bad token.
pub fn parse_cell(text: &str, snapshot: &Snapshot) -> Result<Vec<Part>, Failure> {
    parse_text(text, 0, &mut Context { snapshot, model_changes: false })
}

/// As [`parse_cell`], for a text that begins at that line of the cell.
pub(crate) fn parse_text(text: &str, first_line: usize, cx: &mut Context<'_>) -> Result<Vec<Part>, Failure> {
    if let Some(head) = cell_magic(text) {
        let line = first_line + head.line;
        let magic = MagicText { text: head.text, line, column: 2, body: Some((head.body, line + 1)) };
        return Ok(vec![Part { kind: line::parse(&magic, cx)?, line, text: text.to_owned() }]);
    }
    let mut cutter = Cutter { parts: Vec::new(), rust: RustLines::default(), pending: String::new(), pending_line: 0 };
    let mut lines = text.split_inclusive('\n').enumerate().peekable();
    while let Some((index, source)) = lines.next() {
        let number = first_line + index;
        if !cutter.rust.is_top_level() || !begins_magic(source) {
            cutter.rust_line(source, number);
            continue;
        }
        let mut whole = source.to_owned();
        while whole.trim_end().ends_with('\\') && source.starts_with('%') {
            let Some((_, more)) = lines.next() else { break };
            whole.push_str(more);
        }
        cx.model_changes |= cutter.flush();
        let kind = line_kind(&whole, number, cx)?;
        cx.model_changes |= matches!(kind, PartKind::Session(Command::ModelLoad { .. }));
        cutter.parts.push(Part { kind, line: number, text: whole.trim_end().to_owned() });
    }
    cutter.flush();
    Ok(cutter.parts)
}

/// Whether a line that stands outside strings, comments and brackets is not Rust.
pub(crate) fn begins_magic(line: &str) -> bool {
    let mut chars = line.chars();
    match (chars.next(), chars.next()) {
        (Some('%' | ':'), Some(second)) => {
            second.is_ascii_alphabetic() || (line.starts_with("%%") && chars.next().is_some_and(|third| third.is_ascii_alphabetic()))
        }
        (Some('?'), Some('%')) => true,
        (Some('!'), Some(second)) => !second.is_whitespace() && !matches!(second, '=' | '[' | '('),
        _ => false,
    }
}

/// What one such line says.
pub(crate) fn line_kind(text: &str, line: usize, cx: &mut Context<'_>) -> Result<PartKind, Failure> {
    let trimmed = text.trim_end();
    if trimmed.starts_with("%%") {
        let end = trimmed.split_whitespace().next().map_or(2, |word| word.chars().count());
        return Err(Failure::new("magic::not_first", "a `%%` magic takes the whole cell, so it must stand on its first line")
            .hint("move it to the top or into a cell of its own")
            .span(Span { line, start: 0, end }));
    }
    if let Some(rest) = trimmed.strip_prefix("?%") {
        let name = rest.trim_start_matches('%');
        return line::help(name, Span { line, start: trimmed.len() - name.len(), end: trimmed.chars().count() });
    }
    if let Some(command) = trimmed.strip_prefix('!') {
        return Ok(PartKind::Shell(command.to_owned()));
    }
    match trimmed.strip_prefix('%') {
        Some(magic) => line::parse(&MagicText { text: magic, line, column: 1, body: None }, cx),
        None => Ok(PartKind::EvcxrCommand(trimmed.to_owned())),
    }
}

/// The first line of a `%%name` cell.
pub(crate) struct CellMagic<'a> {
    /// After the two signs.
    pub text: &'a str,
    /// Its line, from 0.
    pub line: usize,
    /// All below it.
    pub body: &'a str,
}

/// The cell magic that `text` begins with.
pub(crate) fn cell_magic(text: &str) -> Option<CellMagic<'_>> {
    let blank: usize = text.split_inclusive('\n').take_while(|line| line.trim().is_empty()).map(str::len).sum();
    let rest = text.get(blank..)?.strip_prefix("%%").filter(|rest| rest.starts_with(|first: char| first.is_ascii_alphabetic()))?;
    let (first, body) = rest.split_once('\n').unwrap_or((rest, ""));
    Some(CellMagic { text: first.trim_end(), line: text.get(..blank)?.matches('\n').count(), body })
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
        self.rust.feed(source);
        self.pending.push_str(source);
    }

    /// Ends a stretch of Rust; comments alone are nothing to compile. True when there was something.
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
