//! The definition of a magic, from which parser, help, completion and reference are derived.

use std::borrow::Cow;

use graft_spec::{Failure, KeySpec, Settings, Span};

use crate::{
    part::{Context, PartKind},
    words::Word,
};

/// Builds the command from the checked arguments.
pub type Build = fn(&Invocation<'_>, &mut Context<'_>) -> Result<PartKind, Failure>;

/// A magic: its forms, help and examples.
pub struct VerbSpec {
    /// Name without `%`.
    pub name: &'static str,
    /// Other names.
    pub aliases: &'static [&'static str],
    /// One line of help.
    pub summary: &'static str,
    /// A paragraph. May be empty.
    pub help: &'static str,
    /// The forms of the line magic. The form with an empty word applies to a line without a
    /// subcommand.
    pub forms: Vec<Form>,
    /// The form of the cell magic `%%name`, whose text is the rest of the cell.
    pub cell: Option<Form>,
    /// Example lines.
    pub examples: Vec<Cow<'static, str>>,
}

/// One form of a magic, such as `%model load SOURCE key=value`.
pub struct Form {
    /// The subcommand; empty without one.
    pub word: &'static str,
    /// One line of help.
    pub summary: &'static str,
    /// The positional arguments.
    pub slots: &'static [Slot],
    /// The `key=value` arguments.
    pub keys: Vec<&'static KeySpec>,
    /// Builds the command. The values have been checked against their keys.
    pub build: Build,
}

/// A positional argument.
pub struct Slot {
    /// Its name in usage lines, in capitals.
    pub name: &'static str,
    /// Its kind, which decides the completion.
    pub kind: SlotKind,
    /// Whether it is required, and how many words it takes.
    pub presence: Presence,
    /// One line of help.
    pub help: &'static str,
}

/// The kind of a [`Slot`].
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
    /// The line as typed, not split into words.
    Raw,
}

/// Whether a [`Slot`] is required.
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

/// The checked arguments of a magic.
pub struct Invocation<'a> {
    /// The verb.
    pub verb: &'static VerbSpec,
    /// Positional words.
    pub positional: Vec<Word>,
    /// Given keys, by canonical name.
    pub settings: Settings,
    /// The words of a magic with a grid of values; see [`VerbSpec::takes_grid`].
    pub words: Vec<Word>,
    /// The line after the name, as typed.
    pub raw: &'a str,
    /// Position of `raw`.
    pub raw_at: Span,
    /// The text under a `%%name` line.
    pub body: &'a str,
    /// Line of the cell at which `body` begins.
    pub body_line: usize,
    /// Position of the name.
    pub span: Span,
}

impl Invocation<'_> {
    /// Returns the positional argument at `index`.
    pub fn word(&self, index: usize) -> Option<String> {
        self.positional.get(index).map(|word| word.text.clone())
    }

    /// Returns all positional arguments, joined by spaces.
    pub fn joined(&self) -> String {
        let words: Vec<_> = self.positional.iter().map(|word| word.text.as_str()).collect();
        words.join(" ")
    }
}

impl VerbSpec {
    /// Returns whether `word` names this verb.
    pub fn is_named(&self, word: &str) -> bool {
        self.name == word || self.aliases.contains(&word)
    }

    /// Returns the form with this subcommand.
    pub fn form(&self, word: &str) -> Option<&Form> {
        self.forms.iter().find(|form| form.word == word)
    }

    /// Returns whether the line is not split into words.
    pub fn is_raw(&self) -> bool {
        self.forms.iter().any(|form| form.slots.iter().any(|slot| slot.kind == SlotKind::Raw))
    }

    /// Returns whether the line consists of methods and of keys with several values, which the
    /// magic checks itself.
    pub fn takes_grid(&self) -> bool {
        self.forms.iter().any(|form| form.slots.iter().any(|slot| slot.name.contains("key=VALUE")))
    }

    /// Returns the subcommands, in order.
    pub fn subcommands(&self) -> impl Iterator<Item = &Form> {
        self.forms.iter().filter(|form| !form.word.is_empty())
    }
}

impl Form {
    /// Creates a form without arguments.
    pub fn bare(word: &'static str, summary: &'static str, build: Build) -> Self {
        Self { word, summary, slots: &[], keys: Vec::new(), build }
    }

    /// Adds positional arguments.
    #[must_use]
    pub fn slots(mut self, slots: &'static [Slot]) -> Self {
        self.slots = slots;
        self
    }

    /// Adds keys.
    #[must_use]
    pub fn keys(mut self, keys: &'static [KeySpec]) -> Self {
        self.keys.extend(keys);
        self
    }

    /// Returns the key with this name or alias.
    pub fn key(&self, word: &str) -> Option<&'static KeySpec> {
        self.keys
            .iter()
            .copied()
            .find(|key| key.name == word)
            .or_else(|| self.keys.iter().copied().find(|key| key.is_named(word)))
    }

    /// Returns the usage line after the name, such as `load SOURCE [dtype=f32|bf16|f16] ...`.
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
    /// Creates a required slot of one word.
    pub const fn required(name: &'static str, kind: SlotKind, help: &'static str) -> Self {
        Self { name, kind, presence: Presence::Required, help }
    }

    /// Creates an optional slot of one word.
    pub const fn optional(name: &'static str, kind: SlotKind, help: &'static str) -> Self {
        Self { name, kind, presence: Presence::Optional, help }
    }

    /// Creates an optional slot for all remaining words as one text.
    pub const fn optional_rest(name: &'static str, kind: SlotKind, help: &'static str) -> Self {
        Self { name, kind, presence: Presence::OptionalRest, help }
    }

    /// Creates a required slot for all remaining words.
    pub const fn rest(name: &'static str, kind: SlotKind, help: &'static str) -> Self {
        Self { name, kind, presence: Presence::Rest, help }
    }
}
