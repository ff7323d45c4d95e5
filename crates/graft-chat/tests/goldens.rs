//! Compares text, generation ranges and refusals with transformers: the chat cases of
//! `tests/goldens/text` and those of `tests/goldens/chat.json`, or of the file that
//! `GRAFT_CHAT_GOLDENS` names.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{ops::Range, path::PathBuf};

use graft_chat::{ChatError, ChatTemplate, Conversation, Ending, SpecialTokens};
// Its maps keep the order of keys, which those of serde_json do not.
use minijinja::Value;

fn read(path: &str) -> Value {
    let path =
        PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/goldens")).join(path);
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn field(case: &Value, name: &str) -> Value {
    case.get_attr(name).unwrap()
}

fn json(case: &Value, name: &str) -> String {
    let value = field(case, name);
    serde_json::to_string(&if value.is_undefined() { Value::from(()) } else { value }).unwrap()
}

/// The result in the words of a case: text and character ranges, a refusal, or a failure.
fn result(case: &Value, source: &str, special: SpecialTokens) -> Result<(String, String), String> {
    let chat = Conversation::from_json(&json(case, "messages"))
        .and_then(|chat| chat.with_tools(&json(case, "tools")))
        .and_then(|chat| chat.with_documents(&json(case, "documents")))
        .and_then(|chat| chat.with_variables(&json(case, "variables")))
        .unwrap();
    let ending = match field(case, "ending").as_str() {
        Some("continue") => Ending::ContinueLast,
        Some("prompt") => Ending::GenerationPrompt,
        _ if field(case, "add_generation_prompt").is_true() => Ending::GenerationPrompt,
        _ => Ending::Complete,
    };
    let rendered = ChatTemplate::new("case", source, special)
        .and_then(|template| template.render(&chat, ending));
    match rendered {
        Ok(it) => {
            let generated = characters(&it.text, &it.generated);
            Ok((it.text, generated))
        }
        Err(ChatError::Refused { message, .. }) => Err(format!("refused: {message}")),
        Err(error) => Err(format!("failed: {error}")),
    }
}

fn characters(text: &str, ranges: &[Range<usize>]) -> String {
    let at = |byte: usize| text[..byte].chars().count();
    let ranges: Vec<_> = ranges.iter().map(|it| [at(it.start), at(it.end)]).collect();
    format!("{ranges:?}")
}

/// The difference of one case from what transformers did.
fn difference(case: &Value) -> Option<String> {
    let special = field(case, "special");
    let special = special
        .try_iter()
        .unwrap()
        .map(|key| (key.to_string(), special.get_item(&key).unwrap().to_string()))
        .collect();
    let template = field(case, "template");
    let found = result(case, template.as_str().unwrap(), special);
    let refused = field(case, "refused");
    if let Some(message) = refused.as_str() {
        return (found != Err(format!("refused: {message}")))
            .then(|| format!("{found:?}\n  expected to be refused: {message}"));
    }
    if !field(case, "failed").is_undefined() {
        return found.is_ok().then(|| format!("{found:?}\n  expected {}", field(case, "failed")));
    }
    let (text, generated) = match found {
        Ok(found) => found,
        Err(error) => return Some(format!("{error}\n  expected {:?}", field(case, "text"))),
    };
    if text != field(case, "text").as_str().unwrap() {
        return Some(format!("text {text:?}\n  expected  {:?}", field(case, "text").as_str()));
    }
    let expected = field(case, "generated");
    (!expected.is_undefined() && generated != expected.to_string())
        .then(|| format!("generated {generated}, expected {expected}"))
}

#[test]
fn every_template_gives_the_text_and_ranges_of_transformers() {
    let file = std::env::var("GRAFT_CHAT_GOLDENS").unwrap_or_else(|_| "chat.json".to_owned());
    let cases: Vec<Value> = read(&file).try_iter().unwrap().collect();
    let unmet: Vec<String> = cases
        .iter()
        .filter_map(|case| Some(format!("{}: {}", field(case, "name"), difference(case)?)))
        .collect();
    assert!(unmet.is_empty(), "{} of {} unmet:\n{}", unmet.len(), cases.len(), unmet.join("\n"));
    assert!(cases.len() >= 100);
}

#[test]
fn every_chat_case_gives_the_text_or_the_refusal_of_transformers() {
    let templates = read("text/templates.json");
    let special: SpecialTokens = [("bos_token", "<s>"), ("eos_token", "</s>")]
        .map(|(name, token)| (name.to_owned(), token.to_owned()))
        .to_vec();
    let cases: Vec<Value> = read("text/text.json").try_iter().unwrap().collect();
    let mut met = 0;
    for case in cases.iter().filter(|case| field(case, "kind").as_str() == Some("chat")) {
        let template = field(&templates, field(case, "template").as_str().unwrap());
        let found = result(case, template.as_str().unwrap(), special.clone());
        match field(case, "error").as_str() {
            Some(message) => assert_eq!(found, Err(format!("refused: {message}"))),
            None => assert_eq!(found.unwrap().0, field(case, "text").to_string()),
        }
        met += 1;
    }
    assert_eq!(met, 480);
}
