//! Words against the definition of a form: what is given by position, which keys, and what is wrong with them.

use graft_protocol::{Failure, KeyKind, KeySpec, Settings, Span};

use crate::{
    cell::Context,
    modules, suggest,
    verb::{Form, Presence, Slot, SlotKind, VerbSpec},
    words::Word,
};

/// Checked arguments.
#[derive(Default)]
pub(crate) struct Arguments {
    /// Words given by position.
    pub positional: Vec<Word>,
    /// Keys given, by canonical name.
    pub settings: Settings,
    /// Where `--rust` stands.
    pub rust: Option<Span>,
}

/// Checks `words` against `form`; aliases become canonical names.
///
/// # Errors
/// `magic::unknown_key`, `magic::repeated_key`, `magic::missing_value`, `magic::missing_argument`, `magic::unexpected_argument`,
/// `magic::unknown_module`, or what [`KeySpec::parse`] says, each at its token.
pub(crate) fn check(verb: &VerbSpec, form: &Form, words: Vec<Word>, at: Span, cx: &Context<'_>) -> Result<Arguments, Failure> {
    let mut out = Arguments::default();
    let takes_text = form.slots.iter().any(|slot| slot.presence == Presence::Rest);
    let mut words = words.into_iter().peekable();
    while let Some(mut word) = words.next() {
        if word.bare() == Some("--rust") {
            out.rust = Some(word.span);
            continue;
        }
        let Some(name) = flag_name(&word, form, takes_text) else {
            out.positional.push(word);
            continue;
        };
        let key = form.key(&name).ok_or_else(|| unknown_key(verb, form, &name, word.key_span()))?;
        let value = match word.pair() {
            Some((_, value)) => value.to_owned(),
            None if key.kind == KeyKind::Bool => {
                words.next_if(|next| next.bare().is_some_and(|text| key.parse(text).is_ok())).map_or_else(String::new, |next| next.text)
            }
            None => {
                let next = words.next().ok_or_else(|| missing_value(key, word.span))?;
                word.span = next.span;
                next.text
            }
        };
        store(&mut out.settings, key, joined_list(key, value, &mut words), &word, cx)?;
    }
    check_slots(verb, form, &out.positional, at)?;
    Ok(out)
}

/// The key a word names: `key=`, `--key`, or a bare truth key where nothing stands by position.
fn flag_name(word: &Word, form: &Form, takes_text: bool) -> Option<String> {
    if let Some((key, _)) = word.pair() {
        return Some(key.trim_start_matches('-').replace('-', "_"));
    }
    let text = word.bare()?;
    if let Some(key) = text.strip_prefix("--").filter(|key| !key.is_empty()) {
        return Some(key.replace('-', "_"));
    }
    let is_flag = text.len() > 1 && text.starts_with('-') && !takes_text && text.parse::<f64>().is_err();
    if is_flag {
        return Some(text.trim_start_matches('-').replace('-', "_"));
    }
    let names_a_key = form.slots.is_empty() && form.key(text).is_some_and(|key| key.kind == KeyKind::Bool);
    names_a_key.then(|| text.to_owned())
}

/// `a, b` after a list key is one list though a space stands in it.
fn joined_list(key: &KeySpec, mut value: String, words: &mut std::iter::Peekable<std::vec::IntoIter<Word>>) -> String {
    if !matches!(key.kind, KeyKind::Modules | KeyKind::List) {
        return value;
    }
    while value.ends_with(',') {
        let Some(next) = words.next_if(|next| next.bare().is_some_and(|text| !text.starts_with('-'))) else { break };
        value.push_str(&next.text);
    }
    match value.strip_prefix('[').and_then(|inside| inside.strip_suffix(']')) {
        Some(inside) => inside.chars().filter(|next| !next.is_whitespace()).collect(),
        None => value,
    }
}

fn store(settings: &mut Settings, key: &KeySpec, value: String, word: &Word, cx: &Context<'_>) -> Result<(), Failure> {
    if settings.values.contains_key(key.name) {
        return Err(Failure::new("magic::repeated_key", format!("`{}` is given twice", key.name)).hint("leave one of them out").span(word.key_span()));
    }
    if value.is_empty() && !matches!(key.kind, KeyKind::Bool | KeyKind::Text) {
        return Err(missing_value(key, word.span));
    }
    let parsed = key.parse(&value).map_err(|failure| failure.span(word.value_span()))?;
    if key.kind == KeyKind::Modules {
        modules::check(&parsed, cx).map_err(|failure| failure.span(word.value_span()))?;
    }
    settings.set(key.name, parsed);
    Ok(())
}

fn unknown_key(verb: &VerbSpec, form: &Form, name: &str, span: Span) -> Failure {
    let names = form.keys.iter().flat_map(|key| std::iter::once(key.name).chain(key.aliases.iter().copied()));
    let all: Vec<_> = form.keys.iter().map(|key| key.name).collect();
    let title = if form.word.is_empty() { format!("%{}", verb.name) } else { format!("%{} {}", verb.name, form.word) };
    let list = if all.is_empty() { format!("`{title}` takes no keys") } else { format!("keys: {}", all.join(", ")) };
    let hint = match suggest::nearest(name, names).first() {
        Some(near) => format!("did you mean `{near}`? {list}"),
        None if form.slots.iter().any(|slot| slot.presence == Presence::Rest) => format!("put quotes around a text that has `=` or `--` in it; {list}"),
        None => list,
    };
    Failure::new("magic::unknown_key", format!("`{title}` has no key `{name}`")).hint(hint).span(span)
}

fn missing_value(key: &KeySpec, span: Span) -> Failure {
    let example = if key.default.is_empty() { "...".to_owned() } else { key.default.to_owned() };
    Failure::new("magic::missing_value", format!("`{}` lacks its value", key.name)).hint(format!("{}={example} ({})", key.name, key.help)).span(span)
}

fn check_slots(verb: &VerbSpec, form: &Form, positional: &[Word], at: Span) -> Result<(), Failure> {
    let usage = || format!("usage: %{} {}", verb.name, form.usage());
    let needed = form.slots.iter().filter(|slot| slot.presence != Presence::Optional && slot.kind != SlotKind::Raw).count();
    if let Some(slot) = form.slots.get(positional.len()).filter(|_| positional.len() < needed) {
        let title = format!("%{} {}", verb.name, form.word);
        return Err(Failure::new("magic::missing_argument", format!("`{}` lacks {}: {}", title.trim_end(), slot.name, slot.help)).hint(usage()).span(at));
    }
    let unlimited = form.slots.iter().any(|slot| slot.presence == Presence::Rest);
    if let Some(extra) = positional.get(form.slots.len()).filter(|_| !unlimited) {
        return Err(Failure::new("magic::unexpected_argument", format!("`{}` is one word too many", extra.text))
            .hint(hint_extra(form, &extra.text, usage()))
            .span(extra.span));
    }
    form.slots.iter().zip(positional).try_for_each(|(slot, word)| check_slot(slot, word))
}

fn hint_extra(form: &Form, text: &str, usage: String) -> String {
    match text {
        "=" => format!("write key=value without spaces; {usage}"),
        _ if form.key(text).is_some() => format!("write {text}=VALUE without spaces; {usage}"),
        _ if text.starts_with("//") || text.starts_with('#') => "a magic takes its whole line: put the comment on a line of its own".to_owned(),
        _ => usage,
    }
}

fn check_slot(slot: &Slot, word: &Word) -> Result<(), Failure> {
    let text = word.text.as_str();
    match slot.kind {
        SlotKind::Number if text.replace('_', "").parse::<f64>().is_err() => {
            Err(Failure::new("magic::wrong_argument", format!("{} wants a number, not `{text}`", slot.name)).hint(slot.help).span(word.span))
        }
        SlotKind::Choice(words) if !words.contains(&text) => {
            let hint = suggest::did_you_mean(text, words.iter().copied(), "", || format!("one of {}", words.join(", ")));
            Err(Failure::new("magic::wrong_argument", format!("{} cannot be `{text}`", slot.name)).hint(hint).span(word.span))
        }
        _ => Ok(()),
    }
}
