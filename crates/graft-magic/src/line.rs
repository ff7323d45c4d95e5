//! Parses a magic into a [`PartKind`].

use graft_spec::{Failure, Span};

use crate::{
    arguments,
    habits::magics::{self, Habit},
    part::{Context, HostCommand, PartKind},
    rust_source, suggest,
    verb::{Form, Invocation, Presence, VerbSpec},
    verbs,
    words::{self, Word},
};

/// The text of a magic after its sign, and its position.
pub(crate) struct MagicText<'a> {
    /// The text after `%` or `%%`, including continued lines.
    pub text: &'a str,
    /// Line of the cell, starting at 0.
    pub line: usize,
    /// Code point of that line at which `text` begins.
    pub column: usize,
    /// For `%%name`: the lines below, and the number of the first one.
    pub body: Option<(&'a str, usize)>,
}

/// Parses a magic.
///
/// # Errors
/// Any `magic::*` or `settings::*` failure with its span.
pub(crate) fn parse(magic: &MagicText<'_>, cx: &mut Context<'_>) -> Result<PartKind, Failure> {
    let (name, rest) = split_name(magic.text);
    let span = Span { line: magic.line, start: magic.column, end: magic.column + name.len() };
    if name.is_empty() {
        return Err(Failure::new("magic::no_name", "missing the name of a magic after `%`")
            .hint("`%lsmagic` lists the magics")
            .span(span));
    }
    if rest.starts_with('?') {
        return help(name, span);
    }
    if magic.body.is_none()
        && verbs::find(name).is_none()
        && let Some(Habit::Note(note)) = magics::of(name)
    {
        return Ok(PartKind::Host(HostCommand::Note(format!("%{name}: {note}"))));
    }
    parse_verb(find(name, span)?, magic, span, cx)
}

/// Parses the arguments of a known magic and builds its part.
fn parse_verb(
    verb: &'static VerbSpec,
    magic: &MagicText<'_>,
    span: Span,
    cx: &mut Context<'_>,
) -> Result<PartKind, Failure> {
    let (name, rest) = split_name(magic.text);
    let raw = rest.trim();
    if matches!(raw.split_whitespace().next(), Some("-h" | "--help")) {
        return help(verb.name, span);
    }
    let raw_column = span.end + rest.chars().take_while(|next| next.is_whitespace()).count();
    let all = if verb.is_raw() { Vec::new() } else { words::split(raw, magic.line, raw_column)? };
    if asks_for_help(verb, &all) {
        return help(verb.name, span);
    }
    let (form, used) = choose(verb, &all, magic, span)?;
    let arguments = arguments::check(verb, form, all.into_iter().skip(used).collect(), span, cx)?;
    let (body, body_line) = magic.body.unwrap_or_default();
    let raw_at =
        Span { line: magic.line, start: raw_column, end: raw_column + raw.chars().count() };
    let invocation = Invocation {
        verb,
        positional: arguments.positional,
        settings: arguments.settings,
        raw,
        raw_at,
        body,
        body_line,
        span,
    };
    let kind = (form.build)(&invocation, cx)?;
    show_rust(name, arguments.rust, kind)
}

/// Returns whether the words contain `-h` or `--help`, or end with `?` in a magic that takes no
/// free text.
fn asks_for_help(verb: &VerbSpec, all: &[Word]) -> bool {
    let takes_text = verb.forms.iter().any(|form| {
        form.slots
            .iter()
            .any(|slot| matches!(slot.presence, Presence::Rest | Presence::OptionalRest))
    });
    let asks = !takes_text
        && all.last().is_some_and(|word| word.bare().is_some_and(|text| text.ends_with('?')));
    asks || all.iter().any(|word| matches!(word.bare(), Some("-h" | "--help")))
}

/// Replaces a command by its Rust code if `--rust` was given at the span `rust`.
fn show_rust(name: &str, rust: Option<Span>, kind: PartKind) -> Result<PartKind, Failure> {
    match (rust, kind) {
        (None, kind) => Ok(kind),
        (Some(_), PartKind::Session(command)) => {
            Ok(PartKind::ShowRust(rust_source::rust_source(&command)))
        }
        (Some(at), _) => Err(Failure::new(
            "magic::no_rust",
            format!("`%{name}` runs in the kernel and has no equivalent in Rust"),
        )
        .hint("`--rust` works with the magics of the session: %model, %lora, %train, ...")
        .span(at)),
    }
}

/// Parses `%name?` and similar forms; `?` alone shows the overview.
///
/// # Errors
/// `magic::unknown_verb`.
pub(crate) fn help(name: &str, span: Span) -> Result<PartKind, Failure> {
    let name = name.trim_end_matches('?').trim();
    if name.is_empty() {
        return Ok(PartKind::Host(HostCommand::Quickref));
    }
    // The name may be followed by a subcommand.
    let (name, _) = split_name(name);
    find(name, span).map(|verb| PartKind::Host(HostCommand::Help { verb: verb.name.to_owned() }))
}

/// Splits a magic into its name and the rest.
pub(crate) fn split_name(text: &str) -> (&str, &str) {
    text.split_at(
        text.find(|next: char| !next.is_ascii_alphanumeric() && next != '_').unwrap_or(text.len()),
    )
}

fn find(name: &str, span: Span) -> Result<&'static VerbSpec, Failure> {
    verbs::find(name).ok_or_else(|| {
        let names = verbs::all()
            .iter()
            .flat_map(|verb| std::iter::once(verb.name).chain(verb.aliases.iter().copied()));
        let hint = match magics::of(name) {
            Some(Habit::Hint(hint) | Habit::Note(hint)) => hint.to_owned(),
            None => suggest::did_you_mean(name, names, "%", || {
                "`%lsmagic` lists the magics; Rust needs no `%`".to_owned()
            }),
        };
        Failure::new("magic::unknown_verb", format!("unknown magic `%{name}`"))
            .hint(hint)
            .span(span)
    })
}

/// Returns the form that the words select, and the number of words that named it.
fn choose(
    verb: &'static VerbSpec,
    words: &[Word],
    magic: &MagicText<'_>,
    span: Span,
) -> Result<(&'static Form, usize), Failure> {
    if magic.body.is_some() {
        return verb.cell.as_ref().map(|form| (form, 0)).ok_or_else(|| {
            let forms: Vec<_> = verbs::all()
                .iter()
                .filter(|verb| verb.cell.is_some())
                .map(|verb| format!("%%{}", verb.name))
                .collect();
            Failure::new(
                "magic::not_a_cell_magic",
                format!("`%{}` takes one line, not a whole cell", verb.name),
            )
            .hint(format!("write it with one `%`; magics for whole cells: {}", forms.join(", ")))
            .span(span)
        });
    }
    let first = words.first();
    let word = first.and_then(Word::bare);
    if let Some(form) = word.filter(|word| !word.is_empty()).and_then(|word| verb.form(word)) {
        return Ok((form, 1));
    }
    let Some(default) = verb.form("") else { return Err(missing_form(verb, first, span)) };
    match (word, first) {
        (Some(word), Some(at))
            if default.slots.is_empty()
                && verb.subcommands().next().is_some()
                && !word.starts_with('-')
                && default.key(word).is_none() =>
        {
            Err(unknown_form(verb, word, at.span))
        }
        _ => Ok((default, 0)),
    }
}

fn missing_form(verb: &VerbSpec, first: Option<&Word>, span: Span) -> Failure {
    match first {
        Some(word) if verb.subcommands().next().is_some() => {
            unknown_form(verb, &word.text, word.span)
        }
        _ if verb.cell.is_some() && verb.forms.is_empty() => {
            Failure::new("magic::needs_a_cell", format!("`%{}` takes a whole cell", verb.name))
                .hint(format!("write `%%{}` on the first line and the text below it", verb.name))
                .span(span)
        }
        _ => {
            Failure::new("magic::missing_argument", format!("`%{}` needs a subcommand", verb.name))
                .hint(list(verb))
                .span(span)
        }
    }
}

fn unknown_form(verb: &VerbSpec, word: &str, span: Span) -> Failure {
    let hint = suggest::did_you_mean(
        word,
        verb.subcommands().map(|form| form.word),
        &format!("%{} ", verb.name),
        || match verb.form("load") {
            // An unknown subcommand is often the argument of `load`.
            Some(_) if !word.is_empty() => {
                format!("did you mean `%{} load {word}`? {}", verb.name, list(verb))
            }
            _ => list(verb),
        },
    );
    Failure::new(
        "magic::unknown_subcommand",
        format!("`%{}` has no subcommand `{word}`", verb.name),
    )
    .hint(hint)
    .span(span)
}

fn list(verb: &VerbSpec) -> String {
    let words: Vec<_> = verb.subcommands().map(|form| form.word).collect();
    format!("%{} {}; `%{}?` explains them", verb.name, words.join(" | "), verb.name)
}
