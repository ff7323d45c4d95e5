//! Which characters of a conversation carry loss.

use std::ops::Range;

use crate::{ChatError, ChatTemplate, Conversation, Ending, prefixes};

/// The part of a conversation that a model learns to write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LossOn {
    /// Every message of the assistant.
    #[default]
    Assistant,
    /// The last message, which the assistant must have written.
    Completion,
    /// The messages of the assistant from this one on, counted from 0: the completion of a prompt
    /// that is a conversation itself.
    From(usize),
    /// The whole text.
    All,
}

impl LossOn {
    /// The values of `loss_on`.
    pub const NAMES: [&'static str; 3] = ["assistant", "completion", "all"];

    /// Reads a value of `loss_on`.
    ///
    /// # Errors
    /// [`ChatError::LossOn`].
    pub fn parse(value: &str) -> Result<Self, ChatError> {
        match value {
            "assistant" => Ok(Self::Assistant),
            "completion" => Ok(Self::Completion),
            "all" => Ok(Self::All),
            _ => Err(ChatError::LossOn { value: value.to_owned() }),
        }
    }
}

/// The text of a conversation, and the byte ranges of it that carry loss.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Loss {
    /// The rendered conversation.
    pub text: String,
    /// Ranges in ascending order.
    pub ranges: Vec<Range<usize>>,
}

impl Loss {
    /// Renders a conversation and finds the characters that carry loss.
    ///
    /// The ranges come from `{% generation %}` if the template has it, and otherwise from the text
    /// of the conversation's beginnings: the answer to a prefix starts where the rendered prefix
    /// ends.
    ///
    /// # Errors
    /// Those of [`ChatTemplate::render`], [`ChatError::NothingToLearn`] and
    /// [`ChatError::MaskNotFound`].
    pub fn find(
        template: &ChatTemplate,
        chat: &Conversation,
        loss_on: LossOn,
    ) -> Result<Self, ChatError> {
        let rendered = template.render(chat, Ending::Complete)?;
        if loss_on == LossOn::All {
            let end = rendered.text.len();
            return Ok(Self { text: rendered.text, ranges: std::iter::once(0..end).collect() });
        }
        let learned = learned(chat, loss_on)?;
        let ranges = if template.has_generation() {
            let known = match loss_on {
                LossOn::Completion | LossOn::From(_) => earlier(template, chat, learned[0])?,
                LossOn::Assistant | LossOn::All => 0,
            };
            rendered.generated.into_iter().skip(known).collect()
        } else {
            prefixes::find(template, chat, &rendered.text, &learned)?
        };
        let ranges: Vec<_> = ranges.into_iter().filter(|range| !range.is_empty()).collect();
        if ranges.is_empty() {
            let reason = "the template writes no text for the assistant's messages".to_owned();
            return Err(ChatError::NothingToLearn { reason });
        }
        Ok(Self { text: rendered.text, ranges })
    }
}

/// The indices of the messages to learn.
fn learned(chat: &Conversation, loss_on: LossOn) -> Result<Vec<usize>, ChatError> {
    let last = chat.len() - 1;
    let role = |index| chat.role(index).unwrap_or_default();
    if loss_on == LossOn::Completion {
        if !chat.is_assistant(last) {
            let reason = format!(
                "`loss_on=completion` learns the last message, and `{}` wrote it",
                role(last)
            );
            return Err(ChatError::NothingToLearn { reason });
        }
        return Ok(vec![last]);
    }
    let from = if let LossOn::From(from) = loss_on { from } else { 0 };
    let found: Vec<usize> = (from..chat.len()).filter(|index| chat.is_assistant(*index)).collect();
    if found.is_empty() {
        let mut roles: Vec<String> = (from..chat.len()).map(role).collect();
        roles.dedup();
        let reason = format!("no message has the role `assistant` (roles: {})", roles.join(", "));
        return Err(ChatError::NothingToLearn { reason });
    }
    Ok(found)
}

/// The number of generation blocks before a message.
fn earlier(
    template: &ChatTemplate,
    chat: &Conversation,
    message: usize,
) -> Result<usize, ChatError> {
    if message == 0 {
        return Ok(0);
    }
    let before = template.render_any(&chat.first(message), Ending::Complete)?;
    Ok(before.generated.len())
}
