//! What a verb is: the one definition that every surface reads.

use std::borrow::Cow;

use graft_spec::{Failure, KeySpec, Settings, Span};

use crate::{
    cell::{Context, PartKind},
    words::Word,
};

/// Turns checked arguments into what is to be done.
pub type Build = fn(&Invocation<'_>, &mut Context<'_>) -> Result<PartKind, Failure>;

/// A magic: its forms, help and examples.
pub struct VerbSpec {
    /// Name without `%`.
    pub name: &'static str,
    /// Other names.
    pub aliases: &'static [&'static str],
    /// One line of help.
    pub summary: &'static str,
    /// A paragraph; may be empty.
    pub help: &'static str,
    /// What may follow the name on one line; a form with an empty word answers when no subcommand is given.
    pub forms: Vec<Form>,
    /// What `%%name` takes; its text is the rest of the cell.
    pub cell: Option<Form>,
    /// Lines to try.
    pub examples: Vec<Cow<'static, str>>,
}

/// One way to use a verb, such as `%model load SOURCE key=value`.
pub struct Form {
    /// The subcommand; empty for the verb alone.
    pub word: &'static str,
    /// One line of help.
    pub summary: &'static str,
    /// What is given by position.
    pub slots: &'static [Slot],
    /// What is given as `key=value`.
    pub keys: Vec<&'static KeySpec>,
    /// Turns checked arguments into what is to be done. It only assembles: values were checked against their keys before.
    pub build: Build,
}

/// One argument given by position.
pub struct Slot {
    /// Its name in usage lines, in capitals.
    pub name: &'static str,
    /// The kind of argument, which determines completion.
    pub kind: SlotKind,
    /// Whether it must be given, and how many words it takes.
    pub presence: Presence,
    /// One line of help.
    pub help: &'static str,
}

/// The kind of argument of a [`Slot`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotKind {
    /// `tiny`, a folder, or `ORG/NAME`.
    ModelSource,
    /// A built-in data set or a file.
    DataSource,
    /// Name of a data set in the session.
    Data,
    /// Name of an adapter.
    Adapter,
    /// Name of a run.
    Run,
    /// A file or folder.
    Path,
    /// Words.
    Text,
    /// A number.
    Number,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// Name of a magic.
    Verb,
    /// The line as it is: not split into words.
    Raw,
}

/// Whether a [`Slot`] must be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// One word, required.
    Required,
    /// One word or none.
    Optional,
    /// All remaining words as one text, or none.
    OptionalRest,
    /// All remaining words, at least one.
    Rest,
}

/// The arguments of one magic after they were checked.
pub struct Invocation<'a> {
    /// The verb.
    pub verb: &'static VerbSpec,
    /// Words given by position.
    pub positional: Vec<Word>,
    /// Keys given, by canonical name.
    pub settings: Settings,
    /// The line after the verb, as it is.
    pub raw: &'a str,
    /// Where `raw` stands.
    pub raw_at: Span,
    /// The text under a `%%name` line.
    pub body: &'a str,
    /// Line of the cell at which `body` begins.
    pub body_line: usize,
    /// Where the verb stands.
    pub span: Span,
}

impl Invocation<'_> {
    /// The positional argument of that number.
    pub fn word(&self, index: usize) -> Option<String> {
        self.positional.get(index).map(|word| word.text.clone())
    }

    /// All positional arguments as one text, a space between two.
    pub fn joined(&self) -> String {
        let words: Vec<_> = self.positional.iter().map(|word| word.text.as_str()).collect();
        words.join(" ")
    }
}

impl VerbSpec {
    /// Whether `word` names this verb.
    pub fn is_named(&self, word: &str) -> bool {
        self.name == word || self.aliases.contains(&word)
    }

    /// The form of that subcommand.
    pub fn form(&self, word: &str) -> Option<&Form> {
        self.forms.iter().find(|form| form.word == word)
    }

    /// Whether the line after the verb is taken as it is.
    pub fn is_raw(&self) -> bool {
        self.forms.iter().any(|form| form.slots.iter().any(|slot| slot.kind == SlotKind::Raw))
    }

    /// The subcommands in their order.
    pub fn subcommands(&self) -> impl Iterator<Item = &Form> {
        self.forms.iter().filter(|form| !form.word.is_empty())
    }
}

impl Form {
    /// A form without arguments.
    pub fn bare(word: &'static str, summary: &'static str, build: Build) -> Self {
        Self { word, summary, slots: &[], keys: Vec::new(), build }
    }

    /// A form with positional arguments.
    #[must_use]
    pub fn slots(mut self, slots: &'static [Slot]) -> Self {
        self.slots = slots;
        self
    }

    /// A form with keys.
    #[must_use]
    pub fn keys(mut self, keys: &'static [KeySpec]) -> Self {
        self.keys.extend(keys);
        self
    }

    /// The key of that name or alias.
    pub fn key(&self, word: &str) -> Option<&'static KeySpec> {
        self.keys
            .iter()
            .copied()
            .find(|key| key.name == word)
            .or_else(|| self.keys.iter().copied().find(|key| key.is_named(word)))
    }

    /// Usage line after the verb, such as `load SOURCE [dtype=f32|bf16|f16] ...`.
    pub fn usage(&self) -> String {
        let mut parts = Vec::new();
        if !self.word.is_empty() {
            parts.push(self.word.to_owned());
        }
        for slot in self.slots {
            parts.push(match slot.presence {
                Presence::Required => slot.name.to_owned(),
                Presence::Optional | Presence::OptionalRest => format!("[{}]", slot.name),
                Presence::Rest => format!("{}...", slot.name),
            });
        }
        match self.keys.len() {
            0..=3 => parts.extend(self.keys.iter().map(|key| format!("[{}=...]", key.name))),
            _ => parts.push("[key=value ...]".to_owned()),
        }
        parts.join(" ")
    }
}

impl Slot {
    /// A slot that takes one word and must be given.
    pub const fn required(name: &'static str, kind: SlotKind, help: &'static str) -> Self {
        Self { name, kind, presence: Presence::Required, help }
    }

    /// A slot that takes one word or none.
    pub const fn optional(name: &'static str, kind: SlotKind, help: &'static str) -> Self {
        Self { name, kind, presence: Presence::Optional, help }
    }

    /// A slot that takes all remaining words as one text, or none.
    pub const fn optional_rest(name: &'static str, kind: SlotKind, help: &'static str) -> Self {
        Self { name, kind, presence: Presence::OptionalRest, help }
    }

    /// A slot that takes all remaining words.
    pub const fn rest(name: &'static str, kind: SlotKind, help: &'static str) -> Self {
        Self { name, kind, presence: Presence::Rest, help }
    }
}
