//! Finds the panic report of the standard library in a cell's standard error:
//! `thread 'main' (7) panicked at cell/src/lib.rs:132:1:` and the lines after it.

use std::ops::Range;

/// What follows the name of the thread.
const PANICKED: &str = " panicked at ";

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
    let mut place =
        head.trim_start_matches(PANICKED).trim_end().trim_end_matches(':').rsplitn(3, ':');
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
    // A cell can print text that only looks like a report; both numbers start at 1.
    let count = |text: &str| text.parse::<usize>().ok().filter(|number| *number > 0);
    Some(PanicReport {
        range: start..end,
        message: message.join("\n"),
        file,
        line: count(line)?,
        column: count(column)?,
    })
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
    fn a_report_with_a_backtrace_stays_in_the_text() {
        assert!(
            last("thread 'main' panicked at cell/src/lib.rs:1:1:\nboom\nstack backtrace:\n 0: x\n")
                .is_none()
        );
    }
}
