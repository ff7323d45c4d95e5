//! Takes evcxr's conventions for rich output and for questions out of what the user's code prints.
//!
//! Both are lines that any code may print, and only show something: `EVCXR_BEGIN_CONTENT MIME`, the content, `EVCXR_END_CONTENT`; and
//! `EVCXR_INPUT_REQUEST:PROMPT` of the crate `evcxr_input`, which then reads standard input. What controls a cell does not come through
//! standard output. Text is passed on at once, whole line or not.

use super::sentinel::{find, suffix_that_begins};

/// What every such line begins with.
const HEAD: &[u8] = b"EVCXR_";
const BEGIN_CONTENT: &[u8] = b"EVCXR_BEGIN_CONTENT ";
const END_CONTENT: &[u8] = b"EVCXR_END_CONTENT";
const INPUT: &[u8] = b"EVCXR_INPUT_REQUEST:";
const PASSWORD: &[u8] = b"EVCXR_INPUT_REQUEST_PASSWORD:";
const BEGINNINGS: [&[u8]; 3] = [BEGIN_CONTENT, INPUT, PASSWORD];
/// A line that begins so and does not end within this is text.
const MOST_LINE: usize = 4096;
/// Content without an end is text beyond this.
const MOST_CONTENT: usize = 256 << 20;

/// A piece of the child's standard output.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// The user's text.
    Text(Vec<u8>),
    /// Rich output.
    Content(Content),
    /// What to show when the code reads standard input next.
    Prompt(Prompt),
}

/// One form of a display.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Content {
    /// Its MIME type.
    pub(crate) mime: String,
    /// As text; binary content is base64.
    pub(crate) text: String,
}

/// A question that the code announces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Prompt {
    /// What to show.
    pub(crate) text: String,
    /// Whether the answer must not be shown.
    pub(crate) password: bool,
    /// The line that announced it.
    pub(crate) line: Vec<u8>,
}

/// Splits a stream that arrives in pieces.
#[derive(Default)]
pub(crate) struct LineParser {
    held: Vec<u8>,
    content: Option<Open>,
}

/// Content that is being received.
struct Open {
    mime: String,
    /// Everything since its first line, as it was printed.
    printed: Vec<u8>,
    /// Where its content begins in `printed`.
    start: usize,
}

impl LineParser {
    /// Splits the next piece; what may become one of the lines is held back.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Vec<Piece> {
        self.held.extend_from_slice(bytes);
        let mut pieces = Vec::new();
        while self.step(&mut pieces) {}
        pieces
    }

    /// Whether text is held back that [`Self::release`] may let go.
    pub(crate) fn is_holding(&self) -> bool {
        self.content.is_none() && !self.held.is_empty()
    }

    /// Gives up waiting for the rest of what only began like one of the lines.
    pub(crate) fn release(&mut self) -> Option<Piece> {
        if self.is_holding() && !self.held.starts_with(HEAD) {
            Some(Piece::Text(std::mem::take(&mut self.held)))
        } else {
            None
        }
    }

    /// The cell is over: what it has begun and not ended is text, as it was printed.
    pub(crate) fn end(&mut self) -> Option<Piece> {
        let mut text = self.content.take().map(|open| open.printed).unwrap_or_default();
        text.append(&mut self.held);
        (!text.is_empty()).then_some(Piece::Text(text))
    }

    /// Takes one piece off the front; false when more bytes are needed.
    fn step(&mut self, pieces: &mut Vec<Piece>) -> bool {
        if self.content.is_some() {
            return self.content_line(pieces);
        }
        let Some(start) = find(&self.held, HEAD) else {
            let end = self.held.len() - suffix_that_begins(&self.held, HEAD);
            self.text(end, pieces);
            return false;
        };
        self.text(start, pieces);
        match self.held.iter().position(|byte| *byte == b'\n') {
            Some(end) if is_begin(self.held.get(..end).unwrap_or_default()) => {
                let line: Vec<u8> = self.held.drain(..=end).collect();
                let mime =
                    String::from_utf8_lossy(line.get(BEGIN_CONTENT.len()..end).unwrap_or_default())
                        .into_owned();
                self.content = Some(Open { mime, start: line.len(), printed: line });
            }
            Some(end) if prompt(self.held.get(..end).unwrap_or_default()).is_some() => {
                let line: Vec<u8> = self.held.drain(..=end).collect();
                pieces.extend(
                    prompt(line.get(..end).unwrap_or_default())
                        .map(|prompt| Piece::Prompt(Prompt { line, ..prompt })),
                );
            }
            None if may_become_line(&self.held) => return false,
            _ => self.text(HEAD.len(), pieces),
        }
        true
    }

    /// Takes one line of the content, which may be its last.
    fn content_line(&mut self, pieces: &mut Vec<Piece>) -> bool {
        let Some(open) = &mut self.content else { return false };
        let Some(end) = self.held.iter().position(|byte| *byte == b'\n') else { return false };
        let line: Vec<u8> = self.held.drain(..=end).collect();
        // Content without a last line end is ended too.
        if let Some(last) = line.trim_ascii_end().strip_suffix(END_CONTENT) {
            open.printed.extend_from_slice(last);
            let text = String::from_utf8_lossy(open.printed.get(open.start..).unwrap_or_default());
            let text = text.trim_start_matches('\n');
            let content = Content {
                mime: std::mem::take(&mut open.mime),
                text: text.strip_suffix('\n').unwrap_or(text).to_owned(),
            };
            self.content = None;
            pieces.push(Piece::Content(content));
            return true;
        }
        open.printed.extend_from_slice(&line);
        if open.printed.len() > MOST_CONTENT {
            pieces.push(Piece::Text(std::mem::take(&mut open.printed)));
            self.content = None;
        }
        true
    }

    fn text(&mut self, end: usize, pieces: &mut Vec<Piece>) {
        if end > 0 {
            pieces.push(Piece::Text(self.held.drain(..end).collect()));
        }
    }
}

/// Whether a line begins rich output: a MIME type and nothing else follows.
fn is_begin(line: &[u8]) -> bool {
    line.strip_prefix(BEGIN_CONTENT).is_some_and(|mime| !mime.is_empty() && !mime.contains(&b' '))
}

/// The question that a line announces.
fn prompt(line: &[u8]) -> Option<Prompt> {
    let (rest, password) = match (line.strip_prefix(INPUT), line.strip_prefix(PASSWORD)) {
        (Some(rest), _) => (rest, false),
        (None, Some(rest)) => (rest, true),
        (None, None) => return None,
    };
    Some(Prompt { text: String::from_utf8_lossy(rest).into_owned(), password, line: Vec::new() })
}

fn may_become_line(line: &[u8]) -> bool {
    BEGINNINGS
        .iter()
        .any(|word| word.starts_with(line) || (line.starts_with(word) && line.len() < MOST_LINE))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(pieces: impl IntoIterator<Item = Piece>) -> String {
        let piece = |piece| match piece {
            Piece::Text(bytes) => bytes,
            Piece::Content(Content { mime, text }) => format!("<{mime}|{text}>").into_bytes(),
            Piece::Prompt(prompt) => {
                format!("<{}{}>", prompt.text, if prompt.password { "|password" } else { "" })
                    .into_bytes()
            }
        };
        String::from_utf8(pieces.into_iter().flat_map(piece).collect()).unwrap()
    }

    /// Text as it is, rich output and questions between angle brackets.
    fn split_at(text: &[u8], cut: usize) -> String {
        let mut splitter = LineParser::default();
        let mut pieces = splitter.push(&text[..cut]);
        pieces.extend(splitter.push(&text[cut..]));
        pieces.extend(splitter.end());
        shown(pieces)
    }

    fn check(text: &str, wanted: &str) {
        for cut in 0..=text.len() {
            assert_eq!(split_at(text.as_bytes(), cut), wanted, "cut at {cut}");
        }
    }

    #[test]
    fn lines_that_control_evcxr_are_text_when_a_cell_prints_them() {
        for line in [
            "EVCXR_EXECUTION_COMPLETE",
            "EVCXR_PANIC_NOTIFICATION",
            "EVCXR_ERROR_OCCURRED",
            "EVCXR_VARIABLE_CHANGED_TYPE:x",
            "EVCXR_END_CONTENT",
            "EVCXR_",
            "EVCXR_EXECUTION_COMPLETE or not",
        ] {
            check(
                &format!("{line}\n50 %{line}\nEVCXR_{line}"),
                &format!("{line}\n50 %{line}\nEVCXR_{line}"),
            );
        }
        check("EVCXR_BEGIN_CONTENT of this\nx\n", "EVCXR_BEGIN_CONTENT of this\nx\n");
    }

    #[test]
    fn rich_output_is_taken_whole_with_its_lines() {
        check(
            "x\nEVCXR_BEGIN_CONTENT text/html\n<b>EVCXR_</b>\n\nb\nEVCXR_END_CONTENT\ny",
            "x\n<text/html|<b>EVCXR_</b>\n\nb>y",
        );
        check(
            "50 %EVCXR_BEGIN_CONTENT text/plain\nabcEVCXR_END_CONTENT\nz",
            "50 %<text/plain|abc>z",
        );
        check(
            "EVCXR_BEGIN_CONTENT a/b\nEVCXR_PANIC_NOTIFICATION\nEVCXR_END_CONTENT\n",
            "<a/b|EVCXR_PANIC_NOTIFICATION>",
        );
    }

    #[test]
    fn content_that_is_never_ended_is_text_when_the_cell_is_over() {
        check("a\nEVCXR_BEGIN_CONTENT text/plain\nb\nc", "a\nEVCXR_BEGIN_CONTENT text/plain\nb\nc");
    }

    #[test]
    fn a_prompt_is_taken_with_the_line_that_it_came_as() {
        check("EVCXR_INPUT_REQUEST:Name? \n", "<Name? >");
        check("EVCXR_INPUT_REQUEST_PASSWORD:\n", "<|password>");
        let mut splitter = LineParser::default();
        let Some(Piece::Prompt(prompt)) = splitter.push(b"EVCXR_INPUT_REQUEST:a\n").pop() else {
            panic!("no prompt")
        };
        assert_eq!(prompt.line, b"EVCXR_INPUT_REQUEST:a\n");
    }

    #[test]
    fn partial_text_is_passed_on_at_once() {
        let mut splitter = LineParser::default();
        assert_eq!(splitter.push(b"50 %"), [Piece::Text(b"50 %".to_vec())]);
        assert!(!splitter.is_holding());
        assert_eq!(splitter.push(b"E"), []);
        assert_eq!(splitter.release(), Some(Piece::Text(b"E".to_vec())));
    }

    proptest::proptest! {
        /// Text without the two conventions comes out as it went in, whatever it looks like and however it is cut.
        #[test]
        fn nothing_is_lost(words in proptest::collection::vec(proptest::sample::select(vec!["EVCXR_", "EXECUTION_COMPLETE", "PANIC_NOTIFICATION", "BEGIN_CONTENT", "END_CONTENT", "INPUT_REQUEST", " ", "\n", "x", "\x1e", "é"]), 0..40), cut in 0usize..200) {
            let text = words.concat();
            if !text.contains("BEGIN_CONTENT ") {
                let cut = cut.min(text.len());
                proptest::prop_assert_eq!(split_at(text.as_bytes(), cut), text);
            }
        }
    }
}
