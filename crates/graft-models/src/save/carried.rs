//! Tokenizer, chat template and generation files, which are copied from the loaded model to the
//! saved one.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use graft_nn::{Task, TokenEncoder};
use serde_json::{Value, json};

use crate::{
    Loaded, ModelError, Tokenizer,
    gguf::{Gguf, is_gguf},
    side_file,
};

/// Files that are copied unchanged, if they exist.
pub(crate) const CARRIED: &[&str] = &[
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
    "chat_template.json",
    "vocab.json",
    "merges.txt",
    "vocab.txt",
    "tokenizer.model",
    "spiece.model",
    "sentencepiece.bpe.model",
    "spm.model",
    GENERATION,
];
/// The folder of named chat templates.
pub(super) const TEMPLATES: &str = "additional_chat_templates";
const GENERATION: &str = "generation_config.json";

/// File contents by path in the folder.
pub(super) type Files = BTreeMap<String, Vec<u8>>;

/// The files of the folder or GGUF file from which a model was loaded. Missing files that the model
/// needs are created.
///
/// # Errors
/// [`ModelError::Io`] for a file that cannot be read; [`ModelError::Malformed`] for a GGUF file
/// that has changed.
pub(super) fn of(loaded: &Loaded) -> Result<Files, ModelError> {
    let mut files = Files::new();
    if is_gguf(&loaded.source) {
        if loaded.source.exists() {
            let file = Gguf::open(&loaded.source)?;
            match file.tokenizer_folder() {
                Some(folder) => files = of_folder(&folder)?,
                None => add(
                    &mut files,
                    "tokenizer_config.json",
                    &tokenizer_config(&file, &loaded.tokenizer),
                ),
            }
        }
    } else {
        files = of_folder(&loaded.source)?;
    }
    if !files.contains_key("tokenizer.json") || !loaded.added_tokens.is_empty() {
        files.insert("tokenizer.json".to_owned(), loaded.tokenizer.to_json()?.into_bytes());
    }
    let task = loaded.model.task();
    if !files.contains_key(GENERATION) && matches!(task, Task::CausalLm | Task::Seq2SeqLm) {
        add(&mut files, GENERATION, &generation(&loaded.tokenizer, &loaded.config_json));
    }
    Ok(files)
}

/// `generation_config.json` with the special tokens.
pub(super) fn generation(tokenizer: &Tokenizer, config: &Value) -> Value {
    let ends = match tokenizer.ends() {
        [one] => json!(one),
        many => json!(many),
    };
    let mut generation = json!({ "eos_token_id": ends });
    for key in ["bos_token_id", "pad_token_id", "decoder_start_token_id"] {
        if let Some(id) = config.get(key).filter(|id| id.is_u64()) {
            generation[key] = id.clone();
        }
    }
    generation
}

pub(super) fn add(files: &mut Files, name: &str, json: &Value) {
    files.insert(name.to_owned(), format!("{json:#}\n").into_bytes());
}

fn of_folder(folder: &Path) -> Result<Files, ModelError> {
    let mut files = Files::new();
    let mut carry = |name: String, path: PathBuf| -> Result<(), ModelError> {
        if path.exists() {
            files.insert(name, side_file::read(&path, side_file::LONGEST)?);
        }
        Ok(())
    };
    for name in CARRIED {
        carry((*name).to_owned(), folder.join(name))?;
    }
    for entry in std::fs::read_dir(folder.join(TEMPLATES)).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.ends_with(".jinja") {
            carry(format!("{TEMPLATES}/{name}"), entry.path())?;
        }
    }
    Ok(files)
}

/// `tokenizer_config.json` with the special tokens and the chat template of a GGUF file's metadata.
fn tokenizer_config(file: &Gguf, tokenizer: &Tokenizer) -> Value {
    let mut config = json!({"tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": false});
    for (kind, key) in [
        ("bos", "bos"),
        ("eos", "eos"),
        ("unknown", "unk"),
        ("padding", "pad"),
        ("separator", "sep"),
        ("cls", "cls"),
        ("mask", "mask"),
    ] {
        if let Some(id) = file.special_token(kind) {
            config[format!("{key}_token")] = tokenizer.token(id).into();
        }
    }
    if let Some(template) = file.chat_template() {
        config["chat_template"] = template.into();
    }
    config
}
