//! Turns errors of rustc, evcxr and the child into errors of the cell: with the cell's own lines
//! and a message under each place.

mod delimiters;
mod diagnostic;
mod panic;
mod snippet;
mod source_map;

use evcxr::CompilationError;
use std::collections::VecDeque;
use std::sync::Arc;

use crate::child_exit::{Cause, ChildExit};
use crate::rust_error::RustError;
use crate::typed_cell::TypedCell;
use crate::{panic_report, stderr_tail};
use diagnostic::{Diagnostic, Mark};
use panic::PanicLocation;
use source_map::{Place, SourceMap};

const RED: &str = "\x1b[31m";
const BLUE: &str = "\x1b[34m";
const BOLD: &str = "\x1b[1m";
const PLAIN: &str = "\x1b[0m";

/// A cell with the source that evcxr generated from it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Compiled {
    /// The cell.
    pub(crate) cell: TypedCell,
    /// The generated source.
    pub(crate) generated: String,
}

impl Compiled {
    fn code(&self) -> &str {
        &self.cell.code
    }

    fn map(&self) -> SourceMap<'_> {
        SourceMap::new(&self.cell.code, &self.generated, &self.cell.insertions)
    }
}

/// An error without a source location.
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

/// The compile errors of a cell, or its warnings without errors.
pub(crate) fn compile(cell: &Compiled, errors: &[CompilationError]) -> RustError {
    let map = cell.map();
    let is_users = |error: &&CompilationError| error.is_from_user_code();
    let any = errors.iter().any(|error| is_users(&error));
    // rustc also counts the brackets of evcxr's code.
    let is_about_brackets = errors.iter().any(|error| error.message().contains("delimiter"));
    if let Some(unbalanced) = delimiters::unbalanced(cell.code()).filter(|_| is_about_brackets) {
        return render(vec![unbalanced], cell.code());
    }
    let all = errors.iter().filter(|error| !any || is_users(error)).map(|error| {
        Diagnostic::read(&error.json, &map).unwrap_or_else(|| from_evcxr(error, &cell.cell))
    });
    render(all.collect(), cell.code())
}

/// Renders messages, without duplicates.
fn render(mut all: Vec<Diagnostic>, code: &str) -> RustError {
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

/// A message of evcxr itself, or of rustc about an earlier source.
fn from_evcxr(error: &CompilationError, cell: &TypedCell) -> Diagnostic {
    let place = |line, column| {
        let byte = source_map::byte_of(&cell.text, Place { line, column });
        source_map::place_of(&cell.code, cell.original(byte))
    };
    let marks = error.spanned_messages().iter().filter_map(|message| {
        let span = message.span?;
        let (start, end) =
            (place(span.start_line, span.start_column), place(span.end_line, span.end_column));
        Some(Mark { start, end, label: message.label.clone(), primary: message.is_primary })
    });
    Diagnostic {
        level: error.level().to_owned(),
        code: error.code().map(str::to_owned),
        message: reword_evcxr(&error.message()),
        marks: marks.collect(),
        notes: Vec::new(),
    }
}

/// Rewords messages of evcxr, which mention evcxr as if the user had called it.
pub(crate) fn reword_evcxr(text: &str) -> String {
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

/// A panic: the message from the report in standard error, and the line of the cell. `earlier` are
/// the cells before it.
pub(crate) fn panic(stderr: &str, cell: &Compiled, earlier: &VecDeque<Arc<Compiled>>) -> RustError {
    let found = panic_report::last(stderr);
    let message = found.as_ref().map_or("the cell panicked", |report| report.message.as_str());
    let mut error = plain("Panic", message);
    match found.and_then(|report| {
        let place = Place { line: report.line, column: report.column };
        panic::locate(report.file, place, cell, earlier)
    }) {
        Some(PanicLocation::Cell(place)) => {
            error.traceback.extend(snippet::point(cell.code(), place))
        }
        Some(PanicLocation::Earlier(text)) => {
            error.traceback.push(format!("{BLUE}in an earlier cell |{PLAIN} {text}"))
        }
        Some(PanicLocation::File(place)) => {
            error.traceback.push(format!("{BLUE}at{PLAIN} {place}"))
        }
        None => {}
    }
    error
}

/// Describes the location of a panic in a thread that does not end the cell; `None` if it is not in
/// a cell.
pub(crate) fn describe_panic(
    file: &str,
    line: usize,
    column: usize,
    cell: &Compiled,
    earlier: &VecDeque<Arc<Compiled>>,
) -> Option<String> {
    match panic::locate(file, Place { line, column }, cell, earlier)? {
        PanicLocation::Cell(place) => {
            Some(format!("in line {} of the cell, column {}", place.line, place.column))
        }
        PanicLocation::Earlier(text) => Some(format!("in an earlier cell, `{text}`")),
        PanicLocation::File(_) => None,
    }
}

/// An error returned by `?`. If the message was not reported, it is the last line of standard
/// error.
pub(crate) fn question_mark(reported: &str, stderr: &str) -> RustError {
    let message =
        if reported.is_empty() { &stderr[stderr_tail::last_message(stderr)] } else { reported };
    plain("Error", if message.is_empty() { "the cell ended with an error" } else { message })
}

/// The child died while it ran the cell.
pub(crate) fn child_exit(exit: &ChildExit) -> RustError {
    let failure = exit.failure();
    let ename = if exit.cause == Some(Cause::Interrupt) { "Interrupted" } else { "SessionDied" };
    let mut error = plain(ename, &failure.message);
    error.traceback.extend(failure.hint.map(|hint| format!("{BLUE}hint{PLAIN}: {hint}")));
    error
}

#[cfg(test)]
mod tests;
