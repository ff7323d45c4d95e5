//! Marks in the child's streams: all that was printed before a mark has arrived when the mark has.

use graft_protocol::mark::{Marks, TAIL};

/// More digits than a number can have.
const MOST_DIGITS: usize = 20;

/// A stream cut at its marks.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Bytes between marks.
    Bytes(Vec<u8>),
    /// The mark of that number.
    Mark(u64),
}

/// Takes the marks of one child out of a stream that arrives in pieces.
pub(crate) struct MarkFinder {
    marks: Marks,
    held: Vec<u8>,
}

impl MarkFinder {
    /// Nothing has arrived yet.
    pub(crate) fn new(marks: Marks) -> Self {
        Self { marks, held: Vec::new() }
    }

    /// Cuts the next piece; what may be the beginning of a mark is held back until the next one.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Vec<Part> {
        self.held.extend_from_slice(bytes);
        let mut parts = Vec::new();
        let head = self.marks.head().len();
        while let Some(start) = find(&self.held, self.marks.head()) {
            let digits = self.held.get(start + head..).unwrap_or_default();
            match digits.iter().position(|byte| !byte.is_ascii_digit()) {
                None if digits.len() <= MOST_DIGITS => return self.take(start, parts),
                Some(end) if digits.get(end) == Some(&TAIL) => {
                    let number = std::str::from_utf8(digits.get(..end).unwrap_or_default())
                        .ok()
                        .and_then(|text| text.parse().ok());
                    let mark_end = start + head + end + 1;
                    push_bytes(&mut parts, self.held.drain(..mark_end).take(start).collect());
                    parts.extend(number.map(Part::Mark));
                }
                _ => push_bytes(&mut parts, self.held.drain(..start + head).collect()),
            }
        }
        let keep = suffix_that_begins(&self.held, self.marks.head());
        let end = self.held.len() - keep;
        self.take(end, parts)
    }

    /// Whether something is held back.
    pub(crate) fn is_holding(&self) -> bool {
        !self.held.is_empty()
    }

    /// Gives up waiting: what is held back is ordinary text.
    pub(crate) fn release(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.held)
    }

    fn take(&mut self, end: usize, mut parts: Vec<Part>) -> Vec<Part> {
        push_bytes(&mut parts, self.held.drain(..end).collect());
        parts
    }
}

fn push_bytes(parts: &mut Vec<Part>, bytes: Vec<u8>) {
    if !bytes.is_empty() {
        parts.push(Part::Bytes(bytes));
    }
}

/// First place of `needle` in `text`.
pub(crate) fn find(text: &[u8], needle: &[u8]) -> Option<usize> {
    memchr::memmem::find(text, needle)
}

/// How many of the last bytes of `text` are a beginning of `word`, short of all of it.
pub(crate) fn suffix_that_begins(text: &[u8], word: &[u8]) -> usize {
    let most = word.len().saturating_sub(1).min(text.len());
    (1..=most)
        .rev()
        .find(|count| text.ends_with(word.get(..*count).unwrap_or_default()))
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marks() -> Marks {
        Marks::new("secret")
    }

    #[test]
    fn a_mark_is_found_wherever_the_stream_is_cut() {
        let mut whole = b"before".to_vec();
        whole.extend(marks().bytes(1234));
        whole.extend(b"after");
        for cut in 0..=whole.len() {
            let mut finder = MarkFinder::new(marks());
            let mut parts = finder.push(&whole[..cut]);
            parts.extend(finder.push(&whole[cut..]));
            let text: Vec<u8> = parts
                .iter()
                .flat_map(
                    |part| if let Part::Bytes(bytes) = part { bytes.clone() } else { vec![b'|'] },
                )
                .collect();
            assert_eq!(String::from_utf8(text).unwrap(), "before|after", "cut at {cut}");
            assert!(parts.contains(&Part::Mark(1234)));
            assert!(!finder.is_holding());
        }
    }

    #[test]
    fn text_that_only_looks_like_a_mark_passes() {
        let mut finder = MarkFinder::new(marks());
        let texts = [
            [marks().head(), b"x\n"].concat(),
            Marks::new("guess").bytes(7),
            Marks::new("").bytes(7),
        ];
        for looks_like_it in texts {
            let parts = finder.push(&looks_like_it);
            assert!(parts.iter().all(|part| matches!(part, Part::Bytes(_))), "{parts:?}");
            let mut text: Vec<u8> = parts
                .into_iter()
                .flat_map(|part| if let Part::Bytes(bytes) = part { bytes } else { Vec::new() })
                .collect();
            text.extend(finder.release());
            assert_eq!(text, looks_like_it);
        }
    }

    #[test]
    fn ordinary_text_is_never_held() {
        let mut finder = MarkFinder::new(marks());
        assert_eq!(finder.push(b"half a line"), [Part::Bytes(b"half a line".to_vec())]);
        assert!(!finder.is_holding());
    }
}
