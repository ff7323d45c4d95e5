//! Checks the words of a magic against the definition of its form.

use std::iter::Peekable;

use graft_spec::{Failure, KeyKind, KeySpec, Settings, Span};

use crate::{
    expressions,
    habits::keys::{self, Meaning},
    modules,
    part::Context,
    suggest,
    verb::{Form, Presence, Slot, SlotKind, VerbSpec},
    words::Word,
};

/// Checked arguments.
#[derive(Default)]
pub(crate) struct Arguments {
    /// Positional words.
    pub positional: Vec<Word>,
    /// Given keys, by canonical name.
    pub settings: Settings,
    /// Position of `--rust`.
    pub rust: Option<Span>,
}

/// Checks `words` against `form` and replaces aliases by canonical names.
///
/// # Errors
/// `magic::unknown_key`, `magic::repeated_key`, `magic::missing_value`, `magic::missing_argument`,
/// `magic::unexpected_argument`, `magic::unknown_module`, or an error of [`KeySpec::parse`], each
/// with the span of its token.
pub(crate) fn check(
    verb: &VerbSpec,
    form: &Form,
    words: Vec<Word>,
    at: Span,
    cx: &mut Context<'_>,
) -> Result<Arguments, Failure> {
    let mut out = Arguments::default();
    let takes_text = takes_text(form);
    let mut without_effect = Vec::new();
    let mut words = words.into_iter().peekable();
    while let Some(mut word) = next_word(&mut words, form, takes_text) {
        if word.bare() == Some("--rust") {
            out.rust = Some(word.span);
            continue;
        }
        let Some(name) = flag_name(&word, form, takes_text) else {
            out.positional.push(word);
            continue;
        };
        let (key, value) = match key_of(verb, form, &name, &word)? {
            Given::Key(key, value) => (key, value),
            Given::NoEffect(reason) => {
                without_effect.push((name, reason));
                continue;
            }
        };
        let value = value_of(key, value, &mut word, &mut words)?;
        // `None` is Python for a default.
        if value != "None" {
            let value = joined_list(key, value, word.comma, &mut words);
            store(verb, &mut out.settings, key, value, &word, cx)?;
        }
    }
    cx.notes.extend(keys::note(&without_effect));
    check_slots(verb, form, &out.positional, at)?;
    Ok(out)
}

/// Returns the next word. Where commas separate words, it has no comma, and single commas are
/// skipped.
fn next_word(
    words: &mut Peekable<std::vec::IntoIter<Word>>,
    form: &Form,
    takes_text: bool,
) -> Option<Word> {
    loop {
        let word = words.next()?;
        if takes_text || word.bare() == Some("--rust") {
            return Some(word);
        }
        let word = without_comma(word, form);
        if !word.text.is_empty() || !word.comma {
            return Some(word);
        }
    }
}

/// The meaning of a word that names a key.
enum Given {
    /// A key, and its value if the word contains it.
    Key(&'static KeySpec, Option<String>),
    /// An argument of a Python library that has no effect here, with the reason.
    NoEffect(&'static str),
}

/// Returns the key with this name in the form, or the key that corresponds to this argument in
/// Python.
fn key_of(verb: &VerbSpec, form: &Form, name: &str, word: &Word) -> Result<Given, Failure> {
    let value = word.pair().map(|(_, value)| unseparated(value, word).to_owned());
    if let Some(key) = form.key(name) {
        return Ok(Given::Key(key, value));
    }
    let (key, value) =
        match keys::of(verb.name, form.word, name, value.as_deref().unwrap_or("True")) {
            Some(Meaning::Key(other)) => (form.key(other), value),
            Some(Meaning::KeyWith(other, with)) => (form.key(other), Some(with.to_owned())),
            Some(Meaning::NoEffect(reason)) => return Ok(Given::NoEffect(reason)),
            Some(Meaning::Instead(hint)) => {
                return Err(no_key(verb, form, name).hint(hint).span(word.key_span()));
            }
            None => (None, value),
        };
    key.map(|key| Given::Key(key, value))
        .ok_or_else(|| unknown_key(verb, form, name, word.key_span()))
}

/// Returns the value of a key: in the same word, or the next word, which `word` is then set to.
fn value_of(
    key: &KeySpec,
    value: Option<String>,
    word: &mut Word,
    words: &mut Peekable<std::vec::IntoIter<Word>>,
) -> Result<String, Failure> {
    if let Some(value) = value {
        return Ok(value);
    }
    if key.kind == KeyKind::Bool {
        return Ok(words
            .next_if(|next| next.bare().is_some_and(|text| key.parse(text).is_ok()))
            .map_or_else(String::new, |next| next.text));
    }
    let next = words.next().ok_or_else(|| missing_value(key, word.span))?;
    (word.span, word.comma) = (next.span, next.comma);
    Ok(unseparated(&next.text, &next).to_owned())
}

/// Removes a comma after a bare key, or a word that is a comma.
fn without_comma(mut word: Word, form: &Form) -> Word {
    let names_a_key = || form.key(word.text.trim_end_matches(',')).is_some();
    if word.comma && !word.quoted && (word.text == "," || names_a_key()) {
        word.text.pop();
    }
    word
}

/// Returns whether the positional words are one text, in which commas and dashes are kept.
pub(crate) fn takes_text(form: &Form) -> bool {
    form.slots.iter().any(|slot| matches!(slot.presence, Presence::Rest | Presence::OptionalRest))
}

/// Removes the comma that separates a value from the next argument.
fn unseparated<'a>(value: &'a str, word: &Word) -> &'a str {
    if word.comma { value.strip_suffix(',').unwrap_or(value) } else { value }
}

/// Returns the key that a word names: `key=`, `--key`, or a bare boolean key in a form without
/// positional arguments.
fn flag_name(word: &Word, form: &Form, takes_text: bool) -> Option<String> {
    if let Some((key, _)) = word.pair() {
        return Some(key.trim_start_matches('-').replace('-', "_"));
    }
    let text = word.bare()?;
    if let Some(key) = text.strip_prefix("--").filter(|key| !key.is_empty()) {
        return Some(key.replace('-', "_"));
    }
    let is_flag =
        text.len() > 1 && text.starts_with('-') && !takes_text && text.parse::<f64>().is_err();
    if is_flag {
        return Some(text.trim_start_matches('-').replace('-', "_"));
    }
    let names_a_key =
        form.slots.is_empty() && form.key(text).is_some_and(|key| key.kind == KeyKind::Bool);
    names_a_key.then(|| text.to_owned())
}

/// Joins `a, b` after a list key into one list. A single value in brackets is that value.
fn joined_list(
    key: &KeySpec,
    mut value: String,
    mut continues: bool,
    words: &mut Peekable<std::vec::IntoIter<Word>>,
) -> String {
    let is_list = matches!(key.kind, KeyKind::Modules | KeyKind::List);
    continues &= !value.starts_with('[');
    while is_list && continues {
        let Some(next) =
            words.next_if(|next| next.bare().is_some_and(|text| !text.starts_with('-')))
        else {
            break;
        };
        value.push(',');
        value.push_str(unseparated(&next.text, &next));
        continues = next.comma;
    }
    let is_text = matches!(key.kind, KeyKind::Text | KeyKind::Path);
    // Parentheses may belong to a regular expression.
    let brackets = if is_list { [('[', ']'), ('{', '}')] } else { [('[', ']'), ('(', ')')] };
    let inside =
        brackets.iter().find_map(|(open, close)| value.strip_prefix(*open)?.strip_suffix(*close));
    match inside {
        Some(inside) if !is_text => inside
            .chars()
            .filter(|next| !next.is_whitespace())
            .collect::<String>()
            .trim_end_matches(',')
            .to_owned(),
        _ => value,
    }
}

fn store(
    verb: &VerbSpec,
    settings: &mut Settings,
    key: &KeySpec,
    value: String,
    word: &Word,
    cx: &Context<'_>,
) -> Result<(), Failure> {
    if settings.values.contains_key(key.name) {
        return Err(Failure::new("magic::repeated_key", format!("`{}` is given twice", key.name))
            .hint("remove one of them")
            .span(word.key_span()));
    }
    if expressions::is_marked(&value) {
        settings.set(key.name, expressions::marked_value(key.kind, &value));
        return Ok(());
    }
    if value.is_empty() && !matches!(key.kind, KeyKind::Bool | KeyKind::Text) {
        return Err(missing_value(key, word.span));
    }
    if value.contains(',')
        && !matches!(key.kind, KeyKind::Text | KeyKind::Path | KeyKind::Modules | KeyKind::List)
    {
        return Err(one_value(verb, key, &value).span(word.value_span()));
    }
    let parsed = key
        .parse(&as_choice(key, &value))
        .map_err(|error| Failure::from(error).span(word.value_span()))?;
    if key.kind == KeyKind::Modules {
        modules::check(&parsed, cx).map_err(|failure| failure.span(word.value_span()))?;
    }
    settings.set(key.name, parsed);
    Ok(())
}

/// Converts Python's spelling of a value: `True`, `torch.bfloat16`.
fn as_choice(key: &KeySpec, value: &str) -> String {
    let KeyKind::Choice(words) = key.kind else { return value.to_owned() };
    let plain = value.to_ascii_lowercase();
    let plain = plain.trim_start_matches("torch.");
    let meant = match plain {
        "bfloat16" => "bf16",
        "float16" | "half" => "f16",
        "float32" | "float" => "f32",
        other => other,
    };
    if words.contains(&value) || !words.contains(&meant) {
        value.to_owned()
    } else {
        meant.to_owned()
    }
}

/// Returns the number that was meant by a decimal comma, as in `0,001`. Two numbers such as `1,5`
/// are more likely a grid.
fn with_decimal_point(key: &KeySpec, value: &str) -> Option<String> {
    let (whole, fraction) = value.split_once(',')?;
    let is_digits = |text: &str| !text.is_empty() && text.chars().all(|next| next.is_ascii_digit());
    let exponent = fraction.find(['e', 'E']).unwrap_or(fraction.len());
    let (digits, _) = fraction.split_at(exponent);
    let is_decimal =
        is_digits(whole) && is_digits(digits) && (whole == "0" || digits.starts_with('0'));
    let number = format!("{whole}.{fraction}");
    let is_number = matches!(
        key.kind,
        KeyKind::Float { .. } | KeyKind::FloatOrAuto { .. } | KeyKind::FloatOrPath { .. }
    );
    (is_number && is_decimal && key.parse(&number).is_ok()).then_some(number)
}

/// Returns the failure for several values where one is expected, with a hint at `%ablate`.
fn one_value(verb: &VerbSpec, key: &KeySpec, value: &str) -> Failure {
    if let Some(number) = with_decimal_point(key, value) {
        let message = format!("`{}` must be a number, got `{value}` with a comma", key.name);
        return Failure::new("magic::decimal_comma", message)
            .hint(format!("write a decimal point: {}={number}", key.name));
    }
    let failure =
        Failure::new("magic::one_value", format!("`{}` takes one value, got `{value}`", key.name));
    let method = graft_spec::methods::by_verb(verb.name).map(|method| method.verb);
    match method.or((verb.name == "train").then_some("lora")) {
        Some(method) => failure.hint(format!(
            "`%ablate {method} {}={value}` trains and compares each of them",
            key.name
        )),
        None => failure.hint("give one of them"),
    }
}

fn no_key(verb: &VerbSpec, form: &Form, name: &str) -> Failure {
    Failure::new("magic::unknown_key", format!("`{}` has no key `{name}`", title(verb, form)))
}

fn title(verb: &VerbSpec, form: &Form) -> String {
    if form.word.is_empty() {
        format!("%{}", verb.name)
    } else {
        format!("%{} {}", verb.name, form.word)
    }
}

fn unknown_key(verb: &VerbSpec, form: &Form, name: &str, span: Span) -> Failure {
    let names = form
        .keys
        .iter()
        .flat_map(|key| std::iter::once(key.name).chain(key.aliases.iter().copied()));
    let all: Vec<_> = form.keys.iter().map(|key| key.name).collect();
    let title = title(verb, form);
    let list = if all.is_empty() {
        format!("`{title}` takes no keys")
    } else {
        format!("keys: {}", all.join(", "))
    };
    let hint = match graft_spec::suggest::nearest(name, names).first() {
        Some(near) => format!("did you mean `{near}`? {list}"),
        None if takes_text(form) => {
            format!("put quotes around a text that contains `=` or `--`; {list}")
        }
        None => list,
    };
    no_key(verb, form, name).hint(hint).span(span)
}

fn missing_value(key: &KeySpec, span: Span) -> Failure {
    let example = if key.default.is_empty() { "...".to_owned() } else { key.default.to_owned() };
    Failure::new("magic::missing_value", format!("`{}` needs a value", key.name))
        .hint(format!("{}={example} ({})", key.name, key.help))
        .span(span)
}

fn check_slots(verb: &VerbSpec, form: &Form, positional: &[Word], at: Span) -> Result<(), Failure> {
    let usage = || format!("usage: %{} {}", verb.name, form.usage());
    let needed = form
        .slots
        .iter()
        .filter(|slot| {
            matches!(slot.presence, Presence::Required | Presence::Rest)
                && slot.kind != SlotKind::Raw
        })
        .count();
    if let Some(slot) = form.slots.get(positional.len()).filter(|_| positional.len() < needed) {
        let title = format!("%{} {}", verb.name, form.word);
        return Err(Failure::new(
            "magic::missing_argument",
            format!("`{}` needs {}: {}", title.trim_end(), slot.name, slot.help),
        )
        .hint(usage())
        .span(at));
    }
    if let Some(extra) = positional.get(form.slots.len()).filter(|_| !takes_text(form)) {
        return Err(Failure::new(
            "magic::unexpected_argument",
            format!("unexpected argument `{}`", extra.text),
        )
        .hint(hint_extra(verb, form, positional, extra, usage()))
        .span(extra.span));
    }
    form.slots.iter().zip(positional).try_for_each(|(slot, word)| check_slot(slot, word))
}

fn hint_extra(
    verb: &VerbSpec,
    form: &Form,
    positional: &[Word],
    extra: &Word,
    usage: String,
) -> String {
    let is_path = form.slots.last().is_some_and(|slot| {
        matches!(slot.kind, SlotKind::Path | SlotKind::ModelSource | SlotKind::DataSource)
    });
    if let Some((name, value)) =
        extra.text.split_once(':').filter(|pair| form.key(pair.0).is_some())
    {
        return format!("did you mean `{name}={value}`?");
    }
    match extra.text.as_str() {
        "=" => format!("write key=value without spaces; {usage}"),
        text if form.key(text).is_some() => format!("write {text}=VALUE without spaces; {usage}"),
        text if text.starts_with("//") || text.starts_with('#') => {
            "a magic takes its whole line: put the comment on its own line".to_owned()
        }
        _ if is_path && form.slots.len() == 1 => {
            let words: Vec<&str> = positional.iter().map(|word| word.text.as_str()).collect();
            format!(
                "put quotes around a name with spaces: `{} \"{}\"`",
                title(verb, form),
                words.join(" ")
            )
        }
        _ => usage,
    }
}

/// The first letters of other names of the device `cuda`.
const GPU_NAMES: [&str; 5] = ["gpu", "GPU", "cuda:", "nvidia", "CUDA"];

fn check_slot(slot: &Slot, word: &Word) -> Result<(), Failure> {
    let text = word.text.as_str();
    if expressions::is_marked(text) {
        return Ok(());
    }
    match slot.kind {
        SlotKind::Number if text.replace('_', "").parse::<f64>().is_err() => Err(Failure::new(
            "magic::wrong_argument",
            format!("{} must be a number, got `{text}`", slot.name),
        )
        .hint(slot.help)
        .span(word.span)),
        SlotKind::Choice(words) if !words.contains(&text) => {
            let is_gpu = GPU_NAMES.iter().any(|name| text.starts_with(name));
            let hint = match is_gpu && words.contains(&"cuda") {
                true => "did you mean `cuda`?".to_owned(),
                false => suggest::did_you_mean(text, words.iter().copied(), "", || {
                    format!("one of {}", words.join(", "))
                }),
            };
            Err(Failure::new(
                "magic::wrong_argument",
                format!("invalid value `{text}` for {}", slot.name),
            )
            .hint(hint)
            .span(word.span))
        }
        _ => Ok(()),
    }
}
