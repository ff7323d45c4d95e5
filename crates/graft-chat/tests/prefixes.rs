//! The ranges found without `{% generation %}` are those that it marks.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::Path;

use graft_chat::{ChatError, ChatTemplate, Conversation, Loss, LossOn, SpecialTokens};
use minijinja::Value;

const GOLDENS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/goldens");

fn read(path: &str) -> Value {
    let text = std::fs::read_to_string(Path::new(GOLDENS).join(path)).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn special() -> SpecialTokens {
    [("bos_token", "<s>"), ("eos_token", "</s>")]
        .map(|(name, token)| (name.to_owned(), token.to_owned()))
        .to_vec()
}

fn loss(source: &str, chat: &Conversation, loss_on: LossOn) -> Result<Loss, ChatError> {
    Loss::find(&ChatTemplate::new("t", source, special())?, chat, loss_on)
}

#[test]
fn prefixes_give_the_ranges_of_generation_blocks() {
    let templates = read("text/templates.json");
    let cases: Vec<Value> = read("text/text.json").try_iter().unwrap().collect();
    let mut compared = 0;
    for case in cases {
        let Some(name) = case.get_attr("template").unwrap().as_str().map(str::to_owned) else {
            continue;
        };
        let source = templates.get_attr(&name).unwrap().to_string();
        let plain = source.replace("{% generation %}", "").replace("{% endgeneration %}", "");
        let messages = serde_json::to_string(&case.get_attr("messages").unwrap()).unwrap();
        let chat = Conversation::from_json(&messages).unwrap();
        for loss_on in [LossOn::Assistant, LossOn::Completion, LossOn::From(2)] {
            let (marked, found) = (loss(&source, &chat, loss_on), loss(&plain, &chat, loss_on));
            match (marked, found) {
                (Ok(marked), Ok(found)) => {
                    assert_eq!(found, marked, "{name} {messages}");
                    compared += 1;
                }
                (Err(marked), Err(found)) => assert_eq!(marked.to_string(), found.to_string()),
                (marked, found) => panic!("{name} {messages}: {marked:?}, {found:?}"),
            }
        }
    }
    assert!(compared > 600, "{compared}");
}

/// A template that drops the reasoning of earlier answers, starts every answer with an empty
/// thought and needs a user message, as those of reasoning models do.
const REASONING: &str = "{% set ns = namespace(last=-1) %}{% for m in messages %}{% if m.role == 'user' %}{% set ns.last = loop.index0 %}{% endif %}{% endfor %}\
{% if ns.last < 0 %}{{ raise_exception('no user') }}{% endif %}\
{% for m in messages %}{% if m.role == 'assistant' %}{% set text = m.content.split('</think>')[-1].lstrip('\n') %}\
<a>{% if loop.index0 > ns.last %}{{ m.content }}{% else %}{{ text }}{% endif %}</a>\n{% else %}<u>{{ m.content }}</u>\n{% endif %}{% endfor %}\
{% if add_generation_prompt %}<a><think>\n{% endif %}";

fn learned(source: &str, messages: &str) -> Result<Vec<String>, String> {
    let chat = Conversation::from_json(messages).unwrap();
    let loss = loss(source, &chat, LossOn::Assistant).map_err(|error| error.to_string())?;
    Ok(loss.ranges.iter().map(|range| loss.text[range.clone()].to_owned()).collect())
}

#[test]
fn a_template_that_rewrites_earlier_answers_still_has_its_ranges() {
    let messages = r#"[{"role":"user","content":"a"},{"role":"assistant","content":"<think>\nx\n</think>\n\nb"},
        {"role":"user","content":"c"},{"role":"assistant","content":"d"}]"#;
    // The start of the first answer is found in the conversation, where the thought is missing.
    let found = learned(REASONING, messages).unwrap();
    assert_eq!(found[1], "d</a>");
    assert!(found[0].ends_with("b</a>") || found[0] == "b</a>", "{found:?}");
}

#[test]
fn what_cannot_be_found_is_said_with_the_message() {
    let reversed = "{% for m in messages | reverse %}{{ m.role }}:{{ m.content }}\n{% endfor %}";
    let messages = r#"[{"role":"user","content":"a"},{"role":"assistant","content":"b"},
        {"role":"user","content":"c"},{"role":"assistant","content":"d"}]"#;
    let error = learned(reversed, messages).unwrap_err();
    assert_eq!(
        error,
        "chat template `t`: cannot find the text of message 4 (assistant): the template changes the order of the messages"
    );
    let dropped = "{% for m in messages if m.role == 'user' %}{{ m.content }}{% endfor %}";
    let error = learned(dropped, messages).unwrap_err();
    assert!(error.contains("no message to learn"), "{error}");
}

#[test]
fn a_conversation_without_an_answer_is_refused() {
    let error = learned(
        "{{ messages }}",
        r#"[{"role":"user","content":"a"},{"role":"tool","content":"b"}]"#,
    );
    assert_eq!(
        error.unwrap_err(),
        "the conversation has no message to learn: no message has the role `assistant` (roles: user, tool)"
    );
    let chat = Conversation::from_json(
        r#"[{"role":"assistant","content":"a"},{"role":"user","content":"b"}]"#,
    );
    let error = loss("{{ messages }}", &chat.unwrap(), LossOn::Completion).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the conversation has no message to learn: `loss_on=completion` learns the last message, and `user` wrote it"
    );
}
