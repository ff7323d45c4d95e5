//! The tokenizer interface for crates that do not depend on graft-models.

use std::ops::Range;

use graft_chat::Templates;

use crate::Result;

/// The templates of a tokenizer that has none.
static NO_TEMPLATES: Templates = Templates::none();

/// A tokenizer. It is implemented in graft-models; methods and the trainer use only this trait.
pub trait TokenEncoder: Send + Sync {
    /// The tokens of a text, without special tokens.
    ///
    /// # Errors
    /// Returns an error if the text cannot be encoded.
    fn encode(&self, text: &str) -> Result<Vec<u32>>;
    /// The tokens of [`TokenEncoder::encode`] with the byte range of the text that each covers. If
    /// several tokens encode one character, each covers all of its bytes.
    ///
    /// # Errors
    /// The errors of [`TokenEncoder::encode`].
    fn encode_with_offsets(&self, text: &str) -> Result<Vec<(u32, Range<usize>)>>;
    /// The text of tokens.
    ///
    /// # Errors
    /// Returns an error if a token is unknown.
    fn decode(&self, ids: &[u32]) -> Result<String>;
    /// The token that begins a text, if the model uses one.
    fn bos(&self) -> Option<u32>;
    /// The token that ends a completion in training.
    fn eos(&self) -> Option<u32>;
    /// Special tokens that the tokenizer adds before a text: `<s>`, `[CLS]`.
    fn prefix(&self) -> Vec<u32> {
        self.bos().into_iter().collect()
    }
    /// Special tokens that the tokenizer adds after a text: `[SEP]`, and `</s>` in some causal
    /// models.
    fn suffix(&self) -> Vec<u32> {
        Vec::new()
    }
    /// Maximum number of tokens, special tokens included: `model_max_length` of the tokenizer's
    /// config. `None` if unlimited.
    fn max_length(&self) -> Option<usize> {
        None
    }
    /// The chat templates of the tokenizer, with its special tokens.
    fn chat_templates(&self) -> &Templates {
        &NO_TEMPLATES
    }
    /// Size of the vocabulary.
    fn vocab(&self) -> usize;
    /// The vocabulary entry of a token.
    fn token(&self, id: u32) -> String;
}
