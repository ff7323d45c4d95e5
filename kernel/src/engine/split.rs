//! Tells evcxr's control lines from what the user's code prints.
//!
//! evcxr compares whole lines, so that text without a line end in front of a control line would hang its cell. Here text is passed on
//! at once, whole line or not, and a control line is recognised wherever it begins.

use super::marker::{find, suffix_that_begins};

/// What every control line begins with.
const HEAD: &[u8] = b"EVCXR_";
/// Control lines without arguments.
const COMPLETE: &[u8] = b"EVCXR_EXECUTION_COMPLETE";
const PANIC: &[u8] = b"EVCXR_PANIC_NOTIFICATION";
const ERROR: &[u8] = b"EVCXR_ERROR_OCCURRED";
const END_CONTENT: &[u8] = b"EVCXR_END_CONTENT";
/// Control lines with arguments.
const BEGIN_CONTENT: &[u8] = b"EVCXR_BEGIN_CONTENT ";
const CHANGED_TYPE: &[u8] = b"EVCXR_VARIABLE_CHANGED_TYPE:";
const INPUT: &[u8] = b"EVCXR_INPUT_REQUEST:";
const PASSWORD: &[u8] = b"EVCXR_INPUT_REQUEST_PASSWORD:";
const WITH_ARGUMENTS: [&[u8]; 4] = [BEGIN_CONTENT, CHANGED_TYPE, INPUT, PASSWORD];
const ALONE: [&[u8]; 4] = [COMPLETE, PANIC, ERROR, END_CONTENT];

/// A piece of the child's standard output.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// The user's text.
    Text(Vec<u8>),
    /// A line for evcxr, with its line end.
    Control(Vec<u8>),
}

/// What a control line says to the host itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// The cell is through.
    Complete,
    /// It panicked.
    Panicked,
    /// A `?` ended it.
    Failed,
    /// Anything else.
    Other,
}

/// The meaning of a control line.
pub(super) fn meaning(line: &[u8]) -> Meaning {
    match line.trim_ascii_end() {
        COMPLETE => Meaning::Complete,
        PANIC => Meaning::Panicked,
        ERROR => Meaning::Failed,
        _ => Meaning::Other,
    }
}

/// Splits a stream that arrives in pieces.
#[derive(Default)]
pub(super) struct Splitter {
    held: Vec<u8>,
    in_content: bool,
}

impl Splitter {
    /// Splits the next piece; what may become a control line is held back.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Vec<Piece> {
        self.held.extend_from_slice(bytes);
        let mut pieces = Vec::new();
        while self.step(&mut pieces) {}
        pieces
    }

    /// Whether text is held back that [`Self::release`] may let go.
    pub(super) fn is_holding(&self) -> bool {
        !self.in_content && !self.held.is_empty()
    }

    /// Gives up waiting for the rest of what only began like a control line.
    pub(super) fn release(&mut self) -> Option<Piece> {
        if self.is_holding() && !self.held.starts_with(HEAD) { Some(Piece::Text(std::mem::take(&mut self.held))) } else { None }
    }

    /// Takes one piece off the front; false when more bytes are needed.
    fn step(&mut self, pieces: &mut Vec<Piece>) -> bool {
        if self.in_content {
            return self.content_line(pieces);
        }
        let Some(start) = find(&self.held, HEAD) else {
            let end = self.held.len() - suffix_that_begins(&self.held, HEAD);
            self.text(end, pieces);
            return false;
        };
        self.text(start, pieces);
        match self.held.iter().position(|byte| *byte == b'\n') {
            Some(end) if is_control(self.held.get(..end).unwrap_or_default()) => {
                let line: Vec<u8> = self.held.drain(..=end).collect();
                self.in_content = line.starts_with(BEGIN_CONTENT);
                pieces.push(Piece::Control(line));
                true
            }
            None if may_become_control(&self.held) => false,
            _ => {
                self.text(HEAD.len(), pieces);
                true
            }
        }
    }

    /// Passes one whole line of a content block on to evcxr.
    fn content_line(&mut self, pieces: &mut Vec<Piece>) -> bool {
        let Some(end) = self.held.iter().position(|byte| *byte == b'\n') else { return false };
        let line: Vec<u8> = self.held.drain(..=end).collect();
        let trimmed = line.strip_suffix(b"\n").unwrap_or(&line);
        for last in [END_CONTENT, PANIC] {
            if let Some(before) = trimmed.strip_suffix(last) {
                self.in_content = false;
                if !before.is_empty() {
                    // Content without a line end: evcxr would miss the end, and wait for ever.
                    pieces.push(Piece::Control([before, b"\n"].concat()));
                    pieces.push(Piece::Control([last, b"\n"].concat()));
                    return true;
                }
            }
        }
        pieces.push(Piece::Control(line));
        true
    }

    fn text(&mut self, end: usize, pieces: &mut Vec<Piece>) {
        if end > 0 {
            pieces.push(Piece::Text(self.held.drain(..end).collect()));
        }
    }
}

fn is_control(line: &[u8]) -> bool {
    ALONE.contains(&line)
        || WITH_ARGUMENTS
            .iter()
            .any(|word| line.len() > word.len() && line.starts_with(word) && (*word != BEGIN_CONTENT || !line[word.len()..].contains(&b' ')))
        || line == INPUT
        || line == PASSWORD
}

fn may_become_control(line: &[u8]) -> bool {
    let is_beginning = |word: &&[u8]| word.starts_with(line);
    ALONE.iter().any(is_beginning) || WITH_ARGUMENTS.iter().any(|word| is_beginning(word) || (line.starts_with(word) && line.len() < 4096))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Text as it is, control lines between angle brackets.
    fn split_at(text: &[u8], cut: usize) -> String {
        let mut splitter = Splitter::default();
        let mut pieces = splitter.push(&text[..cut]);
        pieces.extend(splitter.push(&text[cut..]));
        pieces.extend(splitter.release());
        let mut shown = String::new();
        for piece in pieces {
            match piece {
                Piece::Text(bytes) => shown.push_str(&String::from_utf8(bytes).unwrap()),
                Piece::Control(bytes) => shown.push_str(&format!("<{}>", String::from_utf8(bytes).unwrap().trim_end())),
            }
        }
        shown
    }

    fn check(text: &str, wanted: &str) {
        for cut in 0..=text.len() {
            assert_eq!(split_at(text.as_bytes(), cut), wanted, "cut at {cut}");
        }
    }

    #[test]
    fn a_control_line_is_found_behind_text_without_a_line_end() {
        check("50 %EVCXR_EXECUTION_COMPLETE\n", "50 %<EVCXR_EXECUTION_COMPLETE>");
        check("a\nEVCXR_PANIC_NOTIFICATION\nb", "a\n<EVCXR_PANIC_NOTIFICATION>b");
    }

    #[test]
    fn text_about_control_lines_stays_text() {
        check("EVCXR_ is a prefix\n", "EVCXR_ is a prefix\n");
        check("EVCXR_EXECUTION_COMPLETE or not\n", "EVCXR_EXECUTION_COMPLETE or not\n");
        check("EVCXR_BEGIN_CONTENT of this\nx\n", "EVCXR_BEGIN_CONTENT of this\nx\n");
    }

    #[test]
    fn a_content_block_goes_to_evcxr_whole() {
        check(
            "x\nEVCXR_BEGIN_CONTENT text/html\n<b>EVCXR_</b>\n\nEVCXR_END_CONTENT\ny",
            "x\n<EVCXR_BEGIN_CONTENT text/html><<b>EVCXR_</b>><><EVCXR_END_CONTENT>y",
        );
    }

    #[test]
    fn content_without_a_last_line_end_still_ends() {
        check("EVCXR_BEGIN_CONTENT text/plain\nabcEVCXR_END_CONTENT\nz", "<EVCXR_BEGIN_CONTENT text/plain><abc><EVCXR_END_CONTENT>z");
    }

    #[test]
    fn a_prompt_reaches_evcxr() {
        check("EVCXR_INPUT_REQUEST:Name? \n", "<EVCXR_INPUT_REQUEST:Name?>");
        check("EVCXR_INPUT_REQUEST_PASSWORD:\n", "<EVCXR_INPUT_REQUEST_PASSWORD:>");
    }

    #[test]
    fn partial_text_is_passed_on_at_once() {
        let mut splitter = Splitter::default();
        assert_eq!(splitter.push(b"50 %"), [Piece::Text(b"50 %".to_vec())]);
        assert!(!splitter.is_holding());
        assert_eq!(splitter.push(b"E"), []);
        assert_eq!(splitter.release(), Some(Piece::Text(b"E".to_vec())));
    }

    #[test]
    fn meanings_are_told_apart() {
        assert_eq!(meaning(b"EVCXR_EXECUTION_COMPLETE\n"), Meaning::Complete);
        assert_eq!(meaning(b"EVCXR_PANIC_NOTIFICATION\n"), Meaning::Panicked);
        assert_eq!(meaning(b"EVCXR_ERROR_OCCURRED\n"), Meaning::Failed);
        assert_eq!(meaning(b"EVCXR_INPUT_REQUEST:x\n"), Meaning::Other);
    }
}
