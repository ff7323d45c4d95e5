//! Parses evcxr's conventions for rich output and input prompts in the standard output of cells.
//!
//! Any code may print these lines: `EVCXR_BEGIN_CONTENT MIME`, the content, `EVCXR_END_CONTENT`;
//! and `EVCXR_INPUT_REQUEST:PROMPT` of the crate `evcxr_input`, which then reads standard input.
//! They only affect the display; control messages of a cell use the link. Text is passed on at
//! once, even in the middle of a line.

use crate::sentinel::{find, suffix_overlap};

/// The common prefix of the lines.
const HEAD: &[u8] = b"EVCXR_";
const BEGIN_CONTENT: &[u8] = b"EVCXR_BEGIN_CONTENT ";
const END_CONTENT: &[u8] = b"EVCXR_END_CONTENT";
const INPUT: &[u8] = b"EVCXR_INPUT_REQUEST:";
const PASSWORD: &[u8] = b"EVCXR_INPUT_REQUEST_PASSWORD:";
const BEGINNINGS: [&[u8]; 3] = [BEGIN_CONTENT, INPUT, PASSWORD];
/// A longer line is text.
const MAX_LINE: usize = 4096;
/// Longer content without an end is text.
const MAX_CONTENT: usize = 256 << 20;

/// A part of the child's standard output.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ControlLine {
    /// Text.
    Text(Vec<u8>),
    /// A form of a rich display.
    Content(Content),
    /// The prompt for the next read of standard input.
    Prompt(Prompt),
}

/// One form of a rich display.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Content {
    /// Its MIME type.
    pub(crate) mime: String,
    /// The content; binary content is base64.
    pub(crate) text: String,
}

/// A prompt that the code announces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Prompt {
    /// The text to show.
    pub(crate) text: String,
    /// Whether the answer must not be echoed.
    pub(crate) password: bool,
    /// The line that announced it.
    pub(crate) line: Vec<u8>,
}

/// Parses a stream that arrives in chunks.
#[derive(Default)]
pub(crate) struct LineParser {
    held: Vec<u8>,
    content: Option<Open>,
}

/// Content whose end has not arrived yet.
struct Open {
    mime: String,
    /// Everything since its first line, as printed.
    printed: Vec<u8>,
    /// Start of the content in `printed`.
    start: usize,
}

impl LineParser {
    /// Parses the next chunk. Bytes that may begin a control line are held back.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Vec<ControlLine> {
        self.held.extend_from_slice(bytes);
        let mut parts = Vec::new();
        while self.step(&mut parts) {}
        parts
    }

    /// Whether text is held back.
    pub(crate) fn is_holding(&self) -> bool {
        self.content.is_none() && !self.held.is_empty()
    }

    /// Returns text held back that is only a part of the common prefix.
    pub(crate) fn release(&mut self) -> Option<ControlLine> {
        if self.is_holding() && !self.held.starts_with(HEAD) {
            Some(ControlLine::Text(std::mem::take(&mut self.held)))
        } else {
            None
        }
    }

    /// Returns everything held back at the end of a cell: an unfinished control line or content is
    /// text.
    pub(crate) fn end(&mut self) -> Option<ControlLine> {
        let mut text = self.content.take().map(|open| open.printed).unwrap_or_default();
        text.append(&mut self.held);
        (!text.is_empty()).then_some(ControlLine::Text(text))
    }

    /// Parses one part from the front; returns false if more bytes are needed.
    fn step(&mut self, parts: &mut Vec<ControlLine>) -> bool {
        if self.content.is_some() {
            return self.content_line(parts);
        }
        let Some(start) = find(&self.held, HEAD) else {
            let end = self.held.len() - suffix_overlap(&self.held, HEAD);
            self.text(end, parts);
            return false;
        };
        self.text(start, parts);
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
                parts.extend(
                    prompt(line.get(..end).unwrap_or_default())
                        .map(|prompt| ControlLine::Prompt(Prompt { line, ..prompt })),
                );
            }
            None if may_become_line(&self.held) => return false,
            _ => self.text(HEAD.len(), parts),
        }
        true
    }

    /// Parses one line of the content.
    fn content_line(&mut self, parts: &mut Vec<ControlLine>) -> bool {
        let Some(open) = &mut self.content else { return false };
        let Some(end) = self.held.iter().position(|byte| *byte == b'\n') else { return false };
        let line: Vec<u8> = self.held.drain(..=end).collect();
        // The end marker may follow the content without a line break.
        if let Some(last) = line.trim_ascii_end().strip_suffix(END_CONTENT) {
            open.printed.extend_from_slice(last);
            let text = String::from_utf8_lossy(open.printed.get(open.start..).unwrap_or_default());
            let text = text.trim_start_matches('\n');
            let content = Content {
                mime: std::mem::take(&mut open.mime),
                text: text.strip_suffix('\n').unwrap_or(text).to_owned(),
            };
            self.content = None;
            parts.push(ControlLine::Content(content));
            return true;
        }
        open.printed.extend_from_slice(&line);
        if open.printed.len() > MAX_CONTENT {
            parts.push(ControlLine::Text(std::mem::take(&mut open.printed)));
            self.content = None;
        }
        true
    }

    fn text(&mut self, end: usize, parts: &mut Vec<ControlLine>) {
        if end > 0 {
            parts.push(ControlLine::Text(self.held.drain(..end).collect()));
        }
    }
}

/// Whether a line begins rich output: the marker with exactly one word, the MIME type.
fn is_begin(line: &[u8]) -> bool {
    line.strip_prefix(BEGIN_CONTENT).is_some_and(|mime| !mime.is_empty() && !mime.contains(&b' '))
}

/// The prompt that a line announces.
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
        .any(|word| word.starts_with(line) || (line.starts_with(word) && line.len() < MAX_LINE))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(parts: impl IntoIterator<Item = ControlLine>) -> String {
        let part = |part| match part {
            ControlLine::Text(bytes) => bytes,
            ControlLine::Content(Content { mime, text }) => format!("<{mime}|{text}>").into_bytes(),
            ControlLine::Prompt(prompt) => {
                format!("<{}{}>", prompt.text, if prompt.password { "|password" } else { "" })
                    .into_bytes()
            }
        };
        String::from_utf8(parts.into_iter().flat_map(part).collect()).unwrap()
    }

    /// The parsed text, with rich output and prompts in angle brackets.
    fn parse_split_at(text: &[u8], cut: usize) -> String {
        let mut parser = LineParser::default();
        let mut parts = parser.push(&text[..cut]);
        parts.extend(parser.push(&text[cut..]));
        parts.extend(parser.end());
        shown(parts)
    }

    fn check(text: &str, wanted: &str) {
        for cut in 0..=text.len() {
            assert_eq!(parse_split_at(text.as_bytes(), cut), wanted, "split at {cut}");
        }
    }

    #[test]
    fn evcxrs_control_lines_are_text_when_a_cell_prints_them() {
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
    fn rich_output_is_parsed_with_all_its_lines() {
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
    fn unfinished_content_is_text_at_the_end_of_the_cell() {
        check("a\nEVCXR_BEGIN_CONTENT text/plain\nb\nc", "a\nEVCXR_BEGIN_CONTENT text/plain\nb\nc");
    }

    #[test]
    fn a_prompt_is_parsed_with_its_line() {
        check("EVCXR_INPUT_REQUEST:Name? \n", "<Name? >");
        check("EVCXR_INPUT_REQUEST_PASSWORD:\n", "<|password>");
        let mut parser = LineParser::default();
        let Some(ControlLine::Prompt(prompt)) = parser.push(b"EVCXR_INPUT_REQUEST:a\n").pop()
        else {
            panic!("no prompt")
        };
        assert_eq!(prompt.line, b"EVCXR_INPUT_REQUEST:a\n");
    }

    #[test]
    fn partial_text_is_passed_on_at_once() {
        let mut parser = LineParser::default();
        assert_eq!(parser.push(b"50 %"), [ControlLine::Text(b"50 %".to_vec())]);
        assert!(!parser.is_holding());
        assert_eq!(parser.push(b"E"), []);
        assert_eq!(parser.release(), Some(ControlLine::Text(b"E".to_vec())));
    }

    proptest::proptest! {
        /// Text without the two conventions is unchanged, however it is split.
        #[test]
        fn nothing_is_lost(words in proptest::collection::vec(proptest::sample::select(vec!["EVCXR_", "EXECUTION_COMPLETE", "PANIC_NOTIFICATION", "BEGIN_CONTENT", "END_CONTENT", "INPUT_REQUEST", " ", "\n", "x", "\x1e", "é"]), 0..40), cut in 0usize..200) {
            let text = words.concat();
            if !text.contains("BEGIN_CONTENT ") {
                let cut = cut.min(text.len());
                proptest::prop_assert_eq!(parse_split_at(text.as_bytes(), cut), text);
            }
        }
    }
}
