//! The chat templates of a model.

use std::path::Path;

use graft_chat::Templates;
use graft_nn::TokenEncoder;

use crate::{
    Tokenizer,
    gguf::{Gguf, is_gguf},
};

/// The special tokens of a GGUF file, by their names in llama.cpp and in chat templates.
const GGUF_TOKENS: [(&str, &str); 4] = [
    ("bos", "bos_token"),
    ("eos", "eos_token"),
    ("unknown", "unk_token"),
    ("padding", "pad_token"),
];

/// The chat templates of a folder or a GGUF file; `source` is the model's name for the user. A
/// damaged template does not prevent the model from being used for other things: it becomes a
/// warning. The tokens that begin and end a text are those of the tokenizer if the files do not
/// name them, so that an answer always has an end.
pub(super) fn templates(
    (source, place): (&str, &Path),
    tokenizer: &Tokenizer,
    warnings: &mut Vec<String>,
) -> Templates {
    let tokens = [("bos_token", tokenizer.bos()), ("eos_token", tokenizer.eos())];
    tokens.into_iter().fold(
        stored((source, place), tokenizer, warnings),
        |templates, (name, id)| match id {
            Some(id) => templates.or_special_token(name, &tokenizer.token(id)),
            None => templates,
        },
    )
}

fn stored(
    (source, place): (&str, &Path),
    tokenizer: &Tokenizer,
    warnings: &mut Vec<String>,
) -> Templates {
    if !is_gguf(place) {
        let found = Templates::from_folder(place).map(|templates| templates.called(source));
        return found.unwrap_or_else(|error| {
            warnings.push(format!("the chat template cannot be used: {error}"));
            Templates::from_source(None, source, Vec::new())
        });
    }
    let Ok(file) = Gguf::open(place) else { return Templates::default() };
    let token = |(kind, name): (&str, &str)| {
        Some((name.to_owned(), tokenizer.token(file.special_token(kind)?)))
    };
    let special = GGUF_TOKENS.into_iter().filter_map(token).collect();
    let name = format!("tokenizer.chat_template of {}", place.display());
    Templates::from_source(file.chat_template().as_deref(), &name, special)
}

#[cfg(test)]
mod tests {
    use graft_nn::Device;
    use graft_spec::Settings;

    use super::*;

    #[test]
    fn the_end_of_a_text_is_known_without_a_tokenizer_config() {
        let settings = Settings::default();
        let tiny = crate::load("tiny", &settings, &Device::Cpu, &mut |_, _, _| {}).unwrap();
        let tokens = tiny.tokenizer.chat_templates().special_tokens();
        let end = tokens.iter().find(|(name, _)| name == "eos_token").expect("an end");
        let id = tiny.tokenizer.eos().expect("an end");
        assert_eq!(end.1, tiny.tokenizer.token(id));
    }

    #[test]
    fn a_missing_template_names_the_model_and_not_where_it_is_unpacked() {
        let settings = Settings::default();
        let tiny = crate::load("tiny", &settings, &Device::Cpu, &mut |_, _, _| {}).unwrap();
        let error = tiny.tokenizer.chat_templates().select(None, false).expect_err("no template");
        assert!(error.to_string().ends_with("`tokenizer_config.json` in `tiny`)"), "{error}");
    }
}
