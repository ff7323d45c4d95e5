//! Plain text: an example is a line, a paragraph between blank lines, or a piece of running text.

use super::DataError;
use super::collect::{Collector, Flow};
use super::lines::{Lines, MOST_EXAMPLE};
use super::options::TextUnit;
use super::place::Place;

/// Characters of a piece of running text: about 500 tokens of English.
const PIECE: usize = 2000;

/// The unit of a text without a choice of the user: paragraphs if its start has blank lines.
pub(crate) fn unit(head: &str) -> TextUnit {
    let is_blank = |line: &str| line.trim().is_empty();
    if head.trim().lines().any(is_blank) { TextUnit::Paragraphs } else { TextUnit::Lines }
}

impl TextUnit {
    /// The name and the other choices, for the report.
    pub(crate) fn described(self) -> &'static str {
        match self {
            Self::Lines => "txt, one example per line (text=paragraphs or text=running changes it)",
            Self::Paragraphs => {
                "txt, one example per paragraph between blank lines (text=lines or text=running changes it)"
            }
            Self::Running => "txt, running text in pieces of about 2,000 characters",
        }
    }
}

/// Reads plain text into `collector`.
pub(crate) fn parse(
    lines: &mut Lines<'_>,
    unit: TextUnit,
    collector: &mut Collector<'_>,
) -> Result<(), DataError> {
    match unit {
        TextUnit::Lines => each_line(lines, collector),
        TextUnit::Paragraphs => paragraphs(lines, collector),
        TextUnit::Running => running(lines, collector),
    }
}

/// The next line without spaces at its end. A bad line is skipped if the user asked for it.
fn next(lines: &mut Lines<'_>, collector: &mut Collector<'_>) -> Result<Option<String>, DataError> {
    loop {
        match lines.next() {
            Ok(line) => return Ok(line.map(|line| line.trim_end().to_owned())),
            Err(error) => {
                let _: Flow = collector.bad(error)?;
            }
        }
    }
}

fn each_line(lines: &mut Lines<'_>, collector: &mut Collector<'_>) -> Result<(), DataError> {
    while let Some(line) = next(lines, collector)? {
        if line.trim().is_empty() {
            continue;
        }
        if collector.text(Place::Line(lines.number()), &line)?.is_break() {
            return Ok(());
        }
    }
    Ok(())
}

fn paragraphs(lines: &mut Lines<'_>, collector: &mut Collector<'_>) -> Result<(), DataError> {
    let mut passage = String::new();
    let mut begin = 1;
    loop {
        let line = next(lines, collector)?;
        match &line {
            Some(line) if !line.is_empty() => {
                if passage.is_empty() {
                    begin = lines.number();
                } else {
                    passage.push('\n');
                }
                passage.push_str(line);
            }
            _ if !passage.is_empty() => {
                let flow = collector.text(Place::Line(begin), &passage)?;
                passage.clear();
                if flow.is_break() {
                    return Ok(());
                }
            }
            _ => {}
        }
        if line.is_none() {
            return Ok(());
        }
        if passage.len() > MOST_EXAMPLE {
            return Err(DataError::LongParagraph {
                source_name: lines.name().to_owned(),
                place: Place::Line(begin),
                most: MOST_EXAMPLE,
            });
        }
    }
}

/// Cuts the text into pieces at the ends of lines, and long lines between words.
fn running(lines: &mut Lines<'_>, collector: &mut Collector<'_>) -> Result<(), DataError> {
    let mut piece = String::new();
    let mut begin = 1;
    while let Some(line) = next(lines, collector)? {
        if !piece.is_empty() && piece.len() + line.len() > PIECE {
            if add(collector, begin, &piece)?.is_break() {
                return Ok(());
            }
            piece.clear();
        }
        if piece.is_empty() {
            begin = lines.number();
        } else {
            piece.push('\n');
        }
        piece.push_str(&line);
        while let Some(end) = cut(&piece) {
            if add(collector, begin, &piece[..end])?.is_break() {
                return Ok(());
            }
            piece.drain(..end);
        }
    }
    add(collector, begin, &piece).map(drop)
}

fn add(collector: &mut Collector<'_>, begin: usize, piece: &str) -> Result<Flow, DataError> {
    let piece = piece.trim_matches('\n');
    if piece.trim().is_empty() {
        return Ok(Flow::Continue(()));
    }
    collector.text(Place::Line(begin), piece)
}

/// Where to cut a text that is longer than a piece: before its last word that still fits.
fn cut(text: &str) -> Option<usize> {
    if text.len() <= PIECE {
        return None;
    }
    let mut end = PIECE;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let word = text[..end].rfind(char::is_whitespace).filter(|at| *at > PIECE / 2);
    Some(word.map_or(end, |at| at + text[at..].chars().next().map_or(1, char::len_utf8)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blank_lines_between_texts_make_paragraphs() {
        assert_eq!(unit("one\ntwo\n\nthree\n"), TextUnit::Paragraphs);
        assert_eq!(unit("\none\ntwo\n\n"), TextUnit::Lines);
        assert_eq!(unit("one\n"), TextUnit::Lines);
    }

    #[test]
    fn a_long_line_is_cut_between_words_and_nothing_is_lost() {
        let text = "wörd ".repeat(1000);
        let (mut rest, mut pieces) = (text.as_str(), Vec::new());
        while let Some(end) = cut(rest) {
            pieces.push(&rest[..end]);
            rest = &rest[end..];
        }
        pieces.push(rest);
        assert!(pieces.iter().all(|piece| piece.len() <= PIECE && piece.starts_with("wörd")));
        assert_eq!(pieces.concat(), text);
        assert!(cut(&"ü".repeat(3000)).is_some_and(|end| end == PIECE));
    }
}
