//! The roles of columns, and the names by which columns are recognized.

/// The use of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Role {
    Text,
    TextPair,
    Prompt,
    Input,
    Completion,
    Chosen,
    Rejected,
    Messages,
    Tools,
    System,
    Label,
    Split,
}

impl Role {
    /// All roles, in the order of their numbers.
    pub(crate) const ALL: [Self; 12] = [
        Self::Text,
        Self::TextPair,
        Self::Prompt,
        Self::Input,
        Self::Completion,
        Self::Chosen,
        Self::Rejected,
        Self::Messages,
        Self::Tools,
        Self::System,
        Self::Label,
        Self::Split,
    ];

    /// Names of the roles, for `columns=`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::TextPair => "text_pair",
            Self::Prompt => "prompt",
            Self::Input => "input",
            Self::Completion => "completion",
            Self::Chosen => "chosen",
            Self::Rejected => "rejected",
            Self::Messages => "messages",
            Self::Tools => "tools",
            Self::System => "system",
            Self::Label => "label",
            Self::Split => "split",
        }
    }

    /// The role with that name.
    pub(crate) fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name().eq_ignore_ascii_case(name.trim()))
    }

    /// Whether the value of a column with this role may be a list of messages or of tools.
    pub(crate) fn is_structured(self) -> bool {
        use Role::{Chosen, Completion, Messages, Prompt, Rejected, Tools};
        matches!(self, Prompt | Completion | Chosen | Rejected | Messages | Tools)
    }

    /// Column names of this role, the more likely ones first.
    pub(crate) fn candidates(self) -> &'static [&'static str] {
        match self {
            Self::Text => {
                &["text", "sentence", "review", "comment", "tweet", "content", "document"]
            }
            Self::Label => &["label", "labels", "sentiment"],
            Self::Messages => MESSAGES,
            Self::Tools => &["tools"],
            Self::System => &["system", "system_prompt"],
            Self::Prompt => &["prompt", "question", "instruction", "query", "input"],
            Self::Chosen => &["chosen"],
            Self::Rejected => &["rejected"],
            Self::Split => &["split"],
            Self::Completion => &["completion", "output", "response", "answer"],
            Self::Input => &["input", "context"],
            Self::TextPair => &["text_pair"],
        }
    }
}

/// Columns with conversations.
pub(crate) const MESSAGES: &[&str] =
    &["messages", "conversations", "conversation", "dialog", "dialogue", "turns"];

/// Pairs of an instruction and its answer, the more likely ones first.
pub(crate) const INSTRUCTIONS: &[(&str, &str)] = &[
    ("prompt", "completion"),
    ("instruction", "output"),
    ("instruction", "response"),
    ("instruction", "completion"),
    ("prompt", "response"),
    ("prompt", "output"),
    ("prompt", "answer"),
    ("question", "answer"),
    ("question", "response"),
    ("query", "response"),
    ("query", "answer"),
    ("input", "output"),
];

/// Pairs of texts that are classified together.
pub(crate) const PAIRS: &[(&str, &str)] = &[
    ("text", "text_pair"),
    ("sentence1", "sentence2"),
    ("premise", "hypothesis"),
    ("question1", "question2"),
    ("question", "sentence"),
    ("text1", "text2"),
];

/// Whether a column of this name is used by any shape of data.
pub(crate) fn is_known(name: &str) -> bool {
    let name = name.trim();
    let is = |known: &str| known.eq_ignore_ascii_case(name);
    let of_a_role = Role::ALL
        .into_iter()
        .filter(|role| *role != Role::Split)
        .any(|role| role.candidates().iter().any(|known| is(known)));
    of_a_role || INSTRUCTIONS.iter().chain(PAIRS).any(|(first, second)| is(first) || is(second))
}

/// Whether the value of a column of this name may be a list of messages or of tools.
pub(crate) fn may_be_structured(name: &str) -> bool {
    let name = name.trim();
    Role::ALL
        .into_iter()
        .filter(|role| role.is_structured())
        .any(|role| role.candidates().iter().any(|known| known.eq_ignore_ascii_case(name)))
}
