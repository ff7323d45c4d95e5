//! Text to tokens and back, as the rooms below the tokenizer's own need it.

use crate::Result;

/// A tokenizer. Implemented in graft-models; methods and the trainer see this trait only.
pub trait TokenEncoder: Send + Sync {
    /// Tokens of a text, without special tokens added.
    ///
    /// # Errors
    /// When the text cannot be encoded.
    fn encode(&self, text: &str) -> Result<Vec<u32>>;
    /// Text of tokens.
    ///
    /// # Errors
    /// When a token is unknown.
    fn decode(&self, ids: &[u32]) -> Result<String>;
    /// The token that begins a text, where the model wants one.
    fn bos(&self) -> Option<u32>;
    /// The token that ends a text.
    fn eos(&self) -> Option<u32>;
    /// Number of tokens.
    fn vocab(&self) -> usize;
    /// One token as it is written in the vocabulary.
    fn token(&self, id: u32) -> String;
}
