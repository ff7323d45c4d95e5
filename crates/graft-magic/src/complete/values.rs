//! Completions after a magic and its subcommand: keys, values of a key, positional arguments.

use graft_spec::{AUTO, KeyKind, KeySpec};

use super::{Item, ItemKind, Sources, begins};
use crate::{
    modules,
    verb::{Form, Presence, Slot, SlotKind},
    verbs,
    words::Word,
};

/// Completes `current`, the word that is being typed, after the words `given`; also returns the
/// length of the replaced part in code points.
pub(super) fn after(
    form: &Form,
    given: &[Word],
    current: Option<&Word>,
    sources: &Sources<'_>,
) -> (usize, Vec<Item>) {
    if let Some((name, value)) = current.and_then(Word::pair) {
        let key = form.key(&name.trim_start_matches('-').replace('-', "_"));
        return key.map_or_else(Default::default, |key| of_key(key, value, sources));
    }
    if let Some(key) = flag_waiting(form, given) {
        return of_key(key, current.map_or("", |word| word.text.as_str()), sources);
    }
    let typed = current.map_or("", |word| word.text.as_str());
    let mut items = Vec::new();
    let position = given
        .iter()
        .filter(|word| word.bare().is_some_and(|text| !text.starts_with("--")) || word.quoted)
        .count();
    let last = form
        .slots
        .last()
        .filter(|slot| matches!(slot.presence, Presence::Rest | Presence::OptionalRest));
    if let Some(slot) = form.slots.get(position).or(last) {
        items.extend(of_slot(slot, typed, sources));
    }
    items.extend(keys(form, given, typed));
    (typed.chars().count(), items)
}

/// Returns the key of a `--key` without a value.
fn flag_waiting(form: &Form, given: &[Word]) -> Option<&'static KeySpec> {
    let name = given.last()?.bare()?.strip_prefix("--")?.replace('-', "_");
    form.key(&name).filter(|key| key.kind != KeyKind::Bool)
}

/// Returns the keys that are not yet given. A typed alias completes to the canonical name.
fn keys(form: &Form, given: &[Word], typed: &str) -> Vec<Item> {
    let dashes = typed.starts_with('-');
    let bare = typed.trim_start_matches('-').replace('-', "_");
    let is_given = |key: &KeySpec| {
        given.iter().any(|word| {
            word.pair()
                .map(|pair| pair.0)
                .or_else(|| word.bare())
                .is_some_and(|name| key.is_named(&name.trim_start_matches('-').replace('-', "_")))
        })
    };
    let fits = |key: &KeySpec| {
        begins(key.name, &bare)
            || (!bare.is_empty() && key.aliases.iter().any(|alias| begins(alias, &bare)))
    };
    let mut items: Vec<Item> = form
        .keys
        .iter()
        .filter(|key| fits(key) && !is_given(key))
        .map(|key| Item {
            text: if dashes { format!("--{}", key.name) } else { format!("{}=", key.name) },
            kind: ItemKind::Key,
            help: key.help.to_owned(),
        })
        .collect();
    if dashes {
        let flags =
            [("--rust", "print the equivalent Rust code"), ("--help", "explain this magic")];
        items.extend(flags.iter().filter(|(flag, _)| begins(flag, typed)).map(|(flag, help)| {
            Item { text: (*flag).to_owned(), kind: ItemKind::Key, help: (*help).to_owned() }
        }));
    }
    items
}

fn of_key(key: &KeySpec, value: &str, sources: &Sources<'_>) -> (usize, Vec<Item>) {
    let typed = match key.kind {
        KeyKind::Modules | KeyKind::List => {
            value.rsplit([',', '[']).next().unwrap_or(value).trim_start()
        }
        _ => value,
    };
    let snapshot = sources.snapshot;
    let items = match (key.kind, key.name) {
        (KeyKind::Choice(words), _) => choices(words.iter().copied(), typed, ItemKind::Value),
        (KeyKind::Bool, _) => choices(["true", "false"], typed, ItemKind::Value),
        (KeyKind::IntegerOrAuto { .. } | KeyKind::FloatOrAuto { .. }, _) => {
            choices([AUTO], typed, ItemKind::Value)
        }
        (KeyKind::Modules, _) => choices(
            modules::leaves(snapshot).into_iter().chain(["all-linear"]),
            typed,
            ItemKind::Module,
        ),
        (KeyKind::Path | KeyKind::FloatOrPath { .. }, _) => {
            choices((sources.files)(typed).iter().map(String::as_str), typed, ItemKind::Path)
        }
        (_, "data") => choices(snapshot.data.iter().map(String::as_str), typed, ItemKind::Name),
        (_, "adapter_name") => choices(
            snapshot.adapters.iter().map(|adapter| adapter.name.as_str()),
            typed,
            ItemKind::Name,
        ),
        _ if !key.default.is_empty() => choices([key.default], typed, ItemKind::Value),
        _ => Vec::new(),
    };
    let items = items
        .into_iter()
        .map(|item| Item {
            help: if item.help.is_empty() { key.help.to_owned() } else { item.help },
            ..item
        })
        .collect();
    (typed.chars().count(), items)
}

fn of_slot(slot: &Slot, typed: &str, sources: &Sources<'_>) -> Vec<Item> {
    let snapshot = sources.snapshot;
    let files =
        || choices((sources.files)(typed).iter().map(String::as_str), typed, ItemKind::Path);
    let with_files = |mut first: Vec<Item>| {
        first.extend(files());
        first
    };
    match slot.kind {
        SlotKind::ModelSource => with_files(choices(["tiny"], typed, ItemKind::Value)),
        SlotKind::DataSource => {
            with_files(choices(["which-book", "error-codes", "rust-docs"], typed, ItemKind::Value))
        }
        SlotKind::Data => choices(snapshot.data.iter().map(String::as_str), typed, ItemKind::Name),
        SlotKind::Adapter => choices(
            snapshot.adapters.iter().map(|adapter| adapter.name.as_str()),
            typed,
            ItemKind::Name,
        ),
        SlotKind::Run => choices(snapshot.runs.iter().map(String::as_str), typed, ItemKind::Name),
        SlotKind::Path => files(),
        SlotKind::Choice(words) => choices(words.iter().copied(), typed, ItemKind::Value),
        SlotKind::Verb => {
            choices(verbs::all().iter().map(|verb| verb.name), typed, ItemKind::Magic)
        }
        SlotKind::Text | SlotKind::Number | SlotKind::Raw => Vec::new(),
    }
}

fn choices<'a>(words: impl IntoIterator<Item = &'a str>, typed: &str, kind: ItemKind) -> Vec<Item> {
    words
        .into_iter()
        .filter(|word| begins(word, typed))
        .map(|word| Item { text: word.to_owned(), kind, help: String::new() })
        .collect()
}
