//! The tokenizer of the benchmarks.

use graft_nn::TokenEncoder;

/// A tokenizer with one token per byte.
pub(crate) struct ByteTokenizer;

impl TokenEncoder for ByteTokenizer {
    fn encode(&self, text: &str) -> graft_nn::Result<Vec<u32>> {
        Ok(text.bytes().map(u32::from).collect())
    }

    fn encode_with_offsets(
        &self,
        text: &str,
    ) -> graft_nn::Result<Vec<(u32, std::ops::Range<usize>)>> {
        Ok(text.bytes().enumerate().map(|(at, byte)| (u32::from(byte), at..at + 1)).collect())
    }

    fn decode(&self, ids: &[u32]) -> graft_nn::Result<String> {
        Ok(ids.iter().filter_map(|id| char::from_u32(*id)).collect())
    }

    fn bos(&self) -> Option<u32> {
        None
    }

    fn eos(&self) -> Option<u32> {
        Some(0)
    }

    fn vocab(&self) -> usize {
        256
    }

    fn token(&self, id: u32) -> String {
        self.decode(&[id]).unwrap_or_default()
    }
}
