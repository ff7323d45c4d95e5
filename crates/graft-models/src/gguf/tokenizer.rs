//! The tokenizer of a GGUF file.

use std::path::{Path, PathBuf};

use candle_core::quantized::{
    gguf_file::{Content, Value as Entry},
    tokenizer::TokenizerFromGguf,
};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;

use graft_nn::message::first_line;

use super::{Gguf, sentencepiece};
use crate::{ModelError, Tokenizer};

/// Supported pre-tokenizers: llama.cpp's names and candle's names.
const PRE_TOKENIZERS: [(&str, &str); 5] = [
    ("llama-bpe", "llama3"),
    ("smaug-bpe", "smaug-bpe"),
    ("llama3", "llama3"),
    ("qwen2", "qwen2"),
    (GPT2, GPT2),
];
const GPT2: &str = "gpt-2";

/// Reads the tokenizer of the file, or tokenizer.json in the same folder.
pub(super) fn read(file: &Gguf) -> Result<Tokenizer, ModelError> {
    match supported(file) {
        Some(candle) => embedded(file, candle),
        None if sentencepiece::is_contained(file) => {
            Ok(Tokenizer::new(sentencepiece::read(file)?, ends(file)))
        }
        None => from_folder(file, &file.text("tokenizer.ggml.pre").unwrap_or_default()),
    }
}

/// The folder of the tokenizer.json that is used instead, if the tokenizer of the file is not
/// supported.
pub(super) fn folder(file: &Gguf) -> Option<PathBuf> {
    let is_contained = supported(file).is_some() || sentencepiece::is_contained(file);
    (!is_contained).then(|| file.path.parent().unwrap_or(Path::new(".")).to_owned())
}

/// candle's name of the pre-tokenizer of the file, if it is supported.
fn supported(file: &Gguf) -> Option<&'static str> {
    let pre = file.text("tokenizer.ggml.pre").unwrap_or_default();
    let known = PRE_TOKENIZERS.into_iter().find(|(name, _)| *name == pre).map(|(_, candle)| candle);
    known.filter(|_| file.text("tokenizer.ggml.model").as_deref() == Some("gpt2"))
}

/// Reads a byte-level BPE tokenizer with candle.
fn embedded(file: &Gguf, pre: &str) -> Result<Tokenizer, ModelError> {
    let keys = file.content.metadata.iter().filter(|(key, _)| key.starts_with("tokenizer."));
    let mut metadata: std::collections::HashMap<_, _> =
        keys.map(|(key, value)| (key.clone(), value.clone())).collect();
    metadata.insert("tokenizer.ggml.pre".to_owned(), Entry::String(pre.to_owned()));
    if pre == "llama3" {
        // llama.cpp's defaults, which files may omit.
        metadata.entry("tokenizer.ggml.add_bos_token".to_owned()).or_insert(Entry::Bool(true));
        metadata.entry("tokenizer.ggml.ignore_merges".to_owned()).or_insert(Entry::Bool(true));
    }
    let content = Content {
        magic: file.content.magic,
        metadata,
        tensor_infos: Default::default(),
        tensor_data_offset: 0,
    };
    let problem = |error: candle_core::Error| {
        file.malformed(format!("cannot use its tokenizer ({})", first_line(&error)))
    };
    let mut inner = tokenizers::Tokenizer::from_gguf(&content).map_err(problem)?;
    if pre == GPT2 {
        // candle adds a space before the text, but GPT-2 does not.
        inner.with_pre_tokenizer(Some(ByteLevel::new(false, true, true)));
    }
    Ok(Tokenizer::new(inner, ends(file)))
}

/// The tokens that end a text.
fn ends(file: &Gguf) -> Vec<u32> {
    let mut ends: Vec<u32> =
        ["eos", "eot"].into_iter().filter_map(|kind| file.special_token(kind)).collect();
    ends.dedup();
    ends
}

/// Reads tokenizer.json in the folder of the file.
fn from_folder(file: &Gguf, pre: &str) -> Result<Tokenizer, ModelError> {
    let folder = file.path.parent().unwrap_or(Path::new("."));
    if folder.join("tokenizer.json").is_file() {
        return Tokenizer::from_folder(folder);
    }
    let kind = file.text("tokenizer.ggml.model").unwrap_or_else(|| "none".to_owned());
    let kind = if pre.is_empty() { format!("`{kind}`") } else { format!("`{kind}` with `{pre}`") };
    Err(ModelError::MissingFile {
        folder: folder.to_owned(),
        file: format!(
            "tokenizer.json, and the tokenizer in the GGUF file ({kind}) is not supported"
        ),
        hint: "copy the tokenizer.json of the original model into the folder of the file"
            .to_owned(),
    })
}
