//! Text to tokens and back, as the crates below the tokenizer's own need it.

use std::ops::Range;

use crate::Result;

/// A tokenizer. Implemented in graft-models; methods and the trainer see this trait only.
pub trait TokenEncoder: Send + Sync {
    /// Tokens of a text, without special tokens added.
    ///
    /// # Errors
    /// When the text cannot be encoded.
    fn encode(&self, text: &str) -> Result<Vec<u32>>;
    /// Tokens of a text as [`TokenEncoder::encode`] gives them, each with the bytes of the text that it covers. The tokens of one character cover all of
    /// its bytes.
    ///
    /// # Errors
    /// As [`TokenEncoder::encode`].
    fn encode_with_offsets(&self, text: &str) -> Result<Vec<(u32, Range<usize>)>>;
    /// Text of tokens.
    ///
    /// # Errors
    /// When a token is unknown.
    fn decode(&self, ids: &[u32]) -> Result<String>;
    /// The token that begins a text, where the model wants one.
    fn bos(&self) -> Option<u32>;
    /// The token that ends a completion in training.
    fn eos(&self) -> Option<u32>;
    /// Special tokens that the tokenizer adds before a text: `<s>`, `[CLS]`.
    fn prefix(&self) -> Vec<u32> {
        self.bos().into_iter().collect()
    }
    /// Special tokens that the tokenizer adds after a text: `[SEP]`, and `</s>` in some causal models.
    fn suffix(&self) -> Vec<u32> {
        Vec::new()
    }
    /// Longest text in tokens with the special ones, `model_max_length` of the tokenizer's config; `None` where it has no limit.
    fn max_length(&self) -> Option<usize> {
        None
    }
    /// Number of tokens.
    fn vocab(&self) -> usize;
    /// One token as it is written in the vocabulary.
    fn token(&self, id: u32) -> String;
}
