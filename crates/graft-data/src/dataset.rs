//! A data set in memory.

use std::borrow::Cow;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};

use graft_random::StableHasher;

use super::{ChatTemplateChoice, ReadReport, Text};

/// One example.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Example {
    /// The input of the model; empty for plain text and conversations.
    pub prompt: Text,
    /// The output to learn, which alone has a loss; of a preference the chosen answer. Empty for
    /// conversations.
    pub completion: Text,
    /// Index of its label in [`Kind::Labels`].
    pub label: Option<usize>,
    /// What only some kinds of examples have.
    pub extra: Option<Box<Extra>>,
}

/// What only some kinds of examples have.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Extra {
    /// Two texts that are classified together; the prompt contains both.
    Pair(Text, Text),
    /// The answer that was not chosen.
    Rejected(Text),
    /// A preference between two conversations, each as a JSON list of messages. They start with the
    /// same `prompt_messages` messages.
    RejectedConversation {
        /// The conversation with the chosen answer.
        chosen: Text,
        /// The conversation with the rejected answer.
        rejected: Text,
        /// Number of messages at the start that are the prompt.
        prompt_messages: usize,
    },
    /// A conversation.
    Conversation(Conversation),
}

/// A conversation as JSON, in the form of the OpenAI API.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Conversation {
    /// A list of messages with `role` and `content`, and `tool_calls` where there are any.
    pub messages: Text,
    /// A list of the available tools; empty without tools.
    pub tools: Text,
    /// Number of messages at the start that are a prompt, without loss; 0 if every message of the
    /// assistant has a loss.
    pub prompt_messages: usize,
}

/// The kind of the examples.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// Plain text.
    Text,
    /// Prompts with completions.
    Completion,
    /// Text, or pairs of texts, with one of these labels; integers in numeric order, others in
    /// alphabetic order.
    Labels(Vec<String>),
    /// Conversations, see [`Conversation`].
    Chat,
    /// A prompt with a chosen and a rejected answer.
    Preference,
}

/// A named set of examples with three splits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dataset {
    /// The name.
    pub name: String,
    /// The kind of the examples.
    pub kind: Kind,
    /// Prompt template, with `{text}` for labeled examples and `{prompt}` for instructions; empty
    /// for other kinds.
    pub template: String,
    /// Whether the user gave the template. Otherwise an encoder reads the text without it.
    pub is_template_given: bool,
    /// The chat template of conversations that the user chose instead of the tokenizer's own.
    pub chat_template: Option<ChatTemplateChoice>,
    /// Examples for training.
    pub train: Vec<Example>,
    /// Examples for validation during training.
    pub validation: Vec<Example>,
    /// Examples for the final evaluation.
    pub test: Vec<Example>,
    /// How the data was read.
    pub report: ReadReport,
}

/// The name of a split.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SplitName {
    /// Examples for training.
    Train,
    /// Examples for validation during training.
    Validation,
    /// Examples for the final evaluation.
    Test,
}

impl SplitName {
    /// All three, in order.
    pub const ALL: [Self; 3] = [Self::Train, Self::Validation, Self::Test];

    /// Parses a name, in the spellings used by data sets, such as `valid` or `dev`.
    pub fn parse(name: &str) -> Option<Self> {
        match name.to_ascii_lowercase().as_str() {
            "train" | "training" => Some(Self::Train),
            "validation" | "valid" | "val" | "dev" => Some(Self::Validation),
            "test" => Some(Self::Test),
            _ => None,
        }
    }

    /// The name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Validation => "validation",
            Self::Test => "test",
        }
    }
}

impl fmt::Display for SplitName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Dataset {
    /// The examples of a split.
    pub fn split(&self, split: SplitName) -> &[Example] {
        match split {
            SplitName::Train => &self.train,
            SplitName::Validation => &self.validation,
            SplitName::Test => &self.test,
        }
    }

    /// The examples of a split that an evaluation of at most `most` examples scores: the first
    /// ones. Every score and every [`Self::majority`] that is compared with one is over these.
    pub fn scored(&self, split: SplitName, most: usize) -> &[Example] {
        let all = self.split(split);
        &all[..all.len().min(most)]
    }

    /// Fraction of `examples` with the most common label among them: the best accuracy of a
    /// constant answer. `None` without labels or examples.
    ///
    /// The label is the most common one of these examples, not of the training split: where several
    /// labels are equally common in training, one of them could be rare here, and guessing at
    /// random would exceed the baseline.
    pub fn majority(&self, examples: &[Example]) -> Option<f64> {
        let most = self.counts(examples).into_iter().max()?;
        (!examples.is_empty()).then(|| most as f64 / examples.len() as f64)
    }

    /// Number of examples with each label.
    pub(crate) fn counts<'a>(&self, examples: impl IntoIterator<Item = &'a Example>) -> Vec<usize> {
        let mut counts = vec![0; self.labels().len()];
        for label in examples.into_iter().filter_map(|example| example.label) {
            counts[label] += 1;
        }
        counts
    }

    /// The labels; empty for other kinds.
    pub fn labels(&self) -> &[String] {
        match &self.kind {
            Kind::Labels(labels) => labels,
            _ => &[],
        }
    }

    /// A hash of the examples, independent of the name and the origin of the data set. It may
    /// change between versions of the program; [`Self::content_fingerprint`] does not.
    pub fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        (
            self.labels(),
            &self.template,
            self.is_template_given,
            &self.chat_template,
            &self.train,
            &self.validation,
            &self.test,
        )
            .hash(&mut hasher);
        hasher.finish()
    }

    /// Fingerprint of the examples, the labels and the templates. It does not depend on the name or
    /// the origin of the data set. Ledgers store it, so it does not change between versions.
    pub fn content_fingerprint(&self) -> String {
        let mut hasher = StableHasher::new();
        hasher.number(self.labels().len() as u64);
        self.labels().iter().for_each(|label| hasher.text(label));
        hasher.text(&self.template);
        // Nothing without a choice: fingerprints of earlier versions stay valid.
        if let Some(ChatTemplateChoice { name, source }) = &self.chat_template {
            hasher.text(source.as_ref().unwrap_or(name));
        }
        for split in [&self.train, &self.validation, &self.test] {
            hasher.number(split.len() as u64);
            for example in split {
                hasher.text(&example.prompt);
                hasher.text(&example.completion);
                hasher.number(example.label.map_or(u64::MAX, |label| label as u64));
                if let Some(extra) = &example.extra {
                    extra.texts().iter().for_each(|text| hasher.text(text));
                }
            }
        }
        hasher.finish()
    }

    /// The conversation of an example, if it is one.
    pub fn conversation<'a>(&self, example: &'a Example) -> Option<&'a Conversation> {
        match example.extra.as_deref() {
            Some(Extra::Conversation(conversation)) => Some(conversation),
            _ => None,
        }
    }

    /// Whether the labeled examples are pairs of texts.
    pub fn has_pairs(&self) -> bool {
        let mut splits = [&self.train, &self.validation, &self.test].into_iter();
        let first = splits.find_map(|split| split.first());
        first.is_some_and(|example| matches!(example.extra.as_deref(), Some(Extra::Pair(..))))
    }

    /// The text of a labeled example, without the template.
    pub fn text_of<'a>(&self, example: &'a Example) -> &'a str {
        if let Some(Extra::Pair(text, _)) = example.extra.as_deref() {
            return text;
        }
        let (before, after) = self.template.split_once("{text}").unwrap_or_default();
        let text = example.prompt.strip_prefix(before).unwrap_or(&example.prompt);
        text.strip_suffix(after).unwrap_or(text)
    }

    /// The input of an encoder: the text without the template unless the user gave one; for other
    /// kinds, prompt and completion.
    pub fn text_for_encoder<'a>(&self, example: &'a Example) -> Cow<'a, str> {
        match self.kind {
            Kind::Labels(_) if self.is_template_given => Cow::Borrowed(&example.prompt),
            Kind::Labels(_) => Cow::Borrowed(self.text_of(example)),
            _ => Cow::Owned(format!("{}{}", example.prompt, example.completion)),
        }
    }

    /// The completion for a label: a space and the label.
    pub fn label_completion(label: &str) -> String {
        format!(" {label}")
    }
}

impl Extra {
    /// All texts.
    fn texts(&self) -> Vec<&Text> {
        match self {
            Self::Pair(text, pair) => vec![text, pair],
            Self::Rejected(text) => vec![text],
            Self::RejectedConversation { chosen, rejected, .. } => vec![chosen, rejected],
            Self::Conversation(Conversation { messages, tools, .. }) => vec![messages, tools],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse_inline;

    fn data(text: &str) -> Dataset {
        parse_inline("any", text, &graft_spec::Settings::default()).expect("parses")
    }

    #[test]
    fn the_fingerprint_of_data_is_that_of_earlier_versions_and_changes_with_a_letter() {
        let text = "{\"prompt\": \"a\", \"completion\": \" b\"}\n";
        let one = data(text);
        assert_ne!(one.content_fingerprint(), data(&text.replace('b', "c")).content_fingerprint());
        let renamed = Dataset { name: "else".to_owned(), ..one.clone() };
        assert_eq!(one.content_fingerprint(), renamed.content_fingerprint());
    }

    #[test]
    fn the_fingerprint_changes_with_the_chosen_chat_template() {
        let text = "{\"messages\": [{\"role\": \"assistant\", \"content\": \"a\"}]}\n";
        let own = data(text);
        let chosen = |name: &str, source: Option<&str>| {
            let source = source.map(str::to_owned);
            let choice = ChatTemplateChoice { name: name.to_owned(), source };
            Dataset { chat_template: Some(choice), ..own.clone() }.content_fingerprint()
        };
        assert_ne!(own.content_fingerprint(), chosen("chatml", None));
        assert_ne!(chosen("chatml", None), chosen("plain", None));
        assert_ne!(chosen("a.jinja", Some("1")), chosen("a.jinja", Some("2")));
        assert_eq!(chosen("a.jinja", Some("1")), chosen("b.jinja", Some("1")));
    }

    #[test]
    fn the_fingerprint_of_a_preference_changes_with_the_rejected_answer() {
        let text = "{\"prompt\": \"a\", \"chosen\": \"b\", \"rejected\": \"c\"}\n";
        assert_ne!(
            data(text).content_fingerprint(),
            data(&text.replace("\"c\"", "\"d\"")).content_fingerprint()
        );
    }
}
