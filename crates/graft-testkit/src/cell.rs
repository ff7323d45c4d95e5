//! The messages of one cell.

use crate::Message;

/// The reply to a cell, and its published messages between `busy` and `idle`.
#[derive(Debug)]
pub struct Cell {
    /// The `execute_reply`.
    pub reply: Message,
    /// The published messages, except the status and `execute_input`.
    pub outputs: Vec<Message>,
    /// Whether `execute_input` was published.
    pub announced: bool,
}

impl Cell {
    /// Message types of the outputs, in order.
    pub fn kinds(&self) -> Vec<&str> {
        self.outputs.iter().map(Message::kind).collect()
    }

    /// Concatenated text of a stream.
    pub fn stream(&self, name: &str) -> String {
        let texts = self
            .outputs
            .iter()
            .filter(|message| message.kind() == "stream" && message.content["name"] == name);
        texts.filter_map(|message| message.content["text"].as_str()).collect()
    }

    /// Status of the reply: `ok` or `error`.
    pub fn status(&self) -> &str {
        self.reply.content["status"].as_str().unwrap_or_default()
    }

    /// The outputs of one message type.
    pub fn of(&self, kind: &str) -> Vec<&Message> {
        self.outputs.iter().filter(|message| message.kind() == kind).collect()
    }
}
