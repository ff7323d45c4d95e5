//! The tokenizer in a GGUF file.

use std::path::{Path, PathBuf};

use candle_core::quantized::{
    gguf_file::{Content, Value as Entry},
    tokenizer::TokenizerFromGguf,
};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;

use super::Gguf;
use crate::{ModelError, Tokenizer};

/// How llama.cpp calls the ways of cutting a text before the merges, and candle's names for those that are built in.
const CUTS: [(&str, &str); 5] = [
    ("llama-bpe", "llama3"),
    ("smaug-bpe", "smaug-bpe"),
    ("llama3", "llama3"),
    ("qwen2", "qwen2"),
    (GPT2, GPT2),
];
const GPT2: &str = "gpt-2";

/// Reads it, or the tokenizer.json beside the file.
pub(super) fn read(file: &Gguf) -> Result<Tokenizer, ModelError> {
    match built_in(file) {
        Some(candle) => inside(file, candle),
        None => beside(file, &file.text("tokenizer.ggml.pre").unwrap_or_default()),
    }
}

/// The folder of the tokenizer.json that is read instead, where the tokenizer in the file is not built in.
pub(super) fn folder(file: &Gguf) -> Option<PathBuf> {
    built_in(file).is_none().then(|| file.path.parent().unwrap_or(Path::new(".")).to_owned())
}

/// candle's name for the tokenizer in the file, where it is built in.
fn built_in(file: &Gguf) -> Option<&'static str> {
    let cut = file.text("tokenizer.ggml.pre").unwrap_or_default();
    let known = CUTS.into_iter().find(|(name, _)| *name == cut).map(|(_, candle)| candle);
    known.filter(|_| file.text("tokenizer.ggml.model").as_deref() == Some("gpt2"))
}

/// A byte-level BPE, by candle's reader.
fn inside(file: &Gguf, cut: &str) -> Result<Tokenizer, ModelError> {
    let keys = file.content.metadata.iter().filter(|(key, _)| key.starts_with("tokenizer."));
    let mut metadata: std::collections::HashMap<_, _> =
        keys.map(|(key, value)| (key.clone(), value.clone())).collect();
    metadata.insert("tokenizer.ggml.pre".to_owned(), Entry::String(cut.to_owned()));
    if cut == "llama3" {
        // llama.cpp's own defaults for it, which files may leave out.
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
        file.malformed(format!("cannot use its tokenizer ({})", super::line(&error)))
    };
    let mut inner = tokenizers::Tokenizer::from_gguf(&content).map_err(problem)?;
    if cut == GPT2 {
        // candle's puts a space before the text, and GPT-2 does not.
        inner.with_pre_tokenizer(Some(ByteLevel::new(false, true, true)));
    }
    let ends = ["tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id"]
        .iter()
        .filter_map(|key| u32::try_from(file.size(key)?).ok());
    let mut ends: Vec<u32> = ends.collect();
    ends.dedup();
    Ok(Tokenizer::new(inner, ends))
}

/// The tokenizer.json in the file's folder.
fn beside(file: &Gguf, cut: &str) -> Result<Tokenizer, ModelError> {
    let folder = file.path.parent().unwrap_or(Path::new("."));
    if folder.join("tokenizer.json").is_file() {
        return Tokenizer::from_folder(folder);
    }
    let kind = file.text("tokenizer.ggml.model").unwrap_or_else(|| "none".to_owned());
    let kind = if cut.is_empty() { format!("`{kind}`") } else { format!("`{kind}` with `{cut}`") };
    Err(ModelError::MissingFile {
        folder: folder.to_owned(),
        file: format!(
            "tokenizer.json, and the tokenizer in the GGUF file ({kind}) is not supported"
        ),
        hint: "copy the tokenizer.json of the original model into the folder of the file"
            .to_owned(),
    })
}
