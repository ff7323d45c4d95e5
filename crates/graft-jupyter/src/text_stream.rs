//! Decodes the bytes of stdout and stderr into text, in order and without splitting characters.

use graft_frontend::Stream;

/// Text that has not been published yet.
///
/// The order of the two streams is preserved: each change of stream starts a new piece.
#[derive(Debug, Default)]
pub(crate) struct TextStreams {
    pieces: Vec<(Stream, String)>,
    pending_bytes: usize,
    stdout_tail: Vec<u8>,
    stderr_tail: Vec<u8>,
}

impl TextStreams {
    /// Adds bytes. Invalid UTF-8 becomes U+FFFD; an incomplete character is held back until its
    /// remaining bytes arrive.
    pub(crate) fn push(&mut self, stream: Stream, bytes: &[u8]) {
        let tail = match stream {
            Stream::Stdout => &mut self.stdout_tail,
            Stream::Stderr => &mut self.stderr_tail,
        };
        tail.extend_from_slice(bytes);
        let keep = incomplete_tail(tail);
        let rest = tail.split_off(tail.len() - keep);
        let whole = std::mem::replace(tail, rest);
        self.add(stream, &String::from_utf8_lossy(&whole));
    }

    /// Flushes incomplete characters as U+FFFD at the end of a cell.
    pub(crate) fn close(&mut self) {
        for (stream, tail) in [
            (Stream::Stdout, std::mem::take(&mut self.stdout_tail)),
            (Stream::Stderr, std::mem::take(&mut self.stderr_tail)),
        ] {
            self.add(stream, &String::from_utf8_lossy(&tail));
        }
    }

    /// Whether all text has been published.
    pub(crate) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Size of the text in bytes.
    pub(crate) fn len(&self) -> usize {
        self.pending_bytes
    }

    /// Takes the text, in order.
    pub(crate) fn take(&mut self) -> Vec<(Stream, String)> {
        self.pending_bytes = 0;
        std::mem::take(&mut self.pieces)
    }

    fn add(&mut self, stream: Stream, text: &str) {
        if text.is_empty() {
            return;
        }
        self.pending_bytes += text.len();
        match self.pieces.last_mut() {
            Some((last, piece)) if *last == stream => piece.push_str(text),
            _ => self.pieces.push((stream, text.to_owned())),
        }
    }
}

/// Length of the incomplete character at the end of `bytes`.
fn incomplete_tail(bytes: &[u8]) -> usize {
    match std::str::from_utf8(bytes) {
        Err(error) if error.error_len().is_none() => bytes.len() - error.valid_up_to(),
        Err(_) => match String::from_utf8_lossy(
            bytes.get(bytes.len().saturating_sub(3)..).unwrap_or_default(),
        )
        .ends_with('\u{FFFD}')
        {
            true => trailing_start(bytes),
            false => 0,
        },
        Ok(_) => 0,
    }
}

/// Like [`incomplete_tail`], for text with an earlier invalid byte, at which `from_utf8` stops.
fn trailing_start(bytes: &[u8]) -> usize {
    for (back, byte) in bytes.iter().rev().take(3).enumerate() {
        let width = match byte {
            0xC2..=0xDF => 2,
            0xE0..=0xEF => 3,
            0xF0..=0xF4 => 4,
            0x80..=0xBF => continue,
            _ => return 0,
        };
        return if back + 1 < width { back + 1 } else { 0 };
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_split_character_is_published_whole() {
        let mut streams = TextStreams::default();
        let bytes = "a😀b".as_bytes();
        streams.push(Stream::Stdout, &bytes[..3]);
        assert_eq!(streams.take(), vec![(Stream::Stdout, "a".to_owned())]);
        streams.push(Stream::Stdout, &bytes[3..]);
        assert_eq!(streams.take(), vec![(Stream::Stdout, "😀b".to_owned())]);
    }

    #[test]
    fn a_split_character_after_invalid_bytes_is_held_back() {
        let mut streams = TextStreams::default();
        streams.push(Stream::Stdout, b"\xFFx\xF0\x9F");
        assert_eq!(streams.take(), vec![(Stream::Stdout, "\u{FFFD}x".to_owned())]);
        streams.push(Stream::Stdout, b"\x98\x80");
        assert_eq!(streams.take(), vec![(Stream::Stdout, "😀".to_owned())]);
    }

    #[test]
    fn incomplete_characters_are_replaced_at_the_end() {
        let mut streams = TextStreams::default();
        streams.push(Stream::Stderr, b"\xE2\x82");
        assert!(streams.is_empty());
        streams.close();
        assert_eq!(streams.take(), vec![(Stream::Stderr, "\u{FFFD}".to_owned())]);
    }

    #[test]
    fn a_change_of_stream_starts_a_new_piece() {
        let mut streams = TextStreams::default();
        streams.push(Stream::Stdout, b"a");
        streams.push(Stream::Stdout, b"b");
        streams.push(Stream::Stderr, b"c");
        streams.push(Stream::Stdout, b"d");
        assert_eq!(streams.len(), 4);
        let pieces: Vec<_> = streams.take().into_iter().map(|(_, text)| text).collect();
        assert_eq!(pieces, ["ab", "c", "d"]);
    }
}
