//! A panic as it stands on standard error: `thread 'main' (7) panicked at cell/src/lib.rs:132:1:` and the lines behind it.

use std::ops::Range;

/// Where evcxr writes the source of a cell, within the session's workspace.
const GENERATED: &str = "cell/src/lib.rs";

/// The last panic of a text.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Panic<'a> {
    /// What the text has of it, the note about backtraces included.
    pub(super) range: Range<usize>,
    /// What it says.
    pub(super) message: String,
    file: &'a str,
    line: usize,
}

/// Where a panic happened, as a reader of the cell knows it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Site {
    /// In this line of the cell, counted from 1.
    Cell(usize),
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
    let mut place = head.trim_start_matches(" panicked at ").trim_end().trim_end_matches(':').rsplitn(3, ':');
    let (_column, line, file) = (place.next()?, place.next()?, place.next()?);
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
    Some(Panic { range: start..end, message: message.join("\n"), file, line: line.parse().ok()? })
}

impl Panic<'_> {
    /// Where it happened, by the source that evcxr made of the cell and of those before it.
    pub(super) fn site(&self, cell: &str, generated: &str) -> Option<Site> {
        if self.file != GENERATED {
            return Some(Site::File(format!("{}:{}", self.file, self.line)));
        }
        let lines: Vec<&str> = generated.lines().map(str::trim).collect();
        let text = *lines.get(self.line.checked_sub(1)?)?;
        let same = |line: &str| !line.is_empty() && text.contains(line);
        // The same line may stand in the cell more than once; they come in the same order.
        let before = lines.get(..self.line - 1)?.iter().filter(|line| **line == text).count();
        let found: Vec<usize> = cell.lines().map(str::trim).enumerate().filter(|(_, line)| same(line)).map(|(index, _)| index + 1).collect();
        match found.get(before).or(found.last()) {
            Some(line) => Some(Site::Cell(*line)),
            None if text.is_empty() => None,
            None => Some(Site::Earlier(text.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STDERR: &str =
        "before\n\nthread 'main' (7) panicked at cell/src/lib.rs:3:1:\nindex out of bounds: the len is 3\nnote: run with `RUST_BACKTRACE=1`\nafter";

    #[test]
    fn a_panic_is_its_message_and_can_be_cut_out() {
        let panic = last(STDERR).unwrap();
        assert_eq!(panic.message, "index out of bounds: the len is 3");
        assert_eq!(format!("{}{}", &STDERR[..panic.range.start], &STDERR[panic.range.end..]), "before\nafter");
        assert!(last("nothing").is_none() && last(" panicked at ").is_none());
    }

    #[test]
    fn it_points_at_the_line_of_the_cell() {
        let panic = last(STDERR).unwrap();
        let generated = "fn evcxr() {\nlet v = 1;\nv[10];\n}";
        assert_eq!(panic.site("let v = 1;\nv[10];", generated), Some(Site::Cell(2)));
        assert_eq!(panic.site("f();", generated), Some(Site::Earlier("v[10];".to_owned())));
        assert_eq!(panic.site("v[10]", "a\nb\n(v[10]).evcxr_display();"), Some(Site::Cell(1)));
    }

    #[test]
    fn a_panic_of_a_crate_names_its_file() {
        let panic = last("thread 'main' panicked at /registry/rand/src/x.rs:9:2:\nboom\n").unwrap();
        assert_eq!(panic.site("f()", ""), Some(Site::File("/registry/rand/src/x.rs:9".to_owned())));
    }

    #[test]
    fn a_backtrace_that_was_asked_for_stays_where_it_is() {
        assert!(last("thread 'main' panicked at cell/src/lib.rs:1:1:\nboom\nstack backtrace:\n 0: x\n").is_none());
    }
}
