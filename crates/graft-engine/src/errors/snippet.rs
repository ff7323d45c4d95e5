//! Renders messages in the style of rustc: each line of the cell once, marks under the places,
//! suggestions as changed lines.

use std::collections::BTreeMap;

use super::diagnostic::{Diagnostic, Edit, Mark, Note};
use super::source_map::Place;
use super::{BLUE, BOLD, PLAIN, RED};

const GREEN: &str = "\x1b[32m";

/// Renders a message as lines.
pub(super) fn draw(diagnostic: &Diagnostic, cell: &str) -> Vec<String> {
    let page = Page { lines: cell.lines().collect(), width: gutter(diagnostic) };
    let number = diagnostic.code.as_ref().map(|code| format!("[{code}]")).unwrap_or_default();
    let mut message = diagnostic.message.lines();
    let mut out = vec![format!(
        "{RED}{BOLD}{}{number}{PLAIN}{BOLD}: {}{PLAIN}",
        diagnostic.level,
        message.next().unwrap_or_default()
    )];
    out.extend(message.map(str::to_owned));
    page.marks(&diagnostic.marks, &mut out);
    for note in &diagnostic.notes {
        page.note(note, &mut out);
    }
    out
}

/// Renders a line of the cell with a mark under a place.
pub(super) fn point(cell: &str, place: Place) -> Vec<String> {
    let end = Place { column: place.column + 1, ..place };
    let mark = Mark { start: place, end, label: String::new(), primary: true };
    let mut out = Vec::new();
    Page { lines: cell.lines().collect(), width: place.line.to_string().len() }
        .marks(&[mark], &mut out);
    out
}

/// Number of digits of the highest line number.
fn gutter(diagnostic: &Diagnostic) -> usize {
    let noted = diagnostic.notes.iter().flat_map(|note| &note.marks);
    let edited = diagnostic
        .notes
        .iter()
        .flat_map(|note| note.suggestions.iter().flatten())
        .filter_map(|edit| edit.range)
        .map(|(_, end)| end.line);
    diagnostic
        .marks
        .iter()
        .chain(noted)
        .map(|mark| mark.start.line)
        .chain(edited)
        .max()
        .unwrap_or(1)
        .to_string()
        .len()
}

/// The lines of the cell and the width of the line numbers.
struct Page<'a> {
    lines: Vec<&'a str>,
    width: usize,
}

/// A mark on one line, with columns from 0.
struct OnLine<'a> {
    start: usize,
    end: usize,
    mark: &'a Mark,
}

impl Page<'_> {
    fn numbered(&self, line: usize, text: &str) -> String {
        // A tab becomes one space, so that the marks below stay aligned.
        format!("{BLUE}{line:>width$} |{PLAIN} {}", text.replace('\t', " "), width = self.width)
    }

    fn below(&self, text: &str) -> String {
        format!("{BLUE}{:width$} |{PLAIN} {text}", "", width = self.width).trim_end().to_owned()
    }

    fn text(&self, line: usize) -> &str {
        line.checked_sub(1).and_then(|index| self.lines.get(index)).copied().unwrap_or_default()
    }

    /// Each marked line once, with all its marks under it.
    fn marks(&self, marks: &[Mark], out: &mut Vec<String>) {
        let mut lines: BTreeMap<usize, Vec<OnLine<'_>>> = BTreeMap::new();
        for mark in
            marks.iter().filter(|mark| mark.start.line >= 1 && mark.start.line <= self.lines.len())
        {
            let length = self.text(mark.start.line).trim_end().chars().count();
            let start = mark.start.column - 1;
            let end = if mark.end.line == mark.start.line { mark.end.column - 1 } else { length };
            lines.entry(mark.start.line).or_default().push(OnLine {
                start,
                end: end.max(start + 1),
                mark,
            });
        }
        let mut last = None;
        for (line, mut marks) in lines {
            if last.is_some_and(|last| line > last + 1) {
                out.push(format!("{BLUE}...{PLAIN}"));
            }
            last = Some(line);
            out.push(self.numbered(line, self.text(line)));
            marks.sort_by_key(|mark| (mark.start, mark.end));
            self.under(&marks, out);
        }
    }

    /// The marks of a line. The label of the last mark follows on the same row; the others are
    /// below their marks.
    fn under(&self, marks: &[OnLine<'_>], out: &mut Vec<String>) {
        let end = marks.iter().map(|mark| mark.end).max().unwrap_or(0);
        let sign = |column: usize| {
            let covers = |mark: &&OnLine<'_>| (mark.start..mark.end).contains(&column);
            let primary = marks.iter().filter(|mark| mark.mark.primary).any(|mark| covers(&mark));
            if primary {
                '^'
            } else if marks.iter().any(|mark| covers(&mark)) {
                '-'
            } else {
                ' '
            }
        };
        let row: Vec<char> = (0..end).map(sign).collect();
        let mut labeled: Vec<&OnLine<'_>> =
            marks.iter().filter(|mark| !mark.mark.label.is_empty()).collect();
        let inline = labeled.pop_if(|mark| mark.end == end);
        let label = inline
            .map(|mark| paint(mark.mark.primary, &mark.mark.label.replace('\n', " ")))
            .unwrap_or_default();
        out.push(self.below(format!("{} {label}", painted(&row)).trim_end()));
        if !labeled.is_empty() {
            out.push(self.below(&pipes(&labeled)));
        }
        while let Some(mark) = labeled.pop() {
            let before = pipes(
                &labeled
                    .iter()
                    .filter(|other| other.start < mark.start)
                    .copied()
                    .collect::<Vec<_>>(),
            );
            let column = before.chars().count();
            out.push(self.below(&format!(
                "{before}{}{}",
                " ".repeat(mark.start.saturating_sub(column)),
                paint(mark.mark.primary, &mark.mark.label.replace('\n', " "))
            )));
        }
    }

    fn note(&self, note: &Note, out: &mut Vec<String>) {
        let is_placed = !note.marks.is_empty() || !note.suggestions.is_empty();
        let mut message = note.message.lines();
        let first = message.next().unwrap_or_default();
        match is_placed {
            true => {
                out.push(format!("{BLUE}{}{PLAIN}: {}", note.level, first.trim_end_matches(':')))
            }
            false => out.push(format!(
                "{:width$} {BLUE}= {}{PLAIN}: {first}",
                "",
                note.level,
                width = self.width
            )),
        }
        out.extend(message.map(|line| {
            format!("{:width$} {line}", "", width = self.width + 2 + note.level.len() + 1)
        }));
        self.marks(&note.marks, out);
        for suggestion in &note.suggestions {
            self.suggestion(suggestion, out);
        }
    }

    /// The changed lines of a suggestion.
    fn suggestion(&self, edits: &[Edit], out: &mut Vec<String>) {
        for item in edits.iter().filter(|edit| edit.range.is_none()) {
            out.push(format!(
                "{:width$} {GREEN}+ {}{PLAIN}",
                "",
                item.text.trim(),
                width = self.width
            ));
        }
        let mut lines: BTreeMap<usize, Vec<(usize, usize, &str)>> = BTreeMap::new();
        for edit in edits {
            let Some((start, end)) = edit.range else { continue };
            let length = self.text(start.line).chars().count();
            let end = if end.line == start.line { end.column - 1 } else { length };
            lines.entry(start.line).or_default().push((start.column - 1, end, &edit.text));
        }
        for (line, mut edits) in lines {
            edits.sort_unstable();
            self.changed(line, &edits, out);
        }
    }

    /// A changed line: with `+` under added text, or the old line above the new one.
    fn changed(&self, line: usize, edits: &[(usize, usize, &str)], out: &mut Vec<String>) {
        let old: Vec<char> = self.text(line).chars().collect();
        let (mut new, mut marks, mut from) = (String::new(), String::new(), 0);
        for (start, end, text) in edits {
            let text = text.trim_end_matches('\n').replace('\n', " ");
            let unchanged: String = old.get(from..*start).unwrap_or_default().iter().collect();
            marks.push_str(&" ".repeat(unchanged.chars().count()));
            marks.push_str(&"+".repeat(text.chars().count()));
            new.push_str(&unchanged);
            // The edit begins after the end of the line.
            let missing = start.saturating_sub(old.len().max(from));
            new.push_str(&" ".repeat(missing));
            new.push_str(&text);
            from = (*end).max(from);
        }
        new.extend(old.get(from..).unwrap_or_default());
        if edits
            .iter()
            .any(|(_, _, text)| text.trim_end_matches('\n').contains('\n') || text.ends_with('\n'))
        {
            return self.changed_lines(line, edits, out);
        }
        if edits.iter().all(|(start, end, _)| start == end) {
            out.push(self.numbered(line, &new));
            out.push(self.below(&format!("{GREEN}{marks}{PLAIN}")));
        } else {
            out.push(format!(
                "{BLUE}{line:>width$}{PLAIN} {RED}- {}{PLAIN}",
                self.text(line).trim_end(),
                width = self.width
            ));
            if !new.trim().is_empty() {
                out.push(format!(
                    "{BLUE}{line:>width$}{PLAIN} {GREEN}+ {}{PLAIN}",
                    new.trim_end(),
                    width = self.width
                ));
            }
        }
    }
}

impl Page<'_> {
    /// A change that adds lines: the new lines, with the old line if it is unchanged.
    fn changed_lines(&self, line: usize, edits: &[(usize, usize, &str)], out: &mut Vec<String>) {
        let old = self.text(line);
        let mut new: Vec<char> = old.chars().collect();
        for (start, end, text) in edits.iter().rev() {
            let (start, end) = ((*start).min(new.len()), (*end).min(new.len()));
            new.splice(start..end, text.chars());
        }
        let new: String = new.into_iter().collect();
        if !new.lines().any(|text| text.trim_end() == old.trim_end()) {
            out.push(format!(
                "{BLUE}{line:>width$}{PLAIN} {RED}- {}{PLAIN}",
                old.trim_end(),
                width = self.width
            ));
        }
        for text in new.lines() {
            match text.trim_end() == old.trim_end() {
                true => out.push(self.numbered(line, text)),
                false => out.push(format!(
                    "{:width$} {GREEN}+ {}{PLAIN}",
                    "",
                    text.trim_end(),
                    width = self.width
                )),
            }
        }
    }
}

/// Vertical bars at the places of the remaining labels.
fn pipes(marks: &[&OnLine<'_>]) -> String {
    let mut text = String::new();
    for mark in marks {
        let column = text.chars().count();
        if mark.start >= column {
            text.push_str(&" ".repeat(mark.start - column));
            text.push('|');
        }
    }
    text
}

fn paint(primary: bool, text: &str) -> String {
    format!("{}{text}{PLAIN}", if primary { RED } else { BLUE })
}

/// The row of marks with colors.
fn painted(row: &[char]) -> String {
    row.chunk_by(|one, other| one == other)
        .map(|run| {
            let text: String = run.iter().collect();
            match run.first() {
                Some('^') => paint(true, &text),
                Some('-') => paint(false, &text),
                _ => text,
            }
        })
        .collect()
}
