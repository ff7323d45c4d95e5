//! Sentinels in the child's streams: when a sentinel arrives, everything printed before it has
//! arrived too.

use graft_protocol::sentinel::{Sentinels, TAIL};

/// Maximum number of digits of a sentinel's number.
const MAX_DIGITS: usize = 20;

/// A part of a stream that has been split at its sentinels.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Bytes between sentinels.
    Bytes(Vec<u8>),
    /// The sentinel of that number.
    Sentinel(u64),
}

/// Removes the sentinels of one child from a stream that arrives in chunks.
pub(crate) struct SentinelFinder {
    sentinels: Sentinels,
    held: Vec<u8>,
}

impl SentinelFinder {
    /// A finder at the beginning of a stream.
    pub(crate) fn new(sentinels: Sentinels) -> Self {
        Self { sentinels, held: Vec::new() }
    }

    /// Splits the next chunk. Bytes that may begin a sentinel are held back until the next call.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Vec<Part> {
        self.held.extend_from_slice(bytes);
        let mut parts = Vec::new();
        let head = self.sentinels.head().len();
        while let Some(start) = find(&self.held, self.sentinels.head()) {
            let digits = self.held.get(start + head..).unwrap_or_default();
            match digits.iter().position(|byte| !byte.is_ascii_digit()) {
                None if digits.len() <= MAX_DIGITS => return self.take(start, parts),
                Some(end) if digits.get(end) == Some(&TAIL) => {
                    let number = std::str::from_utf8(digits.get(..end).unwrap_or_default())
                        .ok()
                        .and_then(|text| text.parse().ok());
                    let sentinel_end = start + head + end + 1;
                    push_bytes(&mut parts, self.held.drain(..sentinel_end).take(start).collect());
                    parts.extend(number.map(Part::Sentinel));
                }
                _ => push_bytes(&mut parts, self.held.drain(..start + head).collect()),
            }
        }
        let keep = suffix_overlap(&self.held, self.sentinels.head());
        let end = self.held.len() - keep;
        self.take(end, parts)
    }

    /// Whether bytes are held back.
    pub(crate) fn is_holding(&self) -> bool {
        !self.held.is_empty()
    }

    /// Returns the bytes held back, as ordinary text.
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

/// The first position of `needle` in `text`.
pub(crate) fn find(text: &[u8], needle: &[u8]) -> Option<usize> {
    memchr::memmem::find(text, needle)
}

/// Length of the longest suffix of `text` that is a proper prefix of `word`.
pub(crate) fn suffix_overlap(text: &[u8], word: &[u8]) -> usize {
    let most = word.len().saturating_sub(1).min(text.len());
    (1..=most)
        .rev()
        .find(|count| text.ends_with(word.get(..*count).unwrap_or_default()))
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sentinels() -> Sentinels {
        Sentinels::new("secret")
    }

    #[test]
    fn a_sentinel_is_found_wherever_the_stream_is_split() {
        let mut whole = b"before".to_vec();
        whole.extend(sentinels().bytes(1234));
        whole.extend(b"after");
        for cut in 0..=whole.len() {
            let mut finder = SentinelFinder::new(sentinels());
            let mut parts = finder.push(&whole[..cut]);
            parts.extend(finder.push(&whole[cut..]));
            let text: Vec<u8> = parts
                .iter()
                .flat_map(
                    |part| if let Part::Bytes(bytes) = part { bytes.clone() } else { vec![b'|'] },
                )
                .collect();
            assert_eq!(String::from_utf8(text).unwrap(), "before|after", "split at {cut}");
            assert!(parts.contains(&Part::Sentinel(1234)));
            assert!(!finder.is_holding());
        }
    }

    #[test]
    fn text_that_only_resembles_a_sentinel_passes() {
        let mut finder = SentinelFinder::new(sentinels());
        let texts = [
            [sentinels().head(), b"x\n"].concat(),
            Sentinels::new("guess").bytes(7),
            Sentinels::new("").bytes(7),
        ];
        for similar in texts {
            let parts = finder.push(&similar);
            assert!(parts.iter().all(|part| matches!(part, Part::Bytes(_))), "{parts:?}");
            let mut text: Vec<u8> = parts
                .into_iter()
                .flat_map(|part| if let Part::Bytes(bytes) = part { bytes } else { Vec::new() })
                .collect();
            text.extend(finder.release());
            assert_eq!(text, similar);
        }
    }

    #[test]
    fn ordinary_text_is_not_held_back() {
        let mut finder = SentinelFinder::new(sentinels());
        assert_eq!(finder.push(b"half a line"), [Part::Bytes(b"half a line".to_vec())]);
        assert!(!finder.is_holding());
    }
}
