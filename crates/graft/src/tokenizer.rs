//! The handle on a tokenizer.

use std::sync::Arc;

use graft_nn::TokenEncoder;

use crate::{Device, Result, Tensor};

/// Text to tokens and back.
#[derive(Clone)]
pub struct Tokenizer {
    tokenizer: Arc<graft_models::Tokenizer>,
    device: Device,
}

impl Tokenizer {
    pub(crate) fn new(tokenizer: Arc<graft_models::Tokenizer>, device: Device) -> Self {
        Self { tokenizer, device }
    }

    /// Tokens of a text.
    ///
    /// # Errors
    /// When the tokenizer cannot encode it.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        Ok(self.tokenizer.encode(text)?)
    }

    /// Tokens of a text as a tensor for [`crate::Model::logits`].
    ///
    /// # Shapes
    /// `(T)` of type `u32`
    /// # Errors
    /// As [`Tokenizer::encode`].
    pub fn tensor(&self, text: &str) -> Result<Tensor> {
        let ids = self.encode(text)?;
        Ok(Tensor::new(ids.as_slice(), &self.device)?) // (T)
    }

    /// Text of tokens.
    ///
    /// # Errors
    /// When a token is outside the vocabulary.
    pub fn decode(&self, ids: &[u32]) -> Result<String> {
        Ok(self.tokenizer.decode(ids)?)
    }

    /// Number of tokens.
    pub fn vocabulary(&self) -> usize {
        self.tokenizer.vocab()
    }

    /// One token as it is stored.
    pub fn token(&self, id: u32) -> String {
        self.tokenizer.token(id)
    }
}

impl std::fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "tokenizer of {} tokens", self.vocabulary())
    }
}
