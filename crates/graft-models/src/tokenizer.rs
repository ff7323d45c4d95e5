//! Text to tokens and back, by the `tokenizer.json` of the model.

use std::path::Path;

use graft_nn::{NnError, TokenEncoder};
use serde_json::Value;

use crate::ModelError;

/// A tokenizer with the special tokens that its model expects.
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    bos: Option<u32>,
    eos: Vec<u32>,
    vocab: usize,
}

impl Tokenizer {
    /// A tokenizer and the ids that end a text.
    ///
    /// What begins a text is what the tokenizer itself puts in front (its template), so that training and generation see what
    /// `AutoTokenizer` would give, and so is what ends one where `eos` is empty (BERT's `[SEP]`); truncation and padding that the file asks for are switched off.
    pub fn new(mut inner: tokenizers::Tokenizer, eos: Vec<u32>) -> Self {
        inner.with_padding(None);
        // Only a stride beyond the length is refused, and there is no length here.
        let _ = inner.with_truncation(None);
        let vocab = inner.get_vocab(true).values().max().map_or(0, |highest| *highest as usize + 1);
        let (bos, end) = template(&inner);
        let eos = if eos.is_empty() { end.into_iter().collect() } else { eos };
        Self { inner, bos, eos, vocab }
    }

    /// Reads `tokenizer.json`, and the ids that end a text from `generation_config.json`, `config.json` or `tokenizer_config.json`.
    ///
    /// # Errors
    /// [`ModelError::MissingFile`] and [`ModelError::Malformed`].
    pub fn from_folder(folder: &Path) -> Result<Self, ModelError> {
        let path = folder.join("tokenizer.json");
        if !path.is_file() {
            let hint = "write one with transformers: AutoTokenizer.from_pretrained(DIR).save_pretrained(DIR)".to_owned();
            return Err(ModelError::MissingFile { folder: folder.to_owned(), file: "tokenizer.json".to_owned(), hint });
        }
        let bytes = std::fs::read(&path).map_err(|source| ModelError::Io { action: "read", path: path.clone(), source })?;
        let inner = tokenizers::Tokenizer::from_bytes(&bytes)
            .map_err(|error| ModelError::Malformed { path: path.clone(), problem: format!("it is no tokenizer ({error})") })?;
        let eos = end_tokens(folder, &inner);
        Ok(Self::new(inner, eos))
    }

    /// The contents of a `tokenizer.json`.
    ///
    /// # Errors
    /// When a part of the tokenizer cannot be written, which no part that was read from a file does.
    pub fn to_json(&self) -> Result<String, ModelError> {
        self.inner.to_string(false).map_err(|error| ModelError::Layer(failed(error)))
    }

    /// Whether a token ends a text.
    pub fn is_end(&self, id: u32) -> bool {
        self.eos.contains(&id)
    }

    /// Ids that end a text; the first is [`TokenEncoder::eos`].
    pub fn ends(&self) -> &[u32] {
        &self.eos
    }
}

impl TokenEncoder for Tokenizer {
    fn encode(&self, text: &str) -> graft_nn::Result<Vec<u32>> {
        Ok(self.inner.encode_fast(text, false).map_err(failed)?.get_ids().to_vec())
    }

    /// Special tokens are left out.
    fn decode(&self, ids: &[u32]) -> graft_nn::Result<String> {
        self.inner.decode(ids, true).map_err(failed)
    }

    fn bos(&self) -> Option<u32> {
        self.bos
    }

    fn eos(&self) -> Option<u32> {
        self.eos.first().copied()
    }

    fn vocab(&self) -> usize {
        self.vocab
    }

    fn token(&self, id: u32) -> String {
        self.inner.id_to_token(id).unwrap_or_else(|| format!("<{id}>"))
    }
}

fn failed(error: tokenizers::Error) -> NnError {
    NnError::from(candle_core::Error::Msg(error.to_string()))
}

/// The one token that the template puts before a text, and the one behind it.
fn template(inner: &tokenizers::Tokenizer) -> (Option<u32>, Option<u32>) {
    let ids = |special: bool| inner.encode_fast("a", special).map(|encoding| encoding.get_ids().to_vec()).unwrap_or_default();
    let (with, without) = (ids(true), ids(false));
    let added = |with: Option<&u32>, without: Option<&u32>| with.filter(|id| without != Some(id)).copied();
    (added(with.first(), without.first()), added(with.last(), without.last()))
}

fn end_tokens(folder: &Path, inner: &tokenizers::Tokenizer) -> Vec<u32> {
    let read = |file: &str| -> Option<Value> { serde_json::from_slice(&std::fs::read(folder.join(file)).ok()?).ok() };
    let ids = |config: Value| -> Option<Vec<u32>> {
        let id = |value: &Value| value.as_u64().and_then(|id| u32::try_from(id).ok());
        let found: Vec<_> = match config.get("eos_token_id")? {
            Value::Array(many) => many.iter().filter_map(id).collect(),
            one => id(one).into_iter().collect(),
        };
        (!found.is_empty()).then_some(found)
    };
    let by_text = |config: Value| -> Option<Vec<u32>> {
        let token = config.get("eos_token")?;
        let text = token.as_str().or_else(|| token.get("content")?.as_str())?;
        Some(vec![inner.token_to_id(text)?])
    };
    read("generation_config.json")
        .and_then(ids)
        .or_else(|| read("config.json").and_then(ids))
        .or_else(|| read("tokenizer_config.json").and_then(by_text))
        .unwrap_or_default()
}

#[cfg(test)]
pub(crate) mod tests;
