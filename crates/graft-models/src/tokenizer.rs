//! The tokenizer of a model, read from `tokenizer.json`.

mod growth;

use std::{ops::Range, panic::catch_unwind, path::Path};

use graft_chat::Templates;
use graft_nn::{NnError, TokenEncoder};
use serde_json::Value;
use tokenizers::{PostProcessor, PostProcessorWrapper};

use crate::{ModelError, side_file};

/// Maximum size of a `tokenizer.json` in bytes; the largest published ones have 35 MB.
const LONGEST: u64 = 48 << 20;

/// A tokenizer with the special tokens of its model.
pub struct Tokenizer {
    /// Without its post-processor, which may trim offsets: the range of a token must include all
    /// its characters.
    inner: tokenizers::Tokenizer,
    post_processor: Option<PostProcessorWrapper>,
    /// Special tokens that the post-processor adds before and after a text.
    prefix: Vec<u32>,
    suffix: Vec<u32>,
    eos: Vec<u32>,
    vocab: usize,
    max_length: Option<usize>,
    templates: Templates,
}

impl Tokenizer {
    /// A tokenizer with the ids that end a text; the first one ends a completion in training.
    ///
    /// The special tokens before and after a text are those of the post-processor (its template),
    /// as in `AutoTokenizer`. If `eos` is empty, the last special token after a text ends it.
    /// Truncation and padding of the file are disabled.
    pub fn new(mut inner: tokenizers::Tokenizer, eos: Vec<u32>) -> Self {
        inner.with_padding(None);
        // It fails only for a stride beyond the maximum length, and none is set here.
        let _ = inner.with_truncation(None);
        let vocab = inner.get_vocab(true).values().max().map_or(0, |highest| *highest as usize + 1);
        let post_processor = inner.get_post_processor().cloned();
        inner.with_post_processor(None::<PostProcessorWrapper>);
        let (prefix, suffix) = post_processor
            .as_ref()
            .and_then(|processor| added(&inner, processor))
            .unwrap_or_default();
        let eos = if eos.is_empty() { suffix.last().copied().into_iter().collect() } else { eos };
        let (max_length, templates) = (None, Templates::none());
        Self { inner, post_processor, prefix, suffix, eos, vocab, max_length, templates }
    }

    /// Reads `tokenizer.json`, and from the configs in the same folder: `eos_token` and
    /// `model_max_length` of `tokenizer_config.json`, and the `eos_token_id` of
    /// `generation_config.json` or else `config.json`.
    ///
    /// # Errors
    /// [`ModelError::MissingFile`] and [`ModelError::Malformed`].
    pub fn from_folder(folder: &Path) -> Result<Self, ModelError> {
        let path = folder.join("tokenizer.json");
        if !path.is_file() {
            let hint = "write one with transformers: \
                        AutoTokenizer.from_pretrained(DIR).save_pretrained(DIR)"
                .to_owned();
            return Err(ModelError::MissingFile {
                folder: folder.to_owned(),
                file: "tokenizer.json".to_owned(),
                hint,
            });
        }
        let bytes = side_file::read(&path, LONGEST)?;
        let malformed = |problem| ModelError::Malformed { path: path.clone(), problem };
        growth::check(&bytes).map_err(malformed)?;
        // The library panics on some invalid files.
        let read = catch_unwind(|| tokenizers::Tokenizer::from_bytes(&bytes))
            .map_err(|_| malformed("not a valid tokenizer".to_owned()))?;
        let inner = read.map_err(|error| malformed(format!("not a valid tokenizer ({error})")))?;
        let eos = end_tokens(folder, &inner);
        let config = json(folder, "tokenizer_config.json").unwrap_or_default();
        let mut tokenizer = Self { max_length: max_length(&config), ..Self::new(inner, eos) };
        if let Some((prefix, suffix)) = requested(&config, &tokenizer.inner) {
            (tokenizer.prefix, tokenizer.suffix) = (prefix, suffix);
        }
        Ok(tokenizer)
    }

    /// Sets the chat templates.
    #[must_use]
    pub fn with_chat_templates(self, templates: Templates) -> Self {
        Self { templates, ..self }
    }

    /// Adds special tokens that the vocabulary lacks, and returns them with their ids.
    ///
    /// # Errors
    /// [`ModelError::Layer`] if the library refuses a token, such as an empty one.
    pub(crate) fn add(&mut self, tokens: &[String]) -> Result<Vec<(String, u32)>, ModelError> {
        let mut added = Vec::new();
        for token in tokens.iter().filter(|token| !token.is_empty()) {
            if self.inner.token_to_id(token).is_some() {
                continue;
            }
            let special = tokenizers::AddedToken::from(token.clone(), true).normalized(false);
            let _ = self.inner.add_special_tokens([special]).map_err(failed)?;
            added.extend(self.inner.token_to_id(token).map(|id| (token.clone(), id)));
        }
        if let Some(highest) = added.iter().map(|(_, id)| *id as usize + 1).max() {
            self.vocab = self.vocab.max(highest);
        }
        Ok(added)
    }

    /// The contents of a `tokenizer.json`.
    ///
    /// # Errors
    /// Returns an error if a part of the tokenizer cannot be serialized. Parts that were read from
    /// a file always can.
    pub fn to_json(&self) -> Result<String, ModelError> {
        let mut whole = self.inner.clone();
        whole.with_post_processor(self.post_processor.clone());
        whole.to_string(false).map_err(|error| ModelError::Layer(failed(error)))
    }

    /// Whether a token is a special one, which stands for no text, such as `<s>`.
    pub fn is_special(&self, id: u32) -> bool {
        self.inner.get_added_vocabulary().is_special_token(&self.token(id))
    }

    /// The text of a single token, special tokens included. A token that is only part of a
    /// character has its vocabulary entry.
    pub fn token_text(&self, id: u32) -> String {
        let entry = self.token(id);
        if entry.contains('\u{2581}') {
            return entry.replace('\u{2581}', " ");
        }
        let decoded = self.inner.decode(&[id], false).unwrap_or_default();
        if decoded.is_empty() || decoded.contains(char::REPLACEMENT_CHARACTER) {
            entry
        } else {
            decoded
        }
    }

    /// Whether a token ends a text.
    pub fn is_end(&self, id: u32) -> bool {
        self.eos.contains(&id)
    }

    /// The id of a vocabulary entry.
    #[cfg(test)]
    pub(crate) fn token_id(&self, token: &str) -> Option<u32> {
        self.inner.token_to_id(token)
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

    fn encode_with_offsets(&self, text: &str) -> graft_nn::Result<Vec<(u32, Range<usize>)>> {
        let encoding = self.inner.encode(text, false).map_err(failed)?;
        Ok(encoding
            .get_ids()
            .iter()
            .copied()
            .zip(encoding.get_offsets().iter().map(|(start, end)| *start..*end))
            .collect())
    }

    /// Special tokens are skipped.
    fn decode(&self, ids: &[u32]) -> graft_nn::Result<String> {
        self.inner.decode(ids, true).map_err(failed)
    }

    fn bos(&self) -> Option<u32> {
        self.prefix.first().copied()
    }

    fn eos(&self) -> Option<u32> {
        self.eos.first().copied()
    }

    fn prefix(&self) -> Vec<u32> {
        self.prefix.clone()
    }

    fn suffix(&self) -> Vec<u32> {
        self.suffix.clone()
    }

    fn max_length(&self) -> Option<usize> {
        self.max_length
    }

    fn chat_templates(&self) -> &Templates {
        &self.templates
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

/// The special tokens that a post-processor adds before and after a text.
fn added(
    inner: &tokenizers::Tokenizer,
    processor: &PostProcessorWrapper,
) -> Option<(Vec<u32>, Vec<u32>)> {
    let processed = processor.process(inner.encode_fast("a", false).ok()?, None, true).ok()?;
    let (ids, special) = (processed.get_ids(), processed.get_special_tokens_mask());
    let before = special.iter().take_while(|is_special| **is_special == 1).count();
    let after = special[before..].iter().rev().take_while(|is_special| **is_special == 1).count();
    Some((ids[..before].to_vec(), ids[ids.len() - after..].to_vec()))
}

/// The special tokens that `add_bos_token` and `add_eos_token` of the tokenizer's config request;
/// either key overrides the post-processor, as in transformers.
fn requested(config: &Value, inner: &tokenizers::Tokenizer) -> Option<(Vec<u32>, Vec<u32>)> {
    let flags =
        ["add_bos_token", "add_eos_token"].map(|key| config.get(key).and_then(Value::as_bool));
    let token = |flag: Option<bool>, key: &str| -> Vec<u32> {
        special_token(config, key, inner).filter(|_| flag == Some(true)).into_iter().collect()
    };
    flags
        .iter()
        .any(Option::is_some)
        .then(|| (token(flags[0], "bos_token"), token(flags[1], "eos_token")))
}

/// The id of a special token in a config, written as a string or as an object with `content`.
fn special_token(config: &Value, key: &str, inner: &tokenizers::Tokenizer) -> Option<u32> {
    let token = config.get(key)?;
    inner.token_to_id(token.as_str().or_else(|| token.get("content")?.as_str())?)
}

fn json(folder: &Path, file: &str) -> Option<Value> {
    side_file::json(&folder.join(file)).ok()
}

/// `model_max_length` of the tokenizer's config. transformers writes 1e30 for "unlimited".
fn max_length(config: &Value) -> Option<usize> {
    let length =
        config.get("model_max_length")?.as_u64().filter(|length| (1..1 << 32).contains(length))?;
    usize::try_from(length).ok()
}

/// The `eos_token` of the tokenizer, which ends a completion in TRL's trainer, then the ids that
/// end generation in transformers.
fn end_tokens(folder: &Path, inner: &tokenizers::Tokenizer) -> Vec<u32> {
    let by_text = |config: Value| special_token(&config, "eos_token", inner);
    let by_id = || {
        json(folder, "generation_config.json")
            .and_then(eos_ids)
            .or_else(|| json(folder, "config.json").and_then(eos_ids))
    };
    let mut ends: Vec<u32> =
        json(folder, "tokenizer_config.json").and_then(by_text).into_iter().collect();
    for id in by_id().unwrap_or_default() {
        if !ends.contains(&id) {
            ends.push(id);
        }
    }
    ends
}

/// `eos_token_id` of a config, a single id or a list.
fn eos_ids(config: Value) -> Option<Vec<u32>> {
    let id = |value: &Value| value.as_u64().and_then(|id| u32::try_from(id).ok());
    let found: Vec<_> = match config.get("eos_token_id")? {
        Value::Array(many) => many.iter().filter_map(id).collect(),
        one => id(one).into_iter().collect(),
    };
    (!found.is_empty()).then_some(found)
}

#[cfg(test)]
pub(crate) mod tests;
