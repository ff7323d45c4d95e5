//! evcxr's errors as a reader of the cell needs them: the cell's own lines, the message under the place, what to do.

mod delimiters;
mod diagnostic;
mod panic;
mod snippet;
mod source_map;

use std::collections::VecDeque;
use std::ops::Range;

use evcxr::CompilationError;

use super::RustError;
use super::child_exit::{Cause, ChildExit};
use diagnostic::{Diagnostic, Mark};
use panic::Site;
use source_map::{Place, SourceMap};

const RED: &str = "\x1b[31m";
const BLUE: &str = "\x1b[34m";
const BOLD: &str = "\x1b[1m";
const PLAIN: &str = "\x1b[0m";

/// A cell, and the source that evcxr made of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Compiled {
    /// The cell.
    pub(crate) code: String,
    /// What was compiled.
    pub(crate) generated: String,
}

/// An error without a place.
pub(crate) fn plain(ename: &str, evalue: impl Into<String>) -> RustError {
    let evalue = evalue.into();
    let mut traceback: Vec<String> = evalue.lines().map(str::to_owned).collect();
    if let Some(first) = traceback.first_mut() {
        *first = format!("{RED}{BOLD}{ename}{PLAIN}: {first}");
    }
    RustError {
        ename: ename.to_owned(),
        evalue: evalue.lines().next().unwrap_or_default().to_owned(),
        traceback,
    }
}

/// What rustc said about the cell; warnings only where there is nothing worse.
pub(crate) fn compile(cell: &Compiled, errors: &[CompilationError]) -> RustError {
    let map = SourceMap::new(&cell.code, &cell.generated);
    let is_users = |error: &&CompilationError| error.is_from_user_code();
    let any = errors.iter().any(|error| is_users(&error));
    // rustc counts the brackets of evcxr's code as well.
    let is_about_brackets = errors.iter().any(|error| error.message().contains("delimiter"));
    if let Some(unbalanced) = delimiters::unbalanced(&cell.code).filter(|_| is_about_brackets) {
        return shown(vec![unbalanced], &cell.code);
    }
    let all = errors
        .iter()
        .filter(|error| !any || is_users(error))
        .map(|error| Diagnostic::read(&error.json, &map).unwrap_or_else(|| told(error)));
    shown(all.collect(), &cell.code)
}

/// Draws messages, each once.
fn shown(mut all: Vec<Diagnostic>, code: &str) -> RustError {
    if all.iter().any(|one| one.level == "error") {
        all.retain(|one| one.level == "error");
    }
    let mut traceback: Vec<String> = Vec::new();
    let mut drawn: Vec<&Diagnostic> = Vec::new();
    for diagnostic in &all {
        if !drawn.contains(&diagnostic) {
            traceback.extend((!traceback.is_empty()).then(String::new));
            traceback.extend(snippet::draw(diagnostic, code));
            drawn.push(diagnostic);
        }
    }
    let evalue = drawn
        .first()
        .map_or_else(|| "the cell does not compile".to_owned(), |first| first.headline());
    RustError { ename: "CompileError".to_owned(), evalue, traceback }
}

/// What evcxr itself has to say, or has said of a source that is gone.
fn told(error: &CompilationError) -> Diagnostic {
    let place = |line, column| Place { line, column };
    let marks = error.spanned_messages().iter().filter_map(|said| {
        let span = said.span?;
        let (start, end) =
            (place(span.start_line, span.start_column), place(span.end_line, span.end_column));
        Some(Mark { start, end, label: said.label.clone(), primary: said.is_primary })
    });
    Diagnostic {
        level: error.level().to_owned(),
        code: error.code().map(str::to_owned),
        message: in_our_words(&error.message()),
        marks: marks.collect(),
        notes: Vec::new(),
    }
}

/// evcxr's own messages, which name it as if the reader had called it.
pub(crate) fn in_our_words(text: &str) -> String {
    if let Some((name, _)) = text
        .strip_prefix("The variable `")
        .and_then(|rest| rest.split_once("` contains a reference with a non-static lifetime"))
    {
        return format!(
            "`{name}` borrows from another variable, so it cannot be kept for later cells\nwrap the code in `{{ }}` to use it within this cell"
        );
    }
    text.replace(
        "Looks like you're missing a semicolon",
        "a semicolon is missing at the end of a statement",
    )
    .replace(
        "prevent evcxr from attempting to persist\nthe variable",
        "keep the variable within the cell",
    )
    .replace("cannot be persisted", "cannot be kept for later cells")
    .replace("persist closures", "keep closures")
    .replace("Evcxr", "cells")
    .replace("evcxr", "the kernel")
}

/// A panic: the message that the hook wrote to standard error, and the line of the cell that it came from; `earlier` are the cells before.
pub(crate) fn panic(stderr: &str, cell: &Compiled, earlier: &VecDeque<Compiled>) -> RustError {
    let found = panic::last(stderr);
    let message = found.as_ref().map_or("the cell panicked", |panic| panic.message.as_str());
    let mut error = plain("Panic", message);
    match found.and_then(|panic| panic.site(cell, earlier)) {
        Some(Site::Cell(place)) => error.traceback.extend(snippet::point(&cell.code, place)),
        Some(Site::Earlier(text)) => {
            error.traceback.push(format!("{BLUE}in an earlier cell |{PLAIN} {text}"))
        }
        Some(Site::File(place)) => error.traceback.push(format!("{BLUE}at{PLAIN} {place}")),
        None => {}
    }
    error
}

/// A `?` that met an error: its message, which is the last thing on standard error where it was not reported.
pub(crate) fn question_mark(reported: &str, stderr: &str) -> RustError {
    let message = if reported.is_empty() { &stderr[last_message(stderr)] } else { reported };
    plain("Error", if message.is_empty() { "the cell ended with an error" } else { message })
}

/// What a cell that panicked wrote to standard error besides the panic.
pub(crate) fn besides_panic(stderr: &str) -> String {
    let said = panic::last(stderr).map_or(0..0, |panic| panic.range);
    [&stderr[..said.start], &stderr[said.end..]].concat()
}

/// What a cell wrote to standard error before the message of the error that ended it.
pub(crate) fn before_last_message(stderr: &str) -> String {
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
pub(crate) fn death(death: &ChildExit) -> RustError {
    let failure = death.failure();
    let ename = if death.cause == Some(Cause::Interrupt) { "Interrupted" } else { "SessionDied" };
    let mut error = plain(ename, &failure.message);
    error.traceback.extend(failure.hint.map(|hint| format!("{BLUE}hint{PLAIN}: {hint}")));
    error
}

#[cfg(test)]
mod tests;
