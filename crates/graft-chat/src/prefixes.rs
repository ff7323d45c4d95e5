//! The text of assistant messages in a template without `{% generation %}`.
//!
//! A message starts where the conversation before it ends, rendered with the start of an answer. It
//! ends where the conversation up to it ends. Templates may write a message differently once others
//! follow, for example without its reasoning. Then a marker in place of the message's content shows
//! where the content is, and the text after the marker at the end of a conversation shows the end.

use std::ops::Range;

use crate::{ChatError, ChatTemplate, Conversation, Ending, python};

/// Text that occurs in no conversation and that no template changes.
const MARKER: &str = "GRAFTxMARKERx7f3a9c51";

/// A search in one rendered conversation.
struct Search<'a> {
    template: &'a ChatTemplate,
    chat: &'a Conversation,
    whole: &'a str,
}

/// The byte ranges of messages in a rendered conversation.
pub(crate) fn find(
    template: &ChatTemplate,
    chat: &Conversation,
    whole: &str,
    messages: &[usize],
) -> Result<Vec<Range<usize>>, ChatError> {
    let search = Search { template, chat, whole };
    let (_, whitespace) = message_end(template);
    let mut ranges: Vec<Range<usize>> = Vec::new();
    for &index in messages {
        let mut range = search.message(index)?;
        if !whitespace.is_empty() && whole[range.clone()].ends_with(whitespace.as_str()) {
            range.end -= whitespace.len();
        }
        if ranges.last().is_some_and(|before| before.end > range.start) {
            return Err(search.lost(index, "the template changes the order of the messages"));
        }
        ranges.push(range);
    }
    Ok(ranges)
}

/// The text that a template writes after a message of the assistant, and the whitespace after it.
/// The model does not write the whitespace: generation stops at the token before it.
pub(crate) fn message_end(template: &ChatTemplate) -> &(String, String) {
    template.message_end.get_or_init(|| probe(template))
}

fn probe(template: &ChatTemplate) -> (String, String) {
    let mut probe = Conversation::default();
    probe.push("user", "a");
    probe.push("assistant", MARKER);
    let rendered = template.render_any(&probe, Ending::Complete);
    let text = rendered.map(|it| it.text).unwrap_or_default();
    let after = text.split_once(MARKER).map_or("", |(_, after)| after);
    let end = python::strip_end(after);
    let whitespace = if end.is_empty() { "" } else { &after[end.len()..] };
    (end.to_owned(), whitespace.to_owned())
}

impl Search<'_> {
    fn lost(&self, index: usize, reason: &'static str) -> ChatError {
        let template = self.template.name().to_owned();
        ChatError::MaskNotFound { template, number: index + 1, reason }
    }

    /// The text of the first messages, or `None` if the template refuses them.
    fn beginning(&self, count: usize, ending: Ending) -> Option<String> {
        self.template.render_any(&self.chat.first(count), ending).ok().map(|it| it.text)
    }

    fn message(&self, index: usize) -> Result<Range<usize>, ChatError> {
        let prompt = self.beginning(index, Ending::GenerationPrompt);
        let through = if index + 1 == self.chat.len() {
            Some(self.whole.to_owned())
        } else {
            self.beginning(index + 1, Ending::Complete)
        };
        if let (Some(prompt), Some(through)) = (&prompt, &through)
            && self.whole.starts_with(through.as_str())
            && through.starts_with(prompt.as_str())
        {
            return Ok(prompt.len()..through.len());
        }
        self.by_marker(index, prompt.as_deref())
    }

    /// Finds a message by its content, and extends it to its start and its end.
    fn by_marker(&self, index: usize, prompt: Option<&str>) -> Result<Range<usize>, ChatError> {
        let lost = |reason| self.lost(index, reason);
        if self.chat.text(index).is_none_or(|text| text.is_empty()) {
            return Err(lost(
                "its content is not a text, and the messages before it are written differently without it",
            ));
        }
        let marked = self.chat.with_content(index, MARKER);
        let text = self.template.render_any(&marked, Ending::Complete)?.text;
        let (before, after) = text
            .split_once(MARKER)
            .ok_or_else(|| lost("the template does not write its content"))?;
        let content = if self.whole.starts_with(before)
            && self.whole.ends_with(after)
            && before.len() + after.len() <= self.whole.len()
        {
            before.len()..self.whole.len() - after.len()
        } else {
            return Err(lost("the template writes other messages differently because of it"));
        };
        let start = prompt.map_or(content.start, |prompt| self.start(index, prompt, &content));
        let last = marked.first(index + 1);
        let last = self.template.render_any(&last, Ending::Complete).map(|it| it.text);
        let tail = last.unwrap_or_default();
        let tail = tail.split_once(MARKER).map_or("", |(_, tail)| tail);
        Ok(start..content.end + common(tail, &self.whole[content.end..]))
    }

    /// The start of a message: where the start of an answer stops being the conversation's text.
    fn start(&self, index: usize, prompt: &str, content: &Range<usize>) -> usize {
        let history = self.beginning(index, Ending::Complete).unwrap_or_default();
        let shared = common(prompt, self.whole);
        if self.whole.starts_with(&history) && shared >= history.len() {
            shared.min(content.start)
        } else {
            content.start
        }
    }
}

/// Length of the longest common beginning, in whole characters.
fn common(one: &str, other: &str) -> usize {
    one.chars().zip(other.chars()).take_while(|(a, b)| a == b).map(|(a, _)| a.len_utf8()).sum()
}
