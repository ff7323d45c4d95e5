//! Maps places of the generated source back to the cell.
//!
//! evcxr splits a cell into statements and puts each on lines of its own: items first, the others
//! into a function, with its own code in between. The text of a statement is unchanged, so it can
//! be found by its text, statements of the function in their order. `use` items are rewritten;
//! their names are found one by one.

use std::ops::Range;

use ra_ap_syntax::ast::{self, AstNode};
use ra_ap_syntax::{Edition, SourceFile, SyntaxKind};

/// The beginning of evcxr's function, for compilation and for analysis.
const FUNCTIONS: [&str; 2] = ["fn run_user_code_", "fn evcxr_analysis_wrapper("];

/// A place in a text: line and column, both from 1. Columns count code points.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) line: usize,
    pub(super) column: usize,
}

/// Maps places of the generated source to places in the cell.
pub(super) struct SourceMap<'a> {
    cell: &'a str,
    generated: Vec<&'a str>,
    pieces: Vec<Piece>,
    imports: Vec<Range<usize>>,
}

/// A statement of the cell and its position in the generated source.
#[derive(Debug)]
struct Piece {
    /// First line in the generated source, from 1.
    line: usize,
    /// Number of lines.
    lines: usize,
    /// Start in the cell.
    start: Place,
    /// End in the cell, without trailing spaces and comments.
    end: Place,
}

impl<'a> SourceMap<'a> {
    /// Aligns a cell with its generated source.
    pub(super) fn new(cell: &'a str, generated: &'a str) -> Self {
        let body = FUNCTIONS.iter().filter_map(|name| generated.rfind(name)).max().unwrap_or(0);
        let (mut pieces, mut imports) = (Vec::new(), Vec::new());
        let mut next = body;
        for statement in statements(cell) {
            let text = cell.get(statement.range.clone()).unwrap_or_default();
            let found = match statement.is_item {
                true => find_lines(generated, text, 0..body),
                false => find_lines(generated, text, next..generated.len()),
            };
            let Some(found) = found else {
                if statement.is_import {
                    imports.push(statement.range);
                }
                continue;
            };
            if !statement.is_item {
                next = found + text.trim_end().len();
            }
            let line = generated.get(..found).unwrap_or_default().matches('\n').count() + 1;
            let (start, end) =
                (place_of(cell, statement.range.start), place_of(cell, statement.end));
            pieces.push(Piece {
                line,
                lines: text.trim_end().matches('\n').count() + 1,
                start,
                end,
            });
        }
        Self { cell, generated: generated.lines().collect(), pieces, imports }
    }

    /// The place in the cell; `None` for code of evcxr.
    pub(super) fn place(&self, generated: Place) -> Option<Place> {
        let within =
            |piece: &&Piece| (piece.line..piece.line + piece.lines).contains(&generated.line);
        let piece = self.pieces.iter().find(within)?;
        let line = piece.start.line + generated.line - piece.line;
        let column = if generated.line == piece.line {
            generated.column + piece.start.column - 1
        } else {
            generated.column
        };
        Some(Place { line, column })
    }

    /// The range in the cell, including names in a `use`.
    pub(super) fn range(&self, start: Place, end: Place) -> Option<(Place, Place)> {
        match (self.place(start), self.place(end)) {
            (Some(start), Some(end)) => Some((start, end)),
            // An unterminated string, for example, extends into other code; the range ends with the
            // line.
            (Some(start), None) => Some((start, self.line_end(start.line))),
            (None, _) => self.imported(start, end).or_else(|| self.enclosed(start, end)),
        }
    }

    /// The single statement inside the range, which evcxr has wrapped in code of its own, such as
    /// the last expression of a cell.
    fn enclosed(&self, start: Place, end: Place) -> Option<(Place, Place)> {
        let mut inside = self
            .pieces
            .iter()
            .filter(|piece| start.line < piece.line && piece.line + piece.lines <= end.line);
        let piece = inside.next().filter(|_| inside.next().is_none())?;
        Some((piece.start, piece.end))
    }

    /// The end of the last statement before a line of the generated source. A missing token is
    /// missing there.
    pub(super) fn end_before(&self, generated: Place) -> Option<Place> {
        let before = self.pieces.iter().filter(|piece| piece.line < generated.line);
        before.max_by_key(|piece| piece.line + piece.lines).map(|piece| piece.end)
    }

    /// A line of the generated source, from 1.
    pub(super) fn generated_line(&self, line: usize) -> Option<&'a str> {
        self.generated.get(line.checked_sub(1)?).copied()
    }

    fn line_end(&self, line: usize) -> Place {
        let length =
            self.cell.lines().nth(line - 1).map_or(0, |text| text.trim_end().chars().count());
        Place { line, column: length + 1 }
    }

    fn imported(&self, start: Place, end: Place) -> Option<(Place, Place)> {
        let line = self.generated_line(start.line)?.trim_start();
        if start.line != end.line || !(line.starts_with("use ") || line.starts_with("pub use ")) {
            return None;
        }
        let marked: String = self
            .generated_line(start.line)?
            .chars()
            .skip(start.column - 1)
            .take(end.column.saturating_sub(start.column))
            .collect();
        let last = marked.rsplit("::").next()?.trim_matches(|next: char| !is_word(next));
        let named: Vec<&str> = line
            .trim_end_matches(';')
            .split(|next: char| !is_word(next))
            .filter(|word| !matches!(*word, "" | "use" | "pub" | "as"))
            .collect();
        let fits = |import: &&Range<usize>| {
            named.iter().all(|name| word_in(self.cell, (*import).clone(), name).is_some())
        };
        let import = self.imports.iter().find(fits)?.clone();
        let start = word_in(self.cell, import, last)?;
        Some((place_of(self.cell, start), place_of(self.cell, start + last.len())))
    }
}

/// A statement of a cell.
struct Statement {
    range: Range<usize>,
    /// End without trailing spaces and comments.
    end: usize,
    is_item: bool,
    is_import: bool,
}

/// Splits a cell into statements as evcxr does: each with the spaces and comments after it, the
/// first also with those before it.
fn statements(cell: &str) -> Vec<Statement> {
    let before = commands_end(cell);
    let code = cell.get(before..).unwrap_or_default();
    let prelude = "fn f(){";
    let parsed = SourceFile::parse(&format!("{prelude}{code}\n}}"), Edition::Edition2024).tree();
    let function = parsed.syntax().children().find_map(ast::Fn::cast);
    let Some(list) =
        function.and_then(|function| function.body()).and_then(|body| body.stmt_list())
    else {
        return Vec::new();
    };
    let nodes: Vec<_> = list.syntax().children().collect();
    let starts: Vec<usize> = nodes
        .iter()
        .map(|node| usize::from(node.text_range().start()).saturating_sub(prelude.len()))
        .collect();
    let mut found = Vec::new();
    let mut start = 0;
    for (index, node) in nodes.iter().enumerate() {
        let end = starts.get(index + 1).copied().unwrap_or(code.len()).min(code.len());
        if start >= end {
            break;
        }
        let kind = node.kind();
        let node_end =
            usize::from(node.text_range().end()).saturating_sub(prelude.len()).min(code.len());
        found.push(Statement {
            range: before + start..before + end,
            end: before + node_end,
            is_item: ast::Item::can_cast(kind),
            is_import: kind == SyntaxKind::USE,
        });
        start = end;
    }
    found
}

/// The end of the `:commands`, comments and blank lines at the beginning of a cell.
fn commands_end(cell: &str) -> usize {
    let is_before = |line: &&str| {
        line.trim().is_empty()
            || line.starts_with("//")
            || line.trim_start_matches(' ').starts_with(':') && !line.trim_start().starts_with("::")
    };
    cell.split_inclusive('\n').take_while(is_before).map(str::len).sum()
}

/// The position of `lines` as whole lines of `text`, within a range.
fn find_lines(text: &str, lines: &str, within: Range<usize>) -> Option<usize> {
    let wanted = lines.trim_end();
    let mut from = within.start;
    while !wanted.is_empty() {
        let found = from + text.get(from..within.end)?.find(wanted)?;
        let is_line = found == 0 || text.as_bytes().get(found - 1) == Some(&b'\n');
        // Spaces and a comment may follow, as in the cell.
        let rest = text.get(found..)?;
        if is_line
            && (rest.starts_with(lines)
                || rest.get(wanted.len()..).is_some_and(|rest| {
                    rest.trim_start_matches([' ', '\t', '\r']).starts_with('\n')
                }))
        {
            return Some(found);
        }
        from = found + wanted.chars().next().map_or(1, char::len_utf8);
    }
    None
}

fn is_word(next: char) -> bool {
    next.is_alphanumeric() || next == '_'
}

/// The position of a whole word within a range.
fn word_in(text: &str, within: Range<usize>, word: &str) -> Option<usize> {
    if word.is_empty() {
        return None;
    }
    let part = text.get(within.clone())?;
    let is_whole = |place: usize| {
        let before = part.get(..place).and_then(|text| text.chars().next_back());
        let after = part.get(place + word.len()..).and_then(|text| text.chars().next());
        !before.is_some_and(is_word) && !after.is_some_and(is_word)
    };
    part.match_indices(word)
        .map(|(place, _)| place)
        .find(|place| is_whole(*place))
        .map(|place| within.start + place)
}

/// The place of a byte offset.
pub(super) fn place_of(text: &str, byte: usize) -> Place {
    let before = text.get(..byte).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    Place { line, column: before.rsplit('\n').next().unwrap_or_default().chars().count() + 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(cell: &str, generated: &str, line: usize, column: usize) -> Option<(usize, usize)> {
        SourceMap::new(cell, generated)
            .place(Place { line, column })
            .map(|place| (place.line, place.column))
    }

    #[test]
    fn each_statement_of_a_line_is_found() {
        let cell = "\nlet a = 1; let b = a;\n    panic!(\"x\")";
        let generated = "mod x {}\npub fn run_user_code_1() {\nlet a = 1; \nlet b = a;\n    \n(\npanic!(\"x\")\n).evcxr_display();\n}";
        assert_eq!(
            at(cell, generated, 3, 5),
            Some((2, 5)),
            "evcxr drops blank lines at the beginning of a cell"
        );
        let generated = "mod x {}\npub fn run_user_code_1() {\n\nlet a = 1; \nlet b = a;\n    \n(\npanic!(\"x\")\n).evcxr_display();\n}";
        assert_eq!(at(cell, generated, 4, 5), Some((2, 5)));
        assert_eq!(at(cell, generated, 5, 5), Some((2, 16)));
        assert_eq!(at(cell, generated, 8, 1), Some((3, 5)));
        assert_eq!(at(cell, generated, 1, 1), None);
    }

    #[test]
    fn the_same_statement_twice_is_found_twice_and_not_in_an_item() {
        let cell = "f(1);\nf(1);\nfn g() {\nf(1);\n}";
        let generated = "fn g() {\nf(1);\n}\nfn run_user_code_2() {\nf(1);\nf(1);\n}";
        assert_eq!(
            [2, 5, 6].map(|line| at(cell, generated, line, 1)),
            [Some((4, 1)), Some((1, 1)), Some((2, 1))]
        );
    }

    #[test]
    fn a_name_in_a_use_is_found_in_the_list_it_was_in() {
        let cell = "use std::{fs, colections::HashMap};\nlet x = 1;";
        let generated =
            "use std::fs;\nuse std::colections::HashMap;\nfn run_user_code_2() {\nlet x = 1;\n}";
        let map = SourceMap::new(cell, generated);
        let range =
            map.range(Place { line: 2, column: 10 }, Place { line: 2, column: 20 }).unwrap();
        assert_eq!(
            (range.0, range.1),
            (Place { line: 1, column: 15 }, Place { line: 1, column: 25 })
        );
    }

    #[test]
    fn a_missing_token_is_missing_at_the_end_of_the_previous_statement() {
        let map = SourceMap::new(
            "let x = 5  // five\n",
            "fn evcxr_analysis_wrapper(\n) {\nlet x = 5  // five\nevcxr_variable_store(x);\n}",
        );
        assert_eq!(
            map.end_before(Place { line: 4, column: 1 }),
            Some(Place { line: 1, column: 10 })
        );
    }
}
