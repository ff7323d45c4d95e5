//! Conversations: the messages of a row as one JSON list in the form of OpenAI, `role` and
//! `content`.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::json_text::push_string;

/// Names of the assistant's role in data sets.
const ASSISTANTS: &[&str] = &["assistant", "gpt", "chatgpt", "bing", "bard", "model"];

/// Senders in ShareGPT files, and their roles.
const SENDERS: &[(&str, &str)] = &[
    ("human", "user"),
    ("user", "user"),
    ("system", "system"),
    ("gpt", "assistant"),
    ("chatgpt", "assistant"),
    ("assistant", "assistant"),
    ("model", "assistant"),
    ("bing", "assistant"),
    ("bard", "assistant"),
    ("tool", "tool"),
    ("observation", "tool"),
    ("function_response", "tool"),
];

/// A message, as far as it is checked. Both spellings have all fields optional.
#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow, default)]
    role: Option<Cow<'a, str>>,
    #[serde(default)]
    content: Option<IgnoredAny>,
    #[serde(default)]
    tool_calls: Option<IgnoredAny>,
    #[serde(borrow, default)]
    from: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    value: Option<Cow<'a, str>>,
}

/// Checks a JSON list of messages and returns it with its length; ShareGPT messages, with `from`
/// and `value`, are rewritten to `role` and `content`.
///
/// # Errors
/// The problem, in words.
pub(crate) fn messages<'a>(
    json: &'a str,
    system: Option<&str>,
) -> Result<(Cow<'a, str>, usize), String> {
    let parsed: Vec<Message<'_>> = serde_json::from_str(json).map_err(|error| {
        format!("expected a list of messages with `role` and `content`: {}", reason(&error))
    })?;
    if parsed.is_empty() {
        return Err("the conversation has no messages".to_owned());
    }
    let is_share_gpt = parsed[0].role.is_none() && parsed[0].from.is_some();
    let mut out = String::new();
    for (index, message) in parsed.iter().enumerate() {
        let found = if is_share_gpt { share_gpt(message, &mut out) } else { open_ai(message) };
        found.map_err(|problem| format!("message {} {problem}", index + 1))?;
    }
    let has_system = |role: &Option<Cow<'_, str>>| role.as_deref() == Some("system");
    let count = parsed.len();
    let body =
        if is_share_gpt { Cow::Owned(format!("[{out}]")) } else { Cow::Borrowed(json.trim()) };
    let begins_with_system = has_system(&parsed[0].role) || has_system(&parsed[0].from);
    match system.filter(|text| !text.trim().is_empty() && !begins_with_system) {
        None => Ok((body, count)),
        Some(text) => {
            let mut whole = String::from("[");
            push_message(&mut whole, "system", text);
            whole.push(',');
            whole.push_str(body.trim_start_matches('['));
            Ok((Cow::Owned(whole), count + 1))
        }
    }
}

/// Whether a list of messages has one of the assistant, which is what a model learns to write.
pub(crate) fn has_assistant(json: &str) -> bool {
    let parsed: Vec<Message<'_>> = serde_json::from_str(json).unwrap_or_default();
    parsed
        .iter()
        .any(|message| message.role.as_deref().is_some_and(|role| ASSISTANTS.contains(&role)))
}

/// Two lists of messages as one.
pub(crate) fn joined(first: &str, second: &str) -> String {
    format!("{},{}", first.trim().trim_end_matches(']'), second.trim().trim_start_matches('['))
}

/// Number of messages that two lists both start with. Each keeps at least one message.
pub(crate) fn common_start(one: &str, other: &str) -> usize {
    let parse = |json| serde_json::from_str::<Vec<serde_json::Value>>(json).unwrap_or_default();
    let (one, other) = (parse(one), parse(other));
    let common = one.iter().zip(&other).take_while(|(a, b)| a == b).count();
    common.min(one.len().saturating_sub(1)).min(other.len().saturating_sub(1))
}

/// One message as a list.
#[cfg(test)]
pub(crate) fn single(role: &str, content: &str) -> String {
    let mut out = String::from("[");
    push_message(&mut out, role, content);
    out.push(']');
    out
}

/// The messages as lines for a table, such as `user: Hello`.
pub(crate) fn lines(json: &str) -> Vec<String> {
    #[derive(Deserialize)]
    struct Shown {
        role: String,
        #[serde(default)]
        content: serde_json::Value,
        #[serde(default)]
        tool_calls: serde_json::Value,
    }
    let parsed: Vec<Shown> = serde_json::from_str(json).unwrap_or_default();
    let line = |message: &Shown| {
        let content = match &message.content {
            serde_json::Value::String(text) => text.clone(),
            serde_json::Value::Null if !message.tool_calls.is_null() => {
                format!("calls {}", message.tool_calls)
            }
            other => other.to_string(),
        };
        format!("{}: {content}", message.role)
    };
    parsed.iter().map(line).collect()
}

fn push_message(out: &mut String, role: &str, content: &str) {
    out.push_str("{\"role\":");
    push_string(out, role);
    out.push_str(",\"content\":");
    push_string(out, content);
    out.push('}');
}

fn open_ai(message: &Message<'_>) -> Result<(), String> {
    match &message.role {
        None => Err("has no `role`".to_owned()),
        Some(role) if role.trim().is_empty() => Err("has an empty `role`".to_owned()),
        Some(role) if message.content.is_none() && message.tool_calls.is_none() => {
            Err(format!("(`{role}`) has no `content`"))
        }
        Some(_) => Ok(()),
    }
}

fn share_gpt(message: &Message<'_>, out: &mut String) -> Result<(), String> {
    let Some(from) = &message.from else { return Err("has no `from`".to_owned()) };
    let Some(value) = &message.value else { return Err(format!("(`{from}`) has no `value`")) };
    let Some((_, role)) = SENDERS.iter().find(|(sender, _)| from.eq_ignore_ascii_case(sender))
    else {
        let known: Vec<_> = SENDERS.iter().map(|(sender, _)| format!("`{sender}`")).collect();
        return Err(format!("is from `{from}`; expected one of {}", known.join(", ")));
    };
    if !out.is_empty() {
        out.push(',');
    }
    push_message(out, role, value);
    Ok(())
}

fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.split(" at line ").next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_both_spellings_become_the_same_list() {
        let open =
            r#"[{"role":"user","content":"Hi"},{"role":"assistant","content":"Hello \"you\""}]"#;
        let share = r#"[{"from":"human","value":"Hi"},{"from":"gpt","value":"Hello \"you\""}]"#;
        assert_eq!(messages(open, None), Ok((Cow::Borrowed(open), 2)));
        assert_eq!(messages(share, None).expect("valid").0, open);
        let (with_system, count) = messages(share, Some("Be brief.")).expect("valid");
        assert_eq!(count, 3);
        assert_eq!(
            lines(&with_system),
            ["system: Be brief.", "user: Hi", "assistant: Hello \"you\""]
        );
        assert!(has_assistant(open) && !has_assistant(&single("user", "Hi")));
        assert_eq!(joined(&single("user", "Hi"), &single("assistant", "Hello \"you\"")), open);
    }

    #[test]
    fn tools_and_extra_fields_stay_as_they_are() {
        let json = r#"[{"role":"assistant","content":null,"tool_calls":[{"z":1,"a":2}]},{"role":"tool","content":"4","name":"add"}]"#;
        assert_eq!(messages(json, None), Ok((Cow::Borrowed(json), 2)));
        assert_eq!(lines(json)[1], "tool: 4");
    }

    #[test]
    fn a_bad_message_is_named() {
        let problem = |json: &str| messages(json, None).expect_err(json);
        assert_eq!(problem("[]"), "the conversation has no messages");
        assert_eq!(
            problem(r#"[{"role":"user","content":"a"},{"content":"b"}]"#),
            "message 2 has no `role`"
        );
        assert_eq!(problem(r#"[{"role":"user"}]"#), "message 1 (`user`) has no `content`");
        assert!(
            problem(r#"[{"from":"alien","value":"a"}]"#)
                .starts_with("message 1 is from `alien`; expected one of `human`")
        );
        assert!(problem(r#"["Hi"]"#).starts_with(
            "expected a list of messages with `role` and `content`: invalid type: string"
        ));
    }
}
