//! The examples of a data set while it is read: their texts are gathered in chunks.

use std::sync::Arc;

use super::Text;
use super::dataset::{Conversation, Example, Extra, SplitName};
use super::text::{Span, TextChunk};

/// The texts of an example that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content<'a> {
    Text(&'a str),
    Completion { prompt: &'a str, completion: &'a str },
    Labeled { prompt: &'a str, label: usize },
    Pair { prompt: &'a str, texts: (&'a str, &'a str), label: usize },
    Preference { prompt: &'a str, chosen: &'a str, rejected: &'a str },
    PreferredMessages { chosen: &'a str, rejected: &'a str, prompt_messages: usize },
    Chat { messages: &'a str, tools: &'a str, prompt_messages: usize },
}

/// Collects examples.
#[derive(Default)]
pub(crate) struct Examples {
    chunk: TextChunk,
    waiting: Vec<Waiting>,
    done: Vec<Example>,
    splits: Vec<Option<SplitName>>,
}

/// An example whose texts are in the open chunk.
struct Waiting {
    prompt: Span,
    completion: Span,
    label: Option<usize>,
    extra: WaitingExtra,
}

enum WaitingExtra {
    None,
    Pair(Span, Span),
    Rejected(Span),
    RejectedConversation { chosen: Span, rejected: Span, prompt_messages: usize },
    Conversation { messages: Span, tools: Span, prompt_messages: usize },
}

impl Examples {
    /// Adds an example.
    pub(crate) fn push(&mut self, content: Content<'_>, split: Option<SplitName>) {
        if self.chunk.is_full() {
            self.close();
        }
        let mut add = |text: &str| self.chunk.add(&[text]);
        let plain = |prompt, completion| Waiting {
            prompt,
            completion,
            label: None,
            extra: WaitingExtra::None,
        };
        let waiting = match content {
            Content::Text(text) => plain(Span::default(), add(text)),
            Content::Completion { prompt, completion } => plain(add(prompt), add(completion)),
            Content::Labeled { prompt, label } => {
                Waiting { label: Some(label), ..plain(add(prompt), Span::default()) }
            }
            Content::Pair { prompt, texts, label } => {
                let extra = WaitingExtra::Pair(add(texts.0), add(texts.1));
                Waiting { label: Some(label), extra, ..plain(add(prompt), Span::default()) }
            }
            Content::Preference { prompt, chosen, rejected } => Waiting {
                extra: WaitingExtra::Rejected(add(rejected)),
                ..plain(add(prompt), add(chosen))
            },
            Content::PreferredMessages { chosen, rejected, prompt_messages } => Waiting {
                extra: WaitingExtra::RejectedConversation {
                    chosen: add(chosen),
                    rejected: add(rejected),
                    prompt_messages,
                },
                ..plain(Span::default(), Span::default())
            },
            Content::Chat { messages, tools, prompt_messages } => Waiting {
                extra: WaitingExtra::Conversation {
                    messages: add(messages),
                    tools: add(tools),
                    prompt_messages,
                },
                ..plain(Span::default(), Span::default())
            },
        };
        self.waiting.push(waiting);
        self.splits.push(split);
    }

    /// Number of examples.
    pub(crate) fn len(&self) -> usize {
        self.splits.len()
    }

    /// The examples and the split that the data gives each of them.
    pub(crate) fn finish(mut self) -> (Vec<Example>, Vec<Option<SplitName>>) {
        self.close();
        (self.done, self.splits)
    }

    fn close(&mut self) {
        let chunk = self.chunk.close();
        self.done.extend(self.waiting.drain(..).map(|waiting| waiting.example(&chunk)));
    }
}

impl Waiting {
    fn example(self, chunk: &Arc<String>) -> Example {
        let text = |span: Span| -> Text { span.text(chunk) };
        let extra = match self.extra {
            WaitingExtra::None => None,
            WaitingExtra::Pair(first, second) => Some(Extra::Pair(text(first), text(second))),
            WaitingExtra::Rejected(answer) => Some(Extra::Rejected(text(answer))),
            WaitingExtra::RejectedConversation { chosen, rejected, prompt_messages } => {
                let (chosen, rejected) = (text(chosen), text(rejected));
                Some(Extra::RejectedConversation { chosen, rejected, prompt_messages })
            }
            WaitingExtra::Conversation { messages, tools, prompt_messages } => {
                Some(Extra::Conversation(Conversation {
                    messages: text(messages),
                    tools: text(tools),
                    prompt_messages,
                }))
            }
        };
        Example {
            prompt: text(self.prompt),
            completion: text(self.completion),
            label: self.label,
            extra: extra.map(Box::new),
        }
    }
}
