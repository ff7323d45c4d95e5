//! Finds the panic report of the standard library in a cell's standard error:
//! `thread 'main' (7) panicked at cell/src/lib.rs:132:1:` and the lines after it.

use std::ops::Range;

/// What follows the name of the thread.
pub(crate) const PANICKED: &str = " panicked at ";

/// A panic report.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct PanicReport<'a> {
    /// Its range in the text, including the note about backtraces.
    pub(crate) range: Range<usize>,
    /// The message of the panic.
    pub(crate) message: String,
    /// The file of the panic.
    pub(crate) file: &'a str,
    /// Its line, from 1.
    pub(crate) line: usize,
    /// Its column in characters, from 1.
    pub(crate) column: usize,
}

/// Finds the last panic report. A report with a backtrace is not returned, so that it is shown
/// unchanged: the user has asked for it.
pub(crate) fn last(text: &str) -> Option<PanicReport<'_>> {
    let at = text.rfind(PANICKED)?;
    let mut start = text.get(..at)?.rfind('\n').map_or(0, |end| end + 1);
    // The panic hook prints an empty line first.
    if text.get(..start).is_some_and(|before| before.ends_with("\n\n") || before == "\n") {
        start -= 1;
    }
    let mut end = at;
    let mut lines = text.get(at..)?.split_inclusive('\n');
    let head = lines.next()?;
    end += head.len();
    let (file, line, column) = parse_location(head.trim_start_matches(PANICKED))?;
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
    Some(PanicReport { range: start..end, message: message.join("\n"), file, line, column })
}

/// Replaces the locations of all panic reports for which `describe` returns a text, given file,
/// line and column.
pub(crate) fn replace_locations(
    text: &str,
    describe: impl Fn(&str, usize, usize) -> Option<String>,
) -> String {
    let mut replaced = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(PANICKED) {
        replaced.push_str(before);
        let location = after.lines().next().unwrap_or_default();
        let description =
            parse_location(location).and_then(|(file, line, column)| describe(file, line, column));
        match description {
            Some(description) => replaced.push_str(&format!(" panicked {description}:")),
            None => replaced.extend([PANICKED, location]),
        }
        rest = after.get(location.len()..).unwrap_or_default();
    }
    replaced + rest
}

/// File, line and column of `FILE:LINE:COLUMN:`. A cell can print text that only looks like a
/// report; both numbers start at 1.
fn parse_location(text: &str) -> Option<(&str, usize, usize)> {
    let mut parts = text.trim_end().trim_end_matches(':').rsplitn(3, ':');
    let mut number = || parts.next()?.parse::<usize>().ok().filter(|number| *number > 0);
    let column = number()?;
    let line = number()?;
    Some((parts.next()?, line, column))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_found_with_its_message_and_can_be_cut_out() {
        let stderr = "before\n\nthread 'main' (7) panicked at cell/src/lib.rs:3:1:\nindex out of bounds: the len is 3\nnote: run with `RUST_BACKTRACE=1`\nafter";
        let report = last(stderr).unwrap();
        assert_eq!(report.message, "index out of bounds: the len is 3");
        assert_eq!((report.file, report.line, report.column), ("cell/src/lib.rs", 3, 1));
        assert_eq!(
            format!("{}{}", &stderr[..report.range.start], &stderr[report.range.end..]),
            "before\nafter"
        );
        assert!(last("nothing").is_none() && last(" panicked at ").is_none());
        assert!(last("thread 'main' panicked at cell/src/lib.rs:0:0:\nforged\n").is_none());
    }

    #[test]
    fn described_locations_are_replaced_and_others_stay() {
        let text = "a\nthread 'x' (7) panicked at cell/src/lib.rs:3:1:\nboom\nthread 'y' panicked at /r/x.rs:9:2:\n panicked at the disco";
        let describe = |file: &str, line, column| {
            file.starts_with("cell").then(|| format!("in line {line}, column {column}"))
        };
        assert_eq!(
            replace_locations(text, describe),
            "a\nthread 'x' (7) panicked in line 3, column 1:\nboom\nthread 'y' panicked at /r/x.rs:9:2:\n panicked at the disco"
        );
    }

    #[test]
    fn a_report_with_a_backtrace_stays_in_the_text() {
        assert!(
            last("thread 'main' panicked at cell/src/lib.rs:1:1:\nboom\nstack backtrace:\n 0: x\n")
                .is_none()
        );
    }
}
