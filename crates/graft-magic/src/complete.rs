//! Completion of magics: names, subcommands, keys that are not yet given, values, names from the
//! session, files. It only uses the snapshot and never blocks.

mod check;
mod values;

use graft_protocol::Snapshot;

use crate::{
    place::{self, Magic, Place},
    verb::{Form, VerbSpec},
    verbs,
    words::{self, Word},
};

/// The completions at the cursor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Completion {
    /// The first code point of the cell that an item replaces.
    pub start: usize,
    /// The code point after the last one.
    pub end: usize,
    /// The items, best first.
    pub items: Vec<Item>,
}

/// One completion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// The text to insert.
    pub text: String,
    /// Its kind.
    pub kind: ItemKind,
    /// One line of help. May be empty.
    pub help: String,
}

/// The kind of an [`Item`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ItemKind {
    /// A verb.
    Magic,
    /// A word after the verb.
    Subcommand,
    /// `key=` or `--key`.
    Key,
    /// A value of a key.
    Value,
    /// A module of the model.
    Module,
    /// An adapter, data set or run of the session.
    Name,
    /// A file or folder.
    Path,
}

impl ItemKind {
    /// Returns the type that Jupyter frontends show next to the item.
    pub fn word(self) -> &'static str {
        match self {
            Self::Magic => "magic",
            Self::Subcommand => "function",
            Self::Key => "property",
            Self::Value => "value",
            Self::Module => "module",
            Self::Name => "instance",
            Self::Path => "path",
        }
    }
}

/// The sources of the items.
pub(crate) struct Sources<'a> {
    pub snapshot: &'a Snapshot,
    pub files: &'a dyn Fn(&str) -> Vec<String>,
}

/// Completes the magic at `cursor` (in code points). `None` if the cursor is in Rust.
///
/// `files` lists the paths with a given prefix; folders end with `/`.
pub fn complete(
    text: &str,
    cursor: usize,
    snapshot: &Snapshot,
    files: &dyn Fn(&str) -> Vec<String>,
) -> Option<Completion> {
    let nothing = Completion { start: cursor, end: cursor, items: Vec::new() };
    let magic = match place::find(text, cursor) {
        Place::Rust => return None,
        Place::Body => return Some(nothing),
        Place::Magic(magic) => magic,
    };
    let sources = Sources { snapshot, files };
    let (typed, items) = match magic.split() {
        (sign, _, None) => (
            magic.text.get(..magic.cursor).map_or(0, |before| before.chars().count()),
            names(&magic, sign),
        ),
        (sign, name, Some(before)) => verbs::find(name)
            .map_or_else(Default::default, |verb| arguments(verb, sign == "%%", before, &sources)),
    };
    Some(Completion { start: cursor.saturating_sub(typed), items, ..nothing })
}

/// Returns the magics with the typed prefix, with their sign.
fn names(magic: &Magic<'_>, sign: &str) -> Vec<Item> {
    let typed = magic.text.get(sign.len().min(magic.cursor)..magic.cursor).unwrap_or("");
    let mut items = Vec::new();
    for verb in verbs::all().iter().filter(|verb| begins(verb.name, typed)) {
        if sign != "%%" && !verb.forms.is_empty() {
            items.push(Item {
                text: format!("{}{}", if sign.is_empty() { "%" } else { sign }, verb.name),
                kind: ItemKind::Magic,
                help: verb.summary.to_owned(),
            });
        }
        if verb.cell.is_some() && magic.first && sign != "?%" {
            items.push(Item {
                text: format!("%%{}", verb.name),
                kind: ItemKind::Magic,
                help: verb.summary.to_owned(),
            });
        }
    }
    items
}

/// Returns the length of the typed part in code points, and its completions.
fn arguments(
    verb: &'static VerbSpec,
    cell: bool,
    before: &str,
    sources: &Sources<'_>,
) -> (usize, Vec<Item>) {
    if verb.is_raw() {
        let form = if cell { verb.cell.as_ref() } else { verb.form("") };
        return match form.filter(|_| verb.name == "check") {
            Some(form) if cell => check::keys(form, before, sources),
            Some(form) => check::condition(form, before, sources),
            None => raw(verb, before, sources),
        };
    }
    let line = words::split_open(before, 0, 0);
    if line.unclosed.is_some() {
        return (0, Vec::new());
    }
    let typing = !before.ends_with(char::is_whitespace);
    let mut done = line.words;
    let current = if typing { done.pop() } else { None };
    let (form, named) = form_of(verb, cell, &done);
    let Some(form) = form else { return subcommands(verb, current.as_ref()) };
    let given = done.get(usize::from(named)..).unwrap_or(&[]);
    let (typed, mut items) = values::after(form, given, current.as_ref(), sources);
    if !named
        && !cell
        && done.is_empty()
        && current.as_ref().is_none_or(|word| word.bare().is_some())
    {
        let mut first = subcommands(verb, current.as_ref()).1;
        first.append(&mut items);
        items = first;
    }
    (typed, items)
}

/// Returns the form that the line has chosen, and whether a word named it.
fn form_of(verb: &'static VerbSpec, cell: bool, done: &[Word]) -> (Option<&'static Form>, bool) {
    if cell {
        return (verb.cell.as_ref(), false);
    }
    match done
        .first()
        .and_then(Word::bare)
        .filter(|word| !word.is_empty())
        .and_then(|word| verb.form(word))
    {
        Some(form) => (Some(form), true),
        None => (verb.form(""), false),
    }
}

fn subcommands(verb: &VerbSpec, current: Option<&Word>) -> (usize, Vec<Item>) {
    let typed = current.map_or("", |word| word.text.as_str());
    let item = |form: &Form| Item {
        text: form.word.to_owned(),
        kind: ItemKind::Subcommand,
        help: form.summary.to_owned(),
    };
    (
        typed.chars().count(),
        verb.subcommands().filter(|form| begins(form.word, typed)).map(item).collect(),
    )
}

/// Completes lines that are not split into words: the inner magic of `%time %mo`, nothing for
/// `%env HO`, files for `!` lines and `%cd`.
fn raw(verb: &VerbSpec, before: &str, sources: &Sources<'_>) -> (usize, Vec<Item>) {
    let inner = before.trim_start();
    if verb.name == "time" && inner.starts_with('%') {
        let found = complete(inner, inner.chars().count(), sources.snapshot, sources.files)
            .unwrap_or_default();
        return (found.end - found.start, found.items);
    }
    (0, Vec::new())
}

/// Returns whether `name` begins with the typed text, ignoring case.
pub(crate) fn begins(name: &str, typed: &str) -> bool {
    name.get(..typed.len()).is_some_and(|start| start.eq_ignore_ascii_case(typed))
}

#[cfg(test)]
mod tests;
