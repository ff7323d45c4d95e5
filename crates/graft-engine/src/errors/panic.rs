//! A panic as it stands on standard error: `thread 'main' (7) panicked at cell/src/lib.rs:132:1:` and the lines behind it.

use std::collections::VecDeque;
use std::ops::Range;

use super::Compiled;
use super::diagnostic::GENERATED;
use super::source_map::{Place, SourceMap};

/// Words at which no panic happens: a line that has one there is not the one.
const NO_PLACE: [&str; 9] = ["let", "fn", "pub", "mod", "use", "struct", "enum", "impl", "unsafe"];

/// The last panic of a text.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Panic<'a> {
    /// What the text has of it, the note about backtraces included.
    pub(super) range: Range<usize>,
    /// What it says.
    pub(super) message: String,
    file: &'a str,
    place: Place,
}

/// Where a panic happened, as a reader of the cell knows it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Site {
    /// Here in the cell.
    Cell(Place),
    /// In a line of code from an earlier cell.
    Earlier(String),
    /// In a file of a crate.
    File(String),
}

/// Finds it. A panic with a backtrace is none: who has asked for one reads it where it stands.
pub(super) fn last(text: &str) -> Option<Panic<'_>> {
    let at = text.rfind(" panicked at ")?;
    let mut start = text.get(..at)?.rfind('\n').map_or(0, |end| end + 1);
    // The hook begins with an empty line.
    if text.get(..start).is_some_and(|before| before.ends_with("\n\n") || before == "\n") {
        start -= 1;
    }
    let mut end = at;
    let mut lines = text.get(at..)?.split_inclusive('\n');
    let head = lines.next()?;
    end += head.len();
    let mut place =
        head.trim_start_matches(" panicked at ").trim_end().trim_end_matches(':').rsplitn(3, ':');
    let (column, line, file) = (place.next()?, place.next()?, place.next()?);
    let mut message: Vec<&str> = Vec::new();
    for line in lines {
        if line.starts_with("stack backtrace") {
            return None;
        }
        let is_note = line.starts_with("note: ");
        if line.trim().is_empty() && !message.is_empty() {
            break;
        }
        end += line.len();
        if is_note {
            break;
        }
        message.push(line.trim_end());
    }
    // Both count from 1, but what a cell writes may only look like a panic.
    let count = |text: &str| text.parse::<usize>().ok().filter(|number| *number > 0);
    let place = Place { line: count(line)?, column: count(column)? };
    Some(Panic { range: start..end, message: message.join("\n"), file, place })
}

impl Panic<'_> {
    /// Where it happened, by the source that evcxr made of the cell and of those before it, the last one first. Functions of earlier cells
    /// are compiled again with each cell; a closure that an earlier cell has stored is not, and names a line of that cell's source.
    pub(super) fn site(&self, cell: &Compiled, earlier: &VecDeque<Compiled>) -> Option<Site> {
        if self.file != GENERATED {
            return Some(Site::File(format!("{}:{}", self.file, self.place.line)));
        }
        if self.is_possible_in(cell) {
            let map = SourceMap::new(&cell.code, &cell.generated);
            return match map.place(self.place) {
                Some(place) => Some(Site::Cell(place)),
                None => map
                    .generated_line(self.place.line)
                    .map(|line| Site::Earlier(line.trim().to_owned())),
            };
        }
        earlier.iter().rev().filter(|cell| self.is_possible_in(cell)).find_map(|cell| {
            let place = SourceMap::new(&cell.code, &cell.generated).place(self.place)?;
            Some(Site::Earlier(cell.code.lines().nth(place.line - 1)?.trim().to_owned()))
        })
    }

    /// Whether something that can panic begins at this place of a source.
    fn is_possible_in(&self, cell: &Compiled) -> bool {
        let Some(line) = cell.generated.lines().nth(self.place.line - 1) else { return false };
        let is_word = |next: char| next.is_alphanumeric() || next == '_';
        let before = self.place.column.checked_sub(2).and_then(|index| line.chars().nth(index));
        let text: String = line.chars().skip(self.place.column - 1).collect();
        let word: String = text.chars().take_while(|next| is_word(*next)).collect();
        let begins = text.starts_with(|next: char| is_word(next) || "(\"'&*-![|<".contains(next));
        let is_inside_a_word = !word.is_empty() && before.is_some_and(is_word);
        begins && !is_inside_a_word && !NO_PLACE.contains(&word.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STDERR: &str = "before\n\nthread 'main' (7) panicked at cell/src/lib.rs:3:1:\nindex out of bounds: the len is 3\nnote: run with `RUST_BACKTRACE=1`\nafter";

    #[test]
    fn a_panic_is_its_message_and_can_be_cut_out() {
        let panic = last(STDERR).unwrap();
        assert_eq!(panic.message, "index out of bounds: the len is 3");
        assert_eq!(
            format!("{}{}", &STDERR[..panic.range.start], &STDERR[panic.range.end..]),
            "before\nafter"
        );
        assert!(last("nothing").is_none() && last(" panicked at ").is_none());
        assert!(last("thread 'main' panicked at cell/src/lib.rs:0:0:\nforged\n").is_none());
    }

    #[test]
    fn it_points_at_the_line_of_the_cell() {
        let panic = last(STDERR).unwrap();
        let generated = "fn run_user_code_1() {\nlet v = 1;\nv[10];\n}";
        assert_eq!(
            panic.site(&compiled("let v = 1;\nv[10];", generated), &VecDeque::new()),
            Some(Site::Cell(Place { line: 2, column: 1 }))
        );
    }

    #[test]
    fn a_statement_that_is_not_the_first_of_its_line_is_in_this_cell() {
        let panic = last("thread 'main' panicked at cell/src/lib.rs:4:6:\nx\n").unwrap();
        let generated =
            "fn run_user_code_1() {\nlet a = 1; \n(\nif a { panic!(\"x\") }\n).evcxr_display();\n}";
        assert_eq!(
            panic.site(&compiled("a", generated), &VecDeque::new()),
            None,
            "nothing that can panic begins there"
        );
        let panic = last("thread 'main' panicked at cell/src/lib.rs:5:8:\nx\n").unwrap();
        let generated = "fn run_user_code_1() {\n\nlet a = 1; \n(\nif a { panic!(\"x\") }\n).evcxr_display();\n}";
        let place = panic
            .site(&compiled("\nlet a = 1; if a { panic!(\"x\") }", generated), &VecDeque::new());
        assert_eq!(place, Some(Site::Cell(Place { line: 2, column: 19 })));
    }

    #[test]
    fn a_function_and_a_closure_of_an_earlier_cell_are_named_as_such() {
        let panic = last("thread 'main' panicked at cell/src/lib.rs:1:23:\ntoo large\n").unwrap();
        let generated = "fn f(n: i32) { if n { panic!() } }\nfn run_user_code_2() {\nf(3);\n}";
        let site = panic.site(&compiled("f(3);", generated), &VecDeque::new());
        assert_eq!(site, Some(Site::Earlier("fn f(n: i32) { if n { panic!() } }".to_owned())));
        let panic = last("thread 'main' panicked at cell/src/lib.rs:2:12:\nboom\n").unwrap();
        let first =
            compiled("let f = || panic!();", "fn run_user_code_1() {\nlet f = || panic!();\n}");
        let second = compiled("f();", "fn run_user_code_2() {\nf();\n}");
        assert_eq!(
            panic.site(&second, &VecDeque::from([first])),
            Some(Site::Earlier("let f = || panic!();".to_owned()))
        );
    }

    fn compiled(code: &str, generated: &str) -> Compiled {
        Compiled { code: code.to_owned(), generated: generated.to_owned() }
    }

    #[test]
    fn a_panic_of_a_crate_names_its_file() {
        let panic = last("thread 'main' panicked at /registry/rand/src/x.rs:9:2:\nboom\n").unwrap();
        assert_eq!(
            panic.site(&compiled("f()", ""), &VecDeque::new()),
            Some(Site::File("/registry/rand/src/x.rs:9".to_owned()))
        );
    }

    #[test]
    fn a_backtrace_that_was_asked_for_stays_where_it_is() {
        assert!(
            last("thread 'main' panicked at cell/src/lib.rs:1:1:\nboom\nstack backtrace:\n 0: x\n")
                .is_none()
        );
    }
}
