//! Texts that share their memory: a million short examples would otherwise be a million
//! allocations, each with an overhead as large as a short text.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::sync::Arc;

/// Bytes after which [`TextChunk`] is full.
const FULL: usize = 1 << 20;

/// A string that is a part of a larger, shared one; cheap to clone.
#[derive(Clone)]
pub struct Text {
    chunk: Arc<String>,
    begin: u32,
    length: u32,
}

/// A part of the open chunk of a [`TextChunk`].
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Span {
    begin: u32,
    length: u32,
}

/// A string under construction that becomes the memory of many [`Text`]s.
#[derive(Debug, Default)]
pub(crate) struct TextChunk {
    open: String,
}

impl TextChunk {
    /// Appends the parts of one text.
    pub(crate) fn add(&mut self, parts: &[&str]) -> Span {
        let begin = self.open.len();
        parts.iter().for_each(|part| self.open.push_str(part));
        Span { begin: small(begin), length: small(self.open.len() - begin) }
    }

    /// Whether the next texts should get a new chunk.
    pub(crate) fn is_full(&self) -> bool {
        self.open.len() >= FULL
    }

    /// Ends the chunk, whose spans can become texts.
    pub(crate) fn close(&mut self) -> Arc<String> {
        let mut chunk = std::mem::take(&mut self.open);
        self.open.reserve(FULL + FULL / 8);
        chunk.shrink_to_fit();
        Arc::new(chunk)
    }
}

impl Span {
    /// The text of this span in its chunk.
    pub(crate) fn text(self, chunk: &Arc<String>) -> Text {
        Text { chunk: chunk.clone(), begin: self.begin, length: self.length }
    }
}

fn small(count: usize) -> u32 {
    u32::try_from(count).expect("invariant: a chunk is full long before 4 GiB")
}

impl Text {
    /// The string.
    pub fn as_str(&self) -> &str {
        let begin = self.begin as usize;
        &self.chunk[begin..begin + self.length as usize]
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<str> for Text {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl Default for Text {
    fn default() -> Self {
        Self::from(String::new())
    }
}

impl From<String> for Text {
    /// # Panics
    /// When the string has 4 GiB or more.
    fn from(text: String) -> Self {
        let length = small(text.len());
        Self { chunk: Arc::new(text), begin: 0, length }
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self::from(text.to_owned())
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Text {}

impl PartialEq<str> for Text {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for Text {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl Hash for Text {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.as_str(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_texts_of_a_chunk_are_its_parts() {
        let mut chunk = TextChunk::default();
        let (one, other) = (chunk.add(&["Grü", "ße"]), chunk.add(&["日本"]));
        let memory = chunk.close();
        assert_eq!((one.text(&memory).as_str(), other.text(&memory).as_str()), ("Grüße", "日本"));
        let next = chunk.add(&["new"]);
        assert_eq!(next.text(&chunk.close()), "new");
    }
}
