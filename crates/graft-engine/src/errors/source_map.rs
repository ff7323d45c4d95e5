//! Maps places of the generated source back to the cell.
//!
//! evcxr splits a cell into statements and puts each on lines of its own: items first, the others
//! into a function, with its own code in between. The text of a statement is unchanged, so it can
//! be found by its text, statements of the function in their order. `use` items are rewritten;
//! their names are found one by one.

use std::ops::Range;

use crate::statement::statements;
use crate::typed_cell::Insertion;

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
    bindings: Vec<Binding>,
}

/// A statement that states the type of a variable; the user has not written it.
#[derive(Debug)]
struct Binding {
    /// The line in the generated source, from 1.
    line: usize,
    /// Start of the variable's name in the cell.
    start: Place,
    /// End of the name.
    end: Place,
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
    /// Aligns a cell with its generated source. `insertions` are the statements that the user has
    /// not written.
    pub(super) fn new(cell: &'a str, generated: &'a str, insertions: &[Insertion]) -> Self {
        let body = FUNCTIONS.iter().filter_map(|name| generated.rfind(name)).max().unwrap_or(0);
        let lines = generated.lines().collect();
        let mut map =
            Self { cell, generated: lines, pieces: vec![], imports: vec![], bindings: vec![] };
        let mut next = body;
        for statement in statements(cell) {
            let text = cell.get(statement.range.clone()).unwrap_or_default();
            let found = match statement.is_item() {
                true => find_lines(generated, text, 0..body),
                false => find_lines(generated, text, next..generated.len()),
            };
            if let Some(found) = found {
                let end = found + text.trim_end().len();
                next = if statement.is_item() { next } else { end };
                map.pieces.push(Piece {
                    line: line_of(generated, found),
                    lines: text.trim_end().matches('\n').count() + 1,
                    start: place_of(cell, statement.range.start),
                    end: place_of(cell, statement.end),
                });
            } else if statement.is_import() {
                map.imports.push(statement.range.clone());
            }
            for inserted in insertions.iter().filter(|one| one.at == statement.range.end) {
                let text = inserted.text.trim();
                let Some(found) = find_lines(generated, text, next..generated.len()) else {
                    continue;
                };
                next = found + text.len();
                map.bindings.push(Binding {
                    line: line_of(generated, found),
                    start: place_of(cell, inserted.name.start),
                    end: place_of(cell, inserted.name.end),
                });
            }
        }
        map
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
        if let Some(binding) = self.bindings.iter().find(|binding| binding.line == start.line) {
            let end = if start == end { binding.start } else { binding.end };
            return Some((binding.start, end));
        }
        match (self.place(start), self.place(end)) {
            (Some(start), Some(end)) => Some((start, end)),
            // An unterminated string, for example, extends into other code; the range ends with the
            // line.
            (Some(start), None) => Some((start, self.line_end(start.line))),
            (None, _) => self.imported(start, end).or_else(|| self.enclosed(start, end)),
        }
    }

    /// Whether a line of the generated source states the type of a variable.
    pub(super) fn is_binding(&self, line: usize) -> bool {
        self.bindings.iter().any(|binding| binding.line == line)
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

/// The line of a byte offset, from 1.
fn line_of(text: &str, byte: usize) -> usize {
    text.get(..byte).unwrap_or_default().matches('\n').count() + 1
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

/// The byte offset of a place.
pub(super) fn byte_of(text: &str, place: Place) -> usize {
    let lines = text.split_inclusive('\n');
    let before: usize = lines.clone().take(place.line.saturating_sub(1)).map(str::len).sum();
    let line = lines.clone().nth(place.line.saturating_sub(1)).unwrap_or_default();
    let column: usize = line.chars().take(place.column.saturating_sub(1)).map(char::len_utf8).sum();
    (before + column).min(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(cell: &str, generated: &str, line: usize, column: usize) -> Option<(usize, usize)> {
        SourceMap::new(cell, generated, &[])
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
        let map = SourceMap::new(cell, generated, &[]);
        let range =
            map.range(Place { line: 2, column: 10 }, Place { line: 2, column: 20 }).unwrap();
        assert_eq!(
            (range.0, range.1),
            (Place { line: 1, column: 15 }, Place { line: 1, column: 25 })
        );
    }

    #[test]
    fn a_statement_with_a_type_stands_for_the_name_of_its_variable() {
        let insertion = Insertion { at: 21, text: "let v: Vec<u8> = v; ".to_owned(), name: 4..5 };
        let cell = "let v = Vec::new();  v.push(1);";
        let generated =
            "fn run_user_code_2() {\nlet v = Vec::new();  \nlet v: Vec<u8> = v; \nv.push(1);\n}";
        let map = SourceMap::new(cell, generated, &[insertion]);
        let at = |line, column| Place { line, column };
        assert_eq!(map.range(at(3, 5), at(3, 6)), Some((at(1, 5), at(1, 6))));
        assert_eq!(map.range(at(3, 5), at(3, 5)), Some((at(1, 5), at(1, 5))), "an insertion");
        assert_eq!(map.place(at(4, 1)), Some(at(1, 22)));
    }

    #[test]
    fn the_byte_of_a_place_is_the_inverse_of_the_place_of_a_byte() {
        let text = "é = 1;\nab";
        for byte in [0, 2, 5, 8, 10] {
            assert_eq!(byte_of(text, place_of(text, byte)), byte);
        }
    }

    #[test]
    fn a_missing_token_is_missing_at_the_end_of_the_previous_statement() {
        let map = SourceMap::new(
            "let x = 5  // five\n",
            "fn evcxr_analysis_wrapper(\n) {\nlet x = 5  // five\nevcxr_variable_store(x);\n}",
            &[],
        );
        assert_eq!(
            map.end_before(Place { line: 4, column: 1 }),
            Some(Place { line: 1, column: 10 })
        );
    }
}
