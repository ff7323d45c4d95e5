//! Conversations: messages with roles, tools, documents and variables for the template.

use minijinja::{Value, value::ValueKind};

use crate::ChatError;

/// Names under which a message may have its reasoning; the first is the standard one.
const REASONING: [&str; 3] = ["reasoning_content", "thinking", "reasoning"];

/// A conversation, as JSON values that keep the order of their keys.
#[derive(Clone, Debug, Default)]
pub struct Conversation {
    messages: Vec<Value>,
    tools: Option<Value>,
    documents: Option<Value>,
    variables: Vec<(String, Value)>,
}

impl Conversation {
    /// Reads messages in the format of OpenAI's API: a JSON list of objects with `role`, and
    /// usually `content`.
    ///
    /// # Errors
    /// [`ChatError::Json`], [`ChatError::NotObjects`], [`ChatError::NoRole`], [`ChatError::Empty`].
    pub fn from_json(messages: &str) -> Result<Self, ChatError> {
        let messages = objects("messages", messages)?;
        if messages.is_empty() {
            return Err(ChatError::Empty);
        }
        for (index, message) in messages.iter().enumerate() {
            if field(message, "role").as_ref().and_then(Value::as_str).is_none() {
                let fields: Vec<String> =
                    message.try_iter().into_iter().flatten().map(|key| key.to_string()).collect();
                return Err(ChatError::NoRole { number: index + 1, fields: fields.join(", ") });
            }
        }
        let messages = messages.iter().map(normalized).collect();
        Ok(Self { messages, ..Self::default() })
    }

    /// Adds the tools that the assistant may call: a JSON list of objects, `null`, or
    /// nothing.
    ///
    /// # Errors
    /// [`ChatError::Json`] and [`ChatError::NotObjects`].
    pub fn with_tools(mut self, tools: &str) -> Result<Self, ChatError> {
        self.tools = optional_objects("tools", tools)?;
        Ok(self)
    }

    /// Adds documents for retrieval-augmented generation: a JSON list of objects, or `null`.
    ///
    /// # Errors
    /// [`ChatError::Json`] and [`ChatError::NotObjects`].
    pub fn with_documents(mut self, documents: &str) -> Result<Self, ChatError> {
        self.documents = optional_objects("documents", documents)?;
        Ok(self)
    }

    /// Adds variables of the template, such as `enable_thinking`: a JSON object, or `null`.
    ///
    /// # Errors
    /// [`ChatError::Json`] and [`ChatError::NotObjects`].
    pub fn with_variables(mut self, variables: &str) -> Result<Self, ChatError> {
        let value = parse("variables", variables)?;
        if value.is_none() {
            return Ok(self);
        }
        if value.kind() != ValueKind::Map {
            let found = value.kind().to_string();
            return Err(ChatError::NotObjects { part: "variables", found });
        }
        let keys = value.try_iter().into_iter().flatten();
        self.variables = keys
            .filter_map(|key| Some((key.as_str()?.to_owned(), value.get_item(&key).ok()?)))
            .collect();
        Ok(self)
    }

    /// Appends a message of plain text.
    pub fn push(&mut self, role: &str, content: &str) {
        self.messages.push(Value::from_pairs([("role", role), ("content", content)]));
    }

    /// Number of messages.
    pub fn len(&self) -> usize {
        self.messages.len()
    }

    /// Returns whether the conversation has no messages.
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// The role of a message.
    pub fn role(&self, index: usize) -> Option<String> {
        field(self.messages.get(index)?, "role")?.as_str().map(str::to_owned)
    }

    /// Returns whether the assistant wrote a message.
    pub(crate) fn is_assistant(&self, index: usize) -> bool {
        self.role(index).is_some_and(|role| matches!(role.as_str(), "assistant" | "model"))
    }

    /// The same conversation with only its first `count` messages.
    pub(crate) fn first(&self, count: usize) -> Self {
        Self { messages: self.messages[..count.min(self.messages.len())].to_vec(), ..self.clone() }
    }

    /// The same conversation with another text as the content of one message.
    pub(crate) fn with_content(&self, index: usize, content: &str) -> Self {
        let mut changed = self.clone();
        if let Some(message) = changed.messages.get_mut(index) {
            *message = with_field(message, "content", Value::from(content));
        }
        changed
    }

    /// The same conversation with another last message.
    pub(crate) fn with_last(&self, message: Value) -> Self {
        let mut changed = self.clone();
        changed.messages.pop();
        changed.messages.push(message);
        changed
    }

    pub(crate) fn last(&self) -> Option<&Value> {
        self.messages.last()
    }

    /// The content of a message, if it is text.
    pub(crate) fn text(&self, index: usize) -> Option<String> {
        field(self.messages.get(index)?, "content")?.as_str().map(str::to_owned)
    }

    /// What the template sees, except the special tokens.
    pub(crate) fn variables(&self) -> Vec<(String, Value)> {
        let none = || Value::from(());
        let fixed = [
            ("messages".to_owned(), Value::from(self.messages.clone())),
            ("tools".to_owned(), self.tools.clone().unwrap_or_else(none)),
            ("documents".to_owned(), self.documents.clone().unwrap_or_else(none)),
        ];
        self.variables.iter().cloned().chain(fixed).collect()
    }

    /// Returns whether the assistant may call tools.
    pub fn has_tools(&self) -> bool {
        self.tools.is_some()
    }
}

/// A field of an object; `None` if it is missing or null.
pub(crate) fn field(object: &Value, name: &str) -> Option<Value> {
    object.get_attr(name).ok().filter(|value| !value.is_undefined() && !value.is_none())
}

/// An object with one field replaced or added.
pub(crate) fn with_field(object: &Value, name: &str, value: Value) -> Value {
    let mut fields: Vec<(Value, Value)> = pairs(object);
    match fields.iter_mut().find(|(key, _)| key.as_str() == Some(name)) {
        Some((_, old)) => *old = value,
        None => fields.push((Value::from(name), value)),
    }
    Value::from_pairs(fields)
}

fn pairs(object: &Value) -> Vec<(Value, Value)> {
    let keys = object.try_iter().into_iter().flatten();
    keys.filter_map(|key| object.get_item(&key).ok().map(|value| (key, value))).collect()
}

/// A message without null fields, and with its reasoning under every name that templates read, as
/// in transformers.
fn normalized(message: &Value) -> Value {
    let mut fields = pairs(message);
    fields.retain(|(_, value)| !value.is_none());
    let Some(reasoning) = REASONING.iter().find_map(|name| field(message, name)) else {
        return Value::from_pairs(fields);
    };
    let has_thinking = fields.iter().any(|(key, _)| key.as_str() == Some("thinking"));
    if !has_thinking {
        fields.insert(0, (Value::from("thinking"), reasoning.clone()));
    }
    with_field(&Value::from_pairs(fields), REASONING[0], reasoning)
}

fn parse(part: &'static str, json: &str) -> Result<Value, ChatError> {
    serde_json::from_str(json).map_err(|source| ChatError::Json { part, source })
}

fn optional_objects(part: &'static str, json: &str) -> Result<Option<Value>, ChatError> {
    if json.trim().is_empty() || parse(part, json)?.is_none() {
        return Ok(None);
    }
    objects(part, json).map(|list| Some(Value::from(list)))
}

/// A JSON list of objects.
fn objects(part: &'static str, json: &str) -> Result<Vec<Value>, ChatError> {
    let value = parse(part, json)?;
    let not_objects = |found: String| ChatError::NotObjects { part, found };
    if value.kind() != ValueKind::Seq {
        return Err(not_objects(kind_name(&value).to_owned()));
    }
    let items: Vec<Value> = value.try_iter().into_iter().flatten().collect();
    match items.iter().position(|item| item.kind() != ValueKind::Map) {
        Some(at) => Err(not_objects(format!("{} at item {}", kind_name(&items[at]), at + 1))),
        None => Ok(items),
    }
}

/// The JSON name of a value, with its article.
fn kind_name(value: &Value) -> &'static str {
    match value.kind() {
        ValueKind::None => "null",
        ValueKind::Bool => "a boolean",
        ValueKind::Number => "a number",
        ValueKind::String => "a string",
        ValueKind::Seq => "a list",
        _ => "an object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(json: &str) -> String {
        Conversation::from_json(json).unwrap_err().to_string()
    }

    #[test]
    fn an_invalid_conversation_is_refused_with_its_place() {
        assert_eq!(message("[]"), "the conversation has no messages");
        assert_eq!(message("{}"), "the messages must be a list of objects, got an object");
        assert_eq!(
            message(r#"[{"role":"user"}, 5]"#),
            "the messages must be a list of objects, got a number at item 2"
        );
        assert_eq!(
            message(r#"[{"from":"human","value":"x"}]"#),
            "message 1 has no `role` (its fields: from, value)"
        );
        assert_eq!(message("[{]"), "the messages are not valid JSON");
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(message(&deep), "the messages are not valid JSON");
    }

    #[test]
    fn null_fields_are_dropped_and_reasoning_has_both_names() {
        let chat = Conversation::from_json(
            r#"[{"role":"assistant","content":null,"reasoning":"why","z":1,"a":2}]"#,
        )
        .unwrap();
        assert_eq!(
            chat.messages[0].to_string(),
            "{'thinking': 'why', 'role': 'assistant', 'reasoning': 'why', 'z': 1, 'a': 2, \
             'reasoning_content': 'why'}"
        );
    }
}
