//! The chat templates and special tokens of a model folder.

use std::path::{Path, PathBuf};

use graft_spec::user_file;
use serde_json::Value;

use crate::{ChatError, ChatTemplate, SpecialTokens, builtin, template::LONGEST};

/// Maximum size of a `tokenizer_config.json` in bytes. Those with many added tokens have megabytes.
const LONGEST_CONFIG: u64 = 64 << 20;

/// The keys of the special tokens, in the order of transformers.
const SPECIAL_TOKENS: [&str; 7] =
    ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];

/// The chat templates of a model and the special tokens of its tokenizer.
#[derive(Clone, Debug, Default)]
pub struct Templates {
    /// Name, file and text of each; an only template is called `default`.
    found: Vec<Found>,
    special_tokens: SpecialTokens,
    /// Where templates were looked for, for the message that there is none.
    looked_for: String,
}

#[derive(Clone, Debug)]
struct Found {
    name: String,
    file: String,
    source: String,
}

/// The files that may contain the templates of a model folder.
fn files_of(model: &str) -> String {
    format!("`chat_template.jinja` and `chat_template` of `tokenizer_config.json` in `{model}`")
}

impl Templates {
    /// Reads a model folder as transformers does: `chat_template.jinja` and
    /// `additional_chat_templates/NAME.jinja`, else `chat_template` of `tokenizer_config.json`,
    /// which is a template or a list of named ones, else `chat_template.json`.
    ///
    /// # Errors
    /// [`ChatError::File`] and [`ChatError::Malformed`]. A missing template is not an error here.
    pub fn from_folder(folder: &Path) -> Result<Self, ChatError> {
        let config = json(&folder.join("tokenizer_config.json"))?.unwrap_or_default();
        let map = json(&folder.join("special_tokens_map.json"))?.unwrap_or_default();
        let mut found = files(folder)?;
        if found.is_empty() {
            found = in_config(&folder.join("tokenizer_config.json"), &config)?;
        }
        if found.is_empty() {
            let path = folder.join("chat_template.json");
            found = in_config(&path, &json(&path)?.unwrap_or_default())?;
        }
        let looked_for = files_of(&folder.display().to_string());
        Ok(Self { found, special_tokens: special_tokens(&config, &map), looked_for })
    }

    /// The same templates of a folder, under the name by which the user knows the model.
    #[must_use]
    pub fn called(self, name: &str) -> Self {
        Self { looked_for: files_of(name), ..self }
    }

    /// Templates of a model that is not a folder: its template, if it has one, from `file`.
    pub fn from_source(source: Option<&str>, file: &str, special_tokens: SpecialTokens) -> Self {
        let found = source.map(|source| Found {
            name: "default".to_owned(),
            file: file.to_owned(),
            source: source.to_owned(),
        });
        Self { found: found.into_iter().collect(), special_tokens, looked_for: format!("`{file}`") }
    }

    /// No templates and no special tokens.
    pub const fn none() -> Self {
        Self { found: Vec::new(), special_tokens: Vec::new(), looked_for: String::new() }
    }

    /// The same templates, with a special token that the files of the tokenizer do not name.
    #[must_use]
    pub fn or_special_token(mut self, name: &str, token: &str) -> Self {
        if self.special_tokens.iter().all(|(known, _)| known != name) {
            self.special_tokens.push((name.to_owned(), token.to_owned()));
        }
        self
    }

    /// The special tokens that templates may use.
    pub fn special_tokens(&self) -> &SpecialTokens {
        &self.special_tokens
    }

    /// Returns whether the model has a template.
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// The names of the model's templates.
    pub fn names(&self) -> Vec<&str> {
        self.found.iter().map(|it| it.name.as_str()).collect()
    }

    /// Selects a template: without a choice the model's own (`tool_use` for conversations with
    /// tools, if there is one), else one of its names, a built-in name, or a file.
    ///
    /// # Errors
    /// [`ChatError::NoTemplate`], [`ChatError::NoDefault`], [`ChatError::UnknownTemplate`],
    /// [`ChatError::File`] and [`ChatError::Syntax`].
    pub fn select(&self, choice: Option<&str>, has_tools: bool) -> Result<ChatTemplate, ChatError> {
        let Some(choice) = choice else { return self.own(has_tools) };
        if let Some(found) = self.named(choice) {
            return self.compile(found);
        }
        if let Some(template) = builtin::template(choice, self.special_tokens.clone())? {
            return Ok(template);
        }
        let path = Path::new(choice);
        if path.components().count() == 1 && path.extension().is_none() && !path.exists() {
            let own = self.names().into_iter().map(str::to_owned);
            let known = own.chain(builtin::NAMES.map(str::to_owned)).collect();
            return Err(ChatError::UnknownTemplate { name: choice.to_owned(), known });
        }
        ChatTemplate::from_file(path, self.special_tokens.clone())
    }

    fn own(&self, has_tools: bool) -> Result<ChatTemplate, ChatError> {
        let for_tools = self.named("tool_use").filter(|_| has_tools);
        match for_tools.or_else(|| self.named("default")) {
            Some(found) => self.compile(found),
            None if self.found.is_empty() => {
                Err(ChatError::NoTemplate { looked_for: self.looked_for.clone() })
            }
            None => Err(ChatError::NoDefault { names: self.names().join(", ") }),
        }
    }

    fn named(&self, name: &str) -> Option<&Found> {
        self.found.iter().find(|it| it.name == name)
    }

    fn compile(&self, found: &Found) -> Result<ChatTemplate, ChatError> {
        ChatTemplate::new(&found.file, &found.source, self.special_tokens.clone())
    }
}

/// The templates in files of their own.
fn files(folder: &Path) -> Result<Vec<Found>, ChatError> {
    let mut paths: Vec<(String, PathBuf)> = Vec::new();
    let only = folder.join("chat_template.jinja");
    if only.is_file() {
        paths.push(("default".to_owned(), only));
    }
    // A folder that cannot be read is one that is not there: the templates are optional.
    let entries = std::fs::read_dir(folder.join("additional_chat_templates"));
    for path in entries.into_iter().flatten().flatten().map(|entry| entry.path()) {
        if path.extension().is_some_and(|it| it == "jinja")
            && let Some(name) = path.file_stem().and_then(|name| name.to_str())
        {
            paths.push((name.to_owned(), path.clone()));
        }
    }
    paths.sort();
    let read = |(name, path): (String, PathBuf)| {
        let source = user_file::read_text(&path, LONGEST)?;
        Ok(Found { name, file: path.display().to_string(), source })
    };
    paths.into_iter().map(read).collect()
}

/// The templates under the key `chat_template` of a config.
fn in_config(path: &Path, config: &Value) -> Result<Vec<Found>, ChatError> {
    let file = path.display().to_string();
    let malformed = || ChatError::Malformed {
        path: file.clone(),
        problem: "`chat_template` must be a text or a list of objects with `name` and `template`"
            .to_owned(),
    };
    let found = |name: &str, source: &str| Found {
        name: name.to_owned(),
        file: file.clone(),
        source: source.to_owned(),
    };
    match config.get("chat_template") {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::String(source)) => Ok(vec![found("default", source)]),
        Some(Value::Array(many)) => many
            .iter()
            .map(|it| {
                let text = |key| it.get(key).and_then(Value::as_str).ok_or_else(malformed);
                Ok(found(text("name")?, text("template")?))
            })
            .collect(),
        Some(Value::Object(many)) => many
            .iter()
            .map(|(name, it)| Ok(found(name, it.as_str().ok_or_else(malformed)?)))
            .collect(),
        Some(_) => Err(malformed()),
    }
}

fn special_tokens(config: &Value, map: &Value) -> SpecialTokens {
    let text = |value: &Value| {
        value.as_str().or_else(|| value.get("content")?.as_str()).map(str::to_owned)
    };
    let token = |key: &&str| {
        let found = [config, map].into_iter().find_map(|it| it.get(*key).and_then(text))?;
        Some(((*key).to_owned(), found))
    };
    SPECIAL_TOKENS.iter().filter_map(token).collect()
}

/// A JSON file, or `None` if there is none.
fn json(path: &Path) -> Result<Option<Value>, ChatError> {
    if !path.exists() {
        return Ok(None);
    }
    let bytes = user_file::read(path, LONGEST_CONFIG)?;
    let value = serde_json::from_slice(&bytes).map_err(|error| ChatError::Malformed {
        path: path.display().to_string(),
        problem: error.to_string(),
    })?;
    Ok(Some(value))
}

#[cfg(test)]
mod tests;
