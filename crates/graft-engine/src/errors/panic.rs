//! Locates a panic in the cell or in an earlier cell.

use std::collections::VecDeque;
use std::sync::Arc;

use super::Compiled;
use super::diagnostic::GENERATED;
use super::source_map::Place;

/// Words at which no panic can happen: a line with one of them at the panic's column is the wrong
/// line.
const NEVER_PANICS: [&str; 9] =
    ["let", "fn", "pub", "mod", "use", "struct", "enum", "impl", "unsafe"];

/// The location of a panic.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum PanicLocation {
    /// A place in the cell.
    Cell(Place),
    /// A line of an earlier cell.
    Earlier(String),
    /// A file of a crate, with the line.
    File(String),
}

/// Locates a panic by the generated sources of the cell and of the earlier cells, latest first.
/// Functions of earlier cells are recompiled with each cell. A closure that an earlier cell has
/// stored is not; its report contains a line of that cell's source.
pub(super) fn locate(
    file: &str,
    place: Place,
    cell: &Compiled,
    earlier: &VecDeque<Arc<Compiled>>,
) -> Option<PanicLocation> {
    if file != GENERATED {
        return Some(PanicLocation::File(format!("{file}:{}", place.line)));
    }
    if can_panic_at(place, cell) {
        let map = cell.map();
        return match map.place(place) {
            Some(place) => Some(PanicLocation::Cell(place)),
            None => map
                .generated_line(place.line)
                .map(|line| PanicLocation::Earlier(line.trim().to_owned())),
        };
    }
    earlier.iter().rev().filter(|cell| can_panic_at(place, cell)).find_map(|cell| {
        let place = cell.map().place(place)?;
        Some(PanicLocation::Earlier(cell.code().lines().nth(place.line - 1)?.trim().to_owned()))
    })
}

/// Whether an expression that can panic begins at this place of the generated source.
fn can_panic_at(place: Place, cell: &Compiled) -> bool {
    let Some(line) = cell.generated.lines().nth(place.line - 1) else { return false };
    let is_word = |next: char| next.is_alphanumeric() || next == '_';
    let before = place.column.checked_sub(2).and_then(|index| line.chars().nth(index));
    let text: String = line.chars().skip(place.column - 1).collect();
    let word: String = text.chars().take_while(|next| is_word(*next)).collect();
    let begins = text.starts_with(|next: char| is_word(next) || "(\"'&*-![|<".contains(next));
    let is_inside_a_word = !word.is_empty() && before.is_some_and(is_word);
    begins && !is_inside_a_word && !NEVER_PANICS.contains(&word.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::panic_report;
    use crate::typed_cell::TypedCell;

    fn located(
        stderr: &str,
        cell: &Compiled,
        earlier: &VecDeque<Arc<Compiled>>,
    ) -> Option<PanicLocation> {
        let report = panic_report::last(stderr).unwrap();
        let place = Place { line: report.line, column: report.column };
        locate(report.file, place, cell, earlier)
    }

    fn compiled(code: &str, generated: &str) -> Compiled {
        Compiled { cell: TypedCell::unchanged(code), generated: generated.to_owned() }
    }

    #[test]
    fn a_panic_points_at_the_line_of_the_cell() {
        let generated = "fn run_user_code_1() {\nlet v = 1;\nv[10];\n}";
        assert_eq!(
            located(
                "thread 'main' (7) panicked at cell/src/lib.rs:3:1:\nindex out of bounds\n",
                &compiled("let v = 1;\nv[10];", generated),
                &VecDeque::new()
            ),
            Some(PanicLocation::Cell(Place { line: 2, column: 1 }))
        );
    }

    #[test]
    fn a_later_statement_of_a_line_is_located_in_the_cell() {
        let generated =
            "fn run_user_code_1() {\nlet a = 1; \n(\nif a { panic!(\"x\") }\n).evcxr_display();\n}";
        assert_eq!(
            located(
                "thread 'main' panicked at cell/src/lib.rs:4:6:\nx\n",
                &compiled("a", generated),
                &VecDeque::new()
            ),
            None,
            "nothing that can panic begins there"
        );
        let generated = "fn run_user_code_1() {\n\nlet a = 1; \n(\nif a { panic!(\"x\") }\n).evcxr_display();\n}";
        assert_eq!(
            located(
                "thread 'main' panicked at cell/src/lib.rs:5:8:\nx\n",
                &compiled("\nlet a = 1; if a { panic!(\"x\") }", generated),
                &VecDeque::new()
            ),
            Some(PanicLocation::Cell(Place { line: 2, column: 19 }))
        );
    }

    #[test]
    fn a_function_and_a_closure_of_an_earlier_cell_are_located_there() {
        let generated = "fn f(n: i32) { if n { panic!() } }\nfn run_user_code_2() {\nf(3);\n}";
        assert_eq!(
            located(
                "thread 'main' panicked at cell/src/lib.rs:1:23:\ntoo large\n",
                &compiled("f(3);", generated),
                &VecDeque::new()
            ),
            Some(PanicLocation::Earlier("fn f(n: i32) { if n { panic!() } }".to_owned()))
        );
        let first =
            compiled("let f = || panic!();", "fn run_user_code_1() {\nlet f = || panic!();\n}");
        let second = compiled("f();", "fn run_user_code_2() {\nf();\n}");
        assert_eq!(
            located(
                "thread 'main' panicked at cell/src/lib.rs:2:12:\nboom\n",
                &second,
                &VecDeque::from([Arc::new(first)])
            ),
            Some(PanicLocation::Earlier("let f = || panic!();".to_owned()))
        );
    }

    #[test]
    fn a_panic_of_a_crate_names_its_file() {
        assert_eq!(
            located(
                "thread 'main' panicked at /registry/rand/src/x.rs:9:2:\nboom\n",
                &compiled("f()", ""),
                &VecDeque::new()
            ),
            Some(PanicLocation::File("/registry/rand/src/x.rs:9".to_owned()))
        );
    }
}
