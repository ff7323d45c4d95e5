//! Compares one conversation with what transformers made of it.

use graft_chat::{ChatError, ChatTemplate, Conversation, Ending, LossOn, SpecialTokens};
use graft_models::Tokenizer;
use graft_nn::{TokenEncoder, ops::IGNORED};
use graft_train::encode_chat;
use serde_json::Value;

use crate::text_golden::{numbers, word};

/// The problem of one case of `kind: chat`: its text, its tokens, its mask or its refusal.
/// `tools` is their JSON, with the keys in the order of the file.
pub(crate) fn problem(
    tokenizer: &Tokenizer,
    templates: &Value,
    case: &Value,
    tools: &str,
) -> Option<String> {
    let name = word(case, "template");
    let special: SpecialTokens =
        [("bos_token", "<s>"), ("eos_token", "</s>"), ("pad_token", "<pad>")]
            .map(|(name, token)| (name.to_owned(), token.to_owned()))
            .to_vec();
    let template = match ChatTemplate::new(name, word(templates, name), special) {
        Ok(template) => template,
        Err(error) => return Some(error.to_string()),
    };
    let chat = Conversation::from_json(&case["messages"].to_string())
        .and_then(|chat| chat.with_tools(tools));
    let chat = match chat {
        Ok(chat) => chat,
        Err(error) => return Some(error.to_string()),
    };
    let ending = match case["add_generation_prompt"] == true {
        true => Ending::GenerationPrompt,
        false => Ending::Complete,
    };
    match (template.render(&chat, ending), case["error"].as_str()) {
        (Err(ChatError::Refused { message, .. }), Some(expected)) => {
            (message != expected).then(|| format!("refused `{message}`, expected `{expected}`"))
        }
        (Ok(rendered), None) => {
            let text = word(case, "text");
            if rendered.text != text {
                return Some(format!("text {:?}, expected {text:?}", rendered.text));
            }
            ids(tokenizer, &rendered.text, case)
                .or_else(|| mask(tokenizer, &template, &chat, ending, case))
        }
        (Err(error), _) => Some(error.to_string()),
        (Ok(_), Some(expected)) => Some(format!("not refused, expected `{expected}`")),
    }
}

fn ids(tokenizer: &Tokenizer, text: &str, case: &Value) -> Option<String> {
    let expected = numbers(case, "input_ids");
    let found = match tokenizer.encode(text) {
        Ok(ids) => ids.into_iter().map(i64::from).collect::<Vec<_>>(),
        Err(error) => return Some(error.to_string()),
    };
    (found != expected).then(|| format!("input_ids {found:?}, expected {expected:?}"))
}

/// Compares the labels with the mask. A template without generation blocks has no mask: the labels
/// must then be found, or the conversation has nothing to learn.
fn mask(
    tokenizer: &Tokenizer,
    template: &ChatTemplate,
    chat: &Conversation,
    ending: Ending,
    case: &Value,
) -> Option<String> {
    let encoded = match encode_chat(tokenizer, template, chat, LossOn::Assistant) {
        Ok(encoded) => encoded,
        Err(ChatError::NothingToLearn { .. }) => {
            let marked = numbers(case, "assistant_mask").contains(&1);
            return marked.then(|| "nothing to learn, expected a mask".to_owned());
        }
        Err(error) => return Some(format!("{error:?}")),
    };
    if case["assistant_mask"].is_null() {
        let learned = encoded.labels.iter().any(|label| *label != IGNORED);
        return (!learned).then(|| "no token carries loss".to_owned());
    }
    let mut found: Vec<i64> =
        encoded.labels.iter().map(|label| i64::from(*label != IGNORED)).collect();
    let expected = numbers(case, "assistant_mask");
    if ending == Ending::GenerationPrompt {
        // The start of an answer carries no loss, and no training example ends with it.
        found.resize(expected.len(), 0);
    }
    (found != expected).then(|| format!("assistant_mask {found:?}, expected {expected:?}"))
}
