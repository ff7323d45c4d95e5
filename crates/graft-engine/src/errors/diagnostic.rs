//! A message of rustc, with its places in the cell.

use serde::Deserialize;

use super::source_map::{Place, SourceMap};

/// The file of the generated source, relative to the session's workspace.
pub(super) const GENERATED: &str = "cell/src/lib.rs";
/// Names in evcxr's own code. Notes that mention them do not help the user.
const EVCXR_NAMES: [&str; 5] = ["evcxr_", "Evcxr", "run_user_code_", "catch_unwind", GENERATED];

/// A message of rustc.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Diagnostic {
    /// `error`, `warning`, ...
    pub(super) level: String,
    /// `E0308`.
    pub(super) code: Option<String>,
    /// The text.
    pub(super) message: String,
    /// The places that it concerns.
    pub(super) marks: Vec<Mark>,
    /// Notes, help and suggestions.
    pub(super) notes: Vec<Note>,
}

/// A marked range in the cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) start: Place,
    /// End, exclusive.
    pub(super) end: Place,
    pub(super) label: String,
    pub(super) primary: bool,
}

/// A note or help attached to a message.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Note {
    /// `note` or `help`.
    pub(super) level: String,
    pub(super) message: String,
    pub(super) marks: Vec<Mark>,
    /// Suggested changes; each consists of one or more edits.
    pub(super) suggestions: Vec<Vec<Edit>>,
}

/// A replacement of text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Edit {
    /// The range to replace; `None` for an item such as `use`, which may be added anywhere.
    pub(super) range: Option<(Place, Place)>,
    pub(super) text: String,
}

/// The fields of rustc's JSON that are used here.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Json {
    message: String,
    code: Option<Code>,
    level: String,
    spans: Vec<Span>,
    children: Vec<Json>,
}

#[derive(Debug, Deserialize)]
struct Code {
    code: String,
}

#[derive(Debug, Deserialize)]
struct Span {
    file_name: String,
    line_start: usize,
    line_end: usize,
    column_start: usize,
    column_end: usize,
    is_primary: bool,
    label: Option<String>,
    suggested_replacement: Option<String>,
    expansion: Option<Box<Expansion>>,
    #[serde(default)]
    text: Vec<Line>,
}

#[derive(Debug, Deserialize)]
struct Expansion {
    span: Span,
}

#[derive(Debug, Deserialize)]
struct Line {
    text: String,
}

impl Diagnostic {
    /// The message in one line.
    pub(super) fn headline(&self) -> String {
        match &self.code {
            Some(code) => format!("{} [{code}]", self.message),
            None => self.message.clone(),
        }
    }

    /// Reads rustc's JSON; `None` if it concerns another source than that of `map`.
    pub(super) fn read(json: &serde_json::Value, map: &SourceMap<'_>) -> Option<Self> {
        let json = Json::deserialize(json).ok().filter(|json| !json.message.is_empty())?;
        if !is_from(&json, map) {
            return None;
        }
        let mut marks: Vec<Mark> = json.spans.iter().filter_map(|span| span.mark(map)).collect();
        let mut message = reword(&json.message);
        if message.starts_with("expected") && !message.contains("the end of the cell") {
            let beyond =
                json.spans.iter().filter_map(Span::in_cell).find(|span| span.mark(map).is_none());
            if let Some(beyond) = beyond {
                // The parser continued after the statement and found evcxr's code.
                message = replace_found(&message);
                let end = map
                    .end_before(beyond.start())
                    .filter(|_| !marks.iter().any(|mark| mark.primary));
                marks.extend(end.map(|end| Mark {
                    start: end,
                    end: Place { column: end.column + 1, ..end },
                    label: String::new(),
                    primary: true,
                }));
            }
        }
        let mut primary = json.spans.iter().filter(|span| span.is_primary);
        let is_stated = primary.any(|span| map.is_binding(span.line_start));
        let unnamed = unnamed_type(&json, marks.is_empty() || is_stated);
        let notes = json
            .children
            .into_iter()
            .filter_map(|child| Note::read(child, map))
            .chain(unnamed)
            .collect();
        Some(Self {
            level: json.level,
            code: json.code.map(|code| code.code),
            message,
            marks,
            notes,
        })
    }
}

/// Returns whether the error concerns the source of `map`.
fn is_from(json: &Json, map: &SourceMap<'_>) -> bool {
    let is_same = |span: &Span| {
        span.text.first().is_none_or(|line| {
            map.generated_line(span.line_start)
                .is_some_and(|text| text.trim_end() == line.text.trim_end())
        })
    };
    json.spans.iter().filter_map(Span::in_cell).all(is_same)
}

/// The note about a variable whose type has no name in a cell.
fn unnamed_type(json: &Json, is_ours: bool) -> Option<Note> {
    let is_unnamed = is_ours
        && matches!(
            json.code.as_ref().map(|code| code.code.as_str()),
            Some("E0404" | "E0405" | "E0412" | "E0603")
        );
    let unnamed = Note {
        level: "help".to_owned(),
        message: "declare the variable with a type that can be named: `let name: TYPE = ...`"
            .to_owned(),
        ..Note::default()
    };
    is_unnamed.then_some(unnamed)
}

impl Note {
    fn read(json: Json, map: &SourceMap<'_>) -> Option<Self> {
        // Names of evcxr and local paths do not help.
        if EVCXR_NAMES.iter().any(|name| json.message.contains(name))
            || json.message.contains("has been written to")
            || json.message.contains("consider using `--verbose`")
        {
            return None;
        }
        let (edits, places): (Vec<Span>, Vec<Span>) =
            json.spans.into_iter().partition(|span| span.suggested_replacement.is_some());
        let marks = places.iter().filter_map(|span| span.mark(map)).collect();
        let note = Self {
            level: json.level,
            message: reword(&json.message),
            marks,
            suggestions: suggestions(&edits, map),
        };
        // The note concerns code that the user cannot see.
        let is_hidden = !places.is_empty()
            && note.marks.is_empty()
            && places.iter().all(|span| span.in_cell().is_some());
        if is_hidden || !edits.is_empty() && note.suggestions.is_empty() {
            return None;
        }
        Some(note)
    }
}

/// The changes of a suggestion. Several texts for one place are alternatives; texts for several
/// places form one change.
fn suggestions(spans: &[Span], map: &SourceMap<'_>) -> Vec<Vec<Edit>> {
    let edit = |span: &Span| {
        let text = span.suggested_replacement.clone().unwrap_or_default();
        // `crate::` paths lead to imports of earlier cells, at the root of evcxr's crate.
        if EVCXR_NAMES.iter().any(|name| text.contains(name)) || text.contains("crate::") {
            return None;
        }
        let range = span.in_cell().and_then(|span| map.range(span.start(), span.end()));
        let is_item =
            text.trim_start().starts_with("use ") || text.trim_start().starts_with("extern crate ");
        (range.is_some() || is_item).then(|| Edit { range: range.filter(|_| !is_item), text })
    };
    let edits: Vec<Option<Edit>> = spans.iter().map(edit).collect();
    let is_same_place =
        |pair: &[Span]| matches!(pair, [one, other] if one.place() == other.place());
    if spans.len() > 1 && spans.windows(2).all(is_same_place) {
        return edits.into_iter().flatten().map(|edit| vec![edit]).collect();
    }
    edits
        .into_iter()
        .collect::<Option<Vec<Edit>>>()
        .filter(|edits| !edits.is_empty())
        .into_iter()
        .collect()
}

impl Span {
    fn start(&self) -> Place {
        Place { line: self.line_start, column: self.column_start }
    }

    fn end(&self) -> Place {
        Place { line: self.line_end, column: self.column_end }
    }

    fn place(&self) -> (&str, Place, Place) {
        (&self.file_name, self.start(), self.end())
    }

    /// The span in the generated source: this one, or that of the macro call that it comes from.
    fn in_cell(&self) -> Option<&Self> {
        if self.file_name == GENERATED {
            Some(self)
        } else {
            self.expansion.as_ref()?.span.in_cell()
        }
    }

    fn mark(&self, map: &SourceMap<'_>) -> Option<Mark> {
        let mut place = self.in_cell()?;
        // The code of a macro from an earlier cell is not in this cell, but its call is.
        let (start, end) = loop {
            match map.range(place.start(), place.end()) {
                Some(range) => break range,
                None => place = place.expansion.as_ref()?.span.in_cell()?,
            }
        };
        let label = self
            .label
            .as_deref()
            .filter(|label| !EVCXR_NAMES.iter().any(|name| label.contains(name)))
            .map(reword)
            .unwrap_or_default();
        Some(Mark { start, end: end.max(start), label, primary: self.is_primary })
    }
}

/// Rewords a message of rustc that mentions evcxr's code, files or `Cargo.toml`.
fn reword(message: &str) -> String {
    if let Some((_, name)) = message
        .strip_suffix("` to add it to your `Cargo.toml`")
        .and_then(|rest| rest.split_once("use `cargo add "))
    {
        return format!("`:dep {name}` at the top of a cell adds the crate `{name}`");
    }
    let cell = message
        .replace("this file contains", "this cell contains")
        .replace("in this file", "in this cell");
    // evcxr's function follows the last statement.
    match cell.split_once("found `evcxr_variable_store`") {
        Some((before, after)) => format!("{before}found the end of the cell{after}"),
        None => cell
            .replace(
                "`?` couldn't convert the error to `EvcxrUserCodeError`",
                "`?` cannot take this error",
            )
            .replace("`evcxr_variable_store`", "the end of the cell"),
    }
}

/// Replaces what the parser found, a token of evcxr's code, in `expected ..., found ...`.
fn replace_found(message: &str) -> String {
    match message.rfind(", found ") {
        Some(place) => {
            format!("{}, found the end of the statement", message.get(..place).unwrap_or_default())
        }
        None => message.to_owned(),
    }
}
