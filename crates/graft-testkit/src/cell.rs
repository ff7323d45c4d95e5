//! What one cell sent.

use crate::Message;

/// The messages of one cell between `busy` and `idle`, and its reply.
#[derive(Debug)]
pub struct Cell {
    /// `execute_reply`.
    pub reply: Message,
    /// What was published, without the two states and `execute_input`.
    pub outputs: Vec<Message>,
    /// Whether `execute_input` was published.
    pub announced: bool,
}

impl Cell {
    /// Types of the outputs, in order.
    pub fn kinds(&self) -> Vec<&str> {
        self.outputs.iter().map(Message::kind).collect()
    }

    /// Text of a stream, joined.
    pub fn stream(&self, name: &str) -> String {
        let texts = self
            .outputs
            .iter()
            .filter(|message| message.kind() == "stream" && message.content["name"] == name);
        texts.filter_map(|message| message.content["text"].as_str()).collect()
    }

    /// `ok` or `error`.
    pub fn status(&self) -> &str {
        self.reply.content["status"].as_str().unwrap_or_default()
    }

    /// The outputs of one type.
    pub fn of(&self, kind: &str) -> Vec<&Message> {
        self.outputs.iter().filter(|message| message.kind() == kind).collect()
    }
}
