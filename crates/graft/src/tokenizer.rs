//! The handle of a tokenizer.

use std::sync::Arc;

use graft_nn::TokenEncoder;

use crate::{Device, Result, Tensor};

/// Converts text to token ids and back.
///
/// # Examples
/// ```
/// use graft::prelude::*;
///
/// # fn main() -> graft::Result<()> {
/// let tokenizer = lab().load_model("tiny")?.tokenizer()?;
/// let ids = tokenizer.encode("a trait object")?;
/// assert_eq!(tokenizer.decode(&ids)?, "a trait object");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Tokenizer {
    tokenizer: Arc<graft_models::Tokenizer>,
    device: Device,
}

impl Tokenizer {
    pub(crate) fn new(tokenizer: Arc<graft_models::Tokenizer>, device: Device) -> Self {
        Self { tokenizer, device }
    }

    /// The token ids of a text.
    ///
    /// # Errors
    /// If the tokenizer cannot encode it.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        Ok(self.tokenizer.encode(text)?)
    }

    /// The token ids of a text as a tensor for [`Model::logits`](crate::Model::logits).
    ///
    /// # Shapes
    /// `(T)` of type `u32`
    /// # Errors
    /// As [`Tokenizer::encode`].
    pub fn tensor(&self, text: &str) -> Result<Tensor> {
        let ids = self.encode(text)?;
        Ok(Tensor::new(ids.as_slice(), &self.device)?) // (T)
    }

    /// The text of token ids.
    ///
    /// # Errors
    /// If an id is outside the vocabulary.
    pub fn decode(&self, ids: &[u32]) -> Result<String> {
        Ok(self.tokenizer.decode(ids)?)
    }

    /// Number of tokens in the vocabulary.
    pub fn vocabulary(&self) -> usize {
        self.tokenizer.vocab()
    }

    /// The token with this id, as it is stored in the vocabulary.
    pub fn token(&self, id: u32) -> String {
        self.tokenizer.token(id)
    }
}

impl std::fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "tokenizer of {} tokens", self.vocabulary())
    }
}
