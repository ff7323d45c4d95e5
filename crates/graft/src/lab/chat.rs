//! Conversations with the model.

use graft_session::verbs;

use crate::{Chat, Generated, Lab, Result, Table};

impl Lab {
    /// Says something to the model through its chat template, and returns the answer. The
    /// conversation is the one of `%chat`.
    ///
    /// # Errors
    /// If no model is loaded, it has no chat template, or the template refuses the conversation;
    /// `session::interrupted` if it was stopped.
    ///
    /// # Examples
    /// ```
    /// use graft::prelude::*;
    ///
    /// # fn main() -> graft::Result<()> {
    /// lab().load_model("tiny")?; // a base model, so it needs a template
    /// let answer = lab().chat("Hello", Chat::new().chat_template("plain").max_new_tokens(8))?;
    /// println!("{}", answer.text());
    /// # Ok(())
    /// # }
    /// ```
    pub fn chat(&self, text: &str, options: Chat) -> Result<Generated> {
        let text = text.to_owned();
        self.read_model("answering", move |cx| verbs::chat::quietly(cx, &text, &options.into()))
            .map(Generated::new)
    }

    /// The messages of the conversation.
    pub fn conversation(&self) -> Result<Table> {
        self.read(|cx| Ok(verbs::chat::table(cx))).map(Table::from)
    }

    /// Starts a new conversation.
    pub fn reset_chat(&self) -> Result<()> {
        self.read(|cx| {
            verbs::chat::reset(cx);
            Ok(())
        })
    }
}
