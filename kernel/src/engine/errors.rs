//! evcxr's errors as a reader of the cell needs them: the cell's own lines, the message under the place, what to do.

mod panic;

use std::ops::Range;

use evcxr::CompilationError;

use super::RustError;
use super::losses::{Cause, Death};
use panic::Site;

const RED: &str = "\x1b[31m";
const BLUE: &str = "\x1b[34m";
const BOLD: &str = "\x1b[1m";
const PLAIN: &str = "\x1b[0m";

/// An error without a place.
pub(super) fn plain(ename: &str, evalue: impl Into<String>) -> RustError {
    let evalue = evalue.into();
    let mut traceback: Vec<String> = evalue.lines().map(str::to_owned).collect();
    if let Some(first) = traceback.first_mut() {
        *first = format!("{RED}{BOLD}{ename}{PLAIN}: {first}");
    }
    RustError { ename: ename.to_owned(), evalue: evalue.lines().next().unwrap_or_default().to_owned(), traceback }
}

/// What rustc said about the cell.
pub(super) fn compile(code: &str, errors: &[CompilationError]) -> RustError {
    let shown: Vec<&CompilationError> = match errors.iter().filter(|error| error.is_from_user_code()).collect::<Vec<_>>() {
        own if own.is_empty() => errors.iter().collect(),
        own => own,
    };
    let mut traceback = Vec::new();
    for error in &shown {
        if !traceback.is_empty() {
            traceback.push(String::new());
        }
        one_error(code, error, &mut traceback);
    }
    let first = shown.first();
    let evalue = first.map_or_else(|| "the cell does not compile".to_owned(), |error| headline(error));
    RustError { ename: "CompileError".to_owned(), evalue, traceback }
}

/// A panic: the message that the hook wrote to standard error, and the line of the cell that it came from; `generated` is the source
/// that evcxr made of the cell.
pub(super) fn panic(stderr: &str, cell: &str, generated: &str) -> RustError {
    let found = panic::last(stderr);
    let message = found.as_ref().map_or("the cell panicked", |panic| panic.message.as_str());
    let mut error = plain("Panic", message);
    match found.and_then(|panic| panic.site(cell, generated)) {
        Some(Site::Cell(line)) => error.traceback.push(numbered(line, cell.lines().nth(line - 1).unwrap_or_default())),
        Some(Site::Earlier(text)) => error.traceback.push(format!("{BLUE}in an earlier cell |{PLAIN} {text}")),
        Some(Site::File(place)) => error.traceback.push(format!("{BLUE}at{PLAIN} {place}")),
        None => {}
    }
    error
}

/// A `?` that met an error: its message, which is the last thing on standard error where it was not reported.
pub(super) fn question_mark(reported: &str, stderr: &str) -> RustError {
    let message = if reported.is_empty() { &stderr[last_message(stderr)] } else { reported };
    plain("Error", if message.is_empty() { "the cell ended with an error" } else { message })
}

/// What a cell that panicked wrote to standard error besides the panic.
pub(super) fn besides_panic(stderr: &str) -> String {
    let said = panic::last(stderr).map_or(0..0, |panic| panic.range);
    [&stderr[..said.start], &stderr[said.end..]].concat()
}

/// What a cell wrote to standard error before the message of the error that ended it.
pub(super) fn before_last_message(stderr: &str) -> String {
    stderr[..last_message(stderr).start].to_owned()
}

/// Place of the last line, with its hint.
fn last_message(stderr: &str) -> Range<usize> {
    let text = stderr.trim_end();
    // A hint follows its message on a line of its own.
    let start = text.rfind("\nhint: ").unwrap_or(text.len());
    let begin = text.get(..start).and_then(|head| head.rfind('\n')).map_or(0, |end| end + 1);
    begin..text.len()
}

/// The child died under the cell.
pub(super) fn death(death: &Death) -> RustError {
    let failure = death.failure();
    let ename = if death.cause == Some(Cause::Interrupt) { "Interrupted" } else { "SessionDied" };
    let mut error = plain(ename, &failure.message);
    error.traceback.extend(failure.hint.map(|hint| format!("{BLUE}hint{PLAIN}: {hint}")));
    error
}

fn headline(error: &CompilationError) -> String {
    match error.code() {
        Some(code) => format!("{} [{code}]", error.message()),
        None => error.message(),
    }
}

fn one_error(code: &str, error: &CompilationError, lines: &mut Vec<String>) {
    let number = error.code().map(|code| format!("[{code}]")).unwrap_or_default();
    let message = error.message();
    let mut message_lines = message.lines();
    let first = message_lines.next().unwrap_or_default();
    lines.push(format!("{RED}{BOLD}{}{number}{PLAIN}{BOLD}: {first}{PLAIN}", error.level()));
    lines.extend(message_lines.map(str::to_owned));
    for spanned in error.spanned_messages() {
        match &spanned.span {
            Some(span) => point(code, (span.start_line, span.start_column), (span.end_line, span.end_column), &spanned.label, spanned.is_primary, lines),
            None if !spanned.label.is_empty() => lines.push(format!("  {BLUE}={PLAIN} {}", spanned.label)),
            None => {}
        }
    }
    let hints = error.help().into_iter().chain(error.evcxr_extra_hint().map(str::to_owned));
    lines.extend(hints.map(|hint| format!("  {BLUE}= help{PLAIN}: {hint}")));
}

/// A line of the cell with marks under the place; lines and columns count from 1.
fn point(code: &str, start: (usize, usize), end: (usize, usize), label: &str, primary: bool, lines: &mut Vec<String>) {
    let Some(text) = start.0.checked_sub(1).and_then(|line| code.lines().nth(line)) else { return };
    let length = text.chars().count();
    let from = start.1.saturating_sub(1).min(length);
    let to = if end.0 == start.0 { end.1.saturating_sub(1).clamp(from, length.max(from)) } else { length };
    let (mark, colour) = if primary { ('^', RED) } else { ('-', BLUE) };
    let width = start.0.to_string().len();
    lines.push(numbered(start.0, text));
    let marks: String = std::iter::repeat_n(mark, (to - from).max(1)).collect();
    let indent: String = text.chars().take(from).map(|character| if character == '\t' { '\t' } else { ' ' }).collect();
    lines.push(format!("{BLUE}{:width$} |{PLAIN} {indent}{colour}{marks} {label}{PLAIN}", ""));
}

/// A line of the cell behind its number.
fn numbered(line: usize, text: &str) -> String {
    format!("{BLUE}{line} |{PLAIN} {text}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_its_message_and_the_line_of_the_cell() {
        let stderr = "\nthread 'main' (7) panicked at cell/src/lib.rs:2:1:\nindex out of bounds: the len is 3\nnote: run with `RUST_BACKTRACE=1`\n";
        let error = panic(stderr, "let a = 1;\nv[3];", "fn f() {\nv[3];");
        assert_eq!(error.evalue, "index out of bounds: the len is 3");
        assert!(error.traceback[1].contains("2 |") && error.traceback[1].ends_with("v[3];"), "{:?}", error.traceback);
        assert_eq!(panic("", "", "").ename, "Panic");
    }

    #[test]
    fn a_question_mark_shows_the_message_with_its_hint() {
        let error = question_mark("", "earlier text\nno model is loaded\nhint: `%model load tiny`\n");
        assert_eq!(error.evalue, "no model is loaded");
        assert!(error.traceback[1].contains("%model load tiny"));
        assert_eq!(question_mark("", "earlier\nboom\n").evalue, "boom");
        assert_eq!(question_mark("", "").evalue, "the cell ended with an error");
    }

    #[test]
    fn a_message_that_was_reported_is_taken_whole() {
        let error = question_mark("outer\n\ncaused by: inner", "mine\n");
        assert_eq!((error.evalue.as_str(), error.traceback.len()), ("outer", 3));
    }

    #[test]
    fn marks_stand_under_the_place() {
        let mut lines = Vec::new();
        point("let é = 1;\nlet x: i32 = \"a\";", (2, 14), (2, 17), "expected i32", true, &mut lines);
        let bare: Vec<String> = lines.iter().map(|line| line.replace(RED, "").replace(BLUE, "").replace(PLAIN, "")).collect();
        assert_eq!(bare, ["2 | let x: i32 = \"a\";", "  |              ^^^ expected i32"]);
    }

    #[test]
    fn a_place_outside_the_cell_is_left_out() {
        let mut lines = Vec::new();
        point("x", (9, 1), (9, 2), "", true, &mut lines);
        assert!(lines.is_empty());
    }
}
