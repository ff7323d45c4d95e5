//! A data set in memory.

use std::borrow::Cow;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};

use super::ReadReport;

/// One example.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Example {
    /// What the model is given; empty for running text.
    pub prompt: String,
    /// What it should write; the loss counts this only.
    pub completion: String,
    /// Index of its label in [`Kind::Labels`].
    pub label: Option<usize>,
}

/// What the examples are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Running text.
    Text,
    /// Prompts with completions.
    Completion,
    /// Text with one of these labels, integers in numeric order and others in alphabetic order.
    Labels(Vec<String>),
}

/// A named set of examples in three parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dataset {
    /// Its name.
    pub name: String,
    /// What the examples are.
    pub kind: Kind,
    /// Prompt around the text of labelled examples, with `{text}`; empty for other kinds.
    pub template: String,
    /// Whether the user gave the template: an encoder reads the text alone otherwise.
    pub is_template_given: bool,
    /// What is trained on.
    pub train: Vec<Example>,
    /// What is watched during training.
    pub validation: Vec<Example>,
    /// What is reported.
    pub test: Vec<Example>,
    /// How it was read.
    pub report: ReadReport,
}

/// One of the three parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SplitName {
    /// What is trained on.
    Train,
    /// What is watched during training.
    Validation,
    /// What is reported.
    Test,
}

impl SplitName {
    /// All three, in order.
    pub const ALL: [Self; 3] = [Self::Train, Self::Validation, Self::Test];

    /// Reads a name, in the spellings that data sets use.
    pub fn parse(name: &str) -> Option<Self> {
        match name.to_ascii_lowercase().as_str() {
            "train" | "training" => Some(Self::Train),
            "validation" | "valid" | "val" | "dev" => Some(Self::Validation),
            "test" => Some(Self::Test),
            _ => None,
        }
    }

    /// Its name.
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
    /// The examples of one part.
    pub fn split(&self, split: SplitName) -> &[Example] {
        match split {
            SplitName::Train => &self.train,
            SplitName::Validation => &self.validation,
            SplitName::Test => &self.test,
        }
    }

    /// Share of `examples` that have the commonest label of the training part: what is right without reading. None without labels or examples.
    pub fn majority(&self, examples: &[Example]) -> Option<f64> {
        let counts = self.counts(&self.train);
        // Of equally common labels the first, so that the figure does not depend on the order of a map.
        let commonest = (0..counts.len()).rev().max_by_key(|label| counts[*label])?;
        let right = examples.iter().filter(|example| example.label == Some(commonest)).count();
        (!examples.is_empty()).then(|| right as f64 / examples.len() as f64)
    }

    /// How often each label occurs.
    pub(super) fn counts<'a>(&self, examples: impl IntoIterator<Item = &'a Example>) -> Vec<usize> {
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
            Kind::Text | Kind::Completion => &[],
        }
    }

    /// A number that other examples do not have, whatever the set is called and wherever it was read from. Good for one version of the program: its
    /// hash function may change with the next.
    pub fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        (
            self.labels(),
            &self.template,
            self.is_template_given,
            &self.train,
            &self.validation,
            &self.test,
        )
            .hash(&mut hasher);
        hasher.finish()
    }

    /// The text of a labelled example, without the template around it.
    pub fn text_of<'a>(&self, example: &'a Example) -> &'a str {
        let (before, after) = self.template.split_once("{text}").unwrap_or_default();
        let text = example.prompt.strip_prefix(before).unwrap_or(&example.prompt);
        text.strip_suffix(after).unwrap_or(text)
    }

    /// What an encoder reads of an example: the text alone unless the user gave a template; of other kinds prompt and completion.
    pub fn text_for_encoder<'a>(&self, example: &'a Example) -> Cow<'a, str> {
        match self.kind {
            Kind::Labels(_) if self.is_template_given => Cow::Borrowed(&example.prompt),
            Kind::Labels(_) => Cow::Borrowed(self.text_of(example)),
            Kind::Text | Kind::Completion => {
                Cow::Owned(format!("{}{}", example.prompt, example.completion))
            }
        }
    }

    /// What the model should write for a label.
    pub fn label_completion(label: &str) -> String {
        format!(" {label}")
    }
}
