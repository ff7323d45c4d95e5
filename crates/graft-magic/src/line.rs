//! Parses a magic into a [`PartKind`].

use graft_spec::{Failure, Span};

use crate::{
    arguments,
    expressions::{self, Deferred, Expression},
    habits::magics::{self, Habit},
    part::{Context, HostCommand, PartKind},
    rust_source, suggest,
    verb::{Form, Invocation, Presence, VerbSpec},
    verbs,
    words::{self, BraceRule, Word},
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
    if let Some(meant) = call(verb, raw) {
        return Err(Failure::new("magic::call", "a magic takes its arguments without parentheses")
            .hint(format!("did you mean `{meant}`?"))
            .span(span));
    }
    let raw_column = span.end + rest.chars().take_while(|next| next.is_whitespace()).count();
    let raw_at =
        Span { line: magic.line, start: raw_column, end: raw_column + raw.chars().count() };
    let mut all = split(verb, raw, raw_at)?;
    if asks_for_help(verb, &all) {
        return help(verb.name, span);
    }
    let (form, used) = choose(verb, if verb.is_raw() { &[] } else { &all }, magic, span)?;
    let given = fill(&mut all, cx);
    let words: Vec<Word> = all.into_iter().skip(used).collect();
    let checked = if verb.is_raw() { Vec::new() } else { words.clone() };
    let known = |failure: Failure| without_markers(failure, &given.expressions);
    let arguments = arguments::check(verb, form, checked, span, cx).map_err(known)?;
    let shows_rust = words.iter().any(|word| word.bare() == Some("--rust"));
    if given.is_unknown && !shows_rust {
        return Ok(PartKind::Deferred(deferred(magic, given.expressions)));
    }
    let (body, body_line) = magic.body.unwrap_or_default();
    let invocation = Invocation {
        verb,
        positional: arguments.positional,
        settings: arguments.settings,
        words,
        raw,
        raw_at,
        body,
        body_line,
        span,
    };
    let kind = (form.build)(&invocation, cx).map_err(known)?;
    with_expressions(show_rust(name, arguments.rust, kind)?, &given)
}

/// The expressions in a magic.
struct Given {
    expressions: Vec<Expression>,
    /// Whether there are expressions without values, so that markers replace them.
    is_unknown: bool,
}

/// Replaces the expressions in `words` by their values, or by markers before they are evaluated.
fn fill(words: &mut [Word], cx: &Context<'_>) -> Given {
    let expressions = expressions::expressions(words);
    match &cx.values {
        Some(values) => expressions::fill(words, values),
        None => expressions::fill(words, &expressions::markers(expressions.len())),
    }
    let is_unknown = !expressions.is_empty() && cx.values.is_none();
    Given { expressions, is_unknown }
}

/// Shows the expressions in the code of `--rust`.
fn with_expressions(kind: PartKind, given: &Given) -> Result<PartKind, Failure> {
    match kind {
        PartKind::ShowRust(rust) if given.is_unknown => {
            expressions::in_rust(&rust, &given.expressions)
                .map(PartKind::ShowRust)
                .ok_or_else(|| not_in_rust(&given.expressions))
        }
        kind => Ok(kind),
    }
}

/// Splits the arguments of a magic into words. Braces contain an expression in `key=value` and in
/// arguments without quotes, but not in free text, such as a prompt of several words, and not where
/// the magic has its own syntax.
fn split(verb: &VerbSpec, raw: &str, at: Span) -> Result<Vec<Word>, Failure> {
    if verb.is_raw() && !verb.takes_grid() {
        return Ok(Vec::new());
    }
    let found = words::split(raw, at.line, at.start, BraceRule::Everywhere);
    let words = found.as_deref().unwrap_or_default();
    let first = words.first().and_then(Word::bare).unwrap_or_default();
    let used = usize::from(verb.form(first).is_some() && !first.is_empty());
    let form = verb.form(if used == 1 { first } else { "" }).or(verb.cell.as_ref());
    // The arguments of a grid and of `%trial` are words.
    let is_text = !verb.takes_grid() && form.is_some_and(arguments::takes_text);
    let arguments = words.get(used..).unwrap_or_default();
    if found.is_ok() && (!is_text || expressions::is_whole_text(arguments)) {
        return found;
    }
    words::split(raw, at.line, at.start, BraceRule::Values)
}

/// Returns a magic that waits for the values of its expressions.
fn deferred(magic: &MagicText<'_>, expressions: Vec<Expression>) -> Deferred {
    let (text, signs) = match magic.body {
        Some((body, _)) => (format!("%%{}\n{body}", magic.text), 2),
        None => (format!("%{}", magic.text), 1),
    };
    let column = magic.column.saturating_sub(signs);
    Deferred { expressions, text, line: magic.line, column }
}

/// Shows expressions as they were typed in a failure about their line.
fn without_markers(mut failure: Failure, expressions: &[Expression]) -> Failure {
    failure.message = expressions::unmarked(&failure.message, expressions);
    failure.hint = failure.hint.map(|hint| expressions::unmarked(&hint, expressions));
    failure
}

fn not_in_rust(expressions: &[Expression]) -> Failure {
    let sources: Vec<_> =
        expressions.iter().map(|expression| format!("`{}`", expression.source())).collect();
    let failure = Failure::new(
        "magic::no_rust",
        format!("`--rust` cannot show this line with {}", sources.join(", ")),
    )
    .hint("replace the braces by a value, or leave out `--rust`");
    match expressions.first() {
        Some(first) => failure.span(first.span),
        None => failure,
    }
}

/// Returns the magic that was meant by a call such as `%lora attach(r=8)` or `%train(steps=10)`.
fn call(verb: &VerbSpec, raw: &str) -> Option<String> {
    let (head, rest) = raw.split_once('(')?;
    let inside = rest.trim_end_matches(';').trim_end().strip_suffix(')')?;
    let form = verb.form(head.trim_end()).filter(|form| !arguments::takes_text(form))?;
    let is_call = !head.ends_with(' ') || inside.contains('=');
    if verb.is_raw() || !is_call || (form.word.is_empty() && !head.trim_end().is_empty()) {
        return None;
    }
    let text = format!("{} {} {}", verb.name, head.trim_end(), inside.trim());
    let meant = format!("%{}", text.split_whitespace().collect::<Vec<_>>().join(" "));
    crate::parse_cell(&meant, &graft_protocol::Snapshot::default()).ok().map(|_| meant)
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
        let names = verbs::all().iter().map(|verb| verb.name);
        // An alias is only suggested where no name is near.
        let other_names = verbs::all().iter().flat_map(|verb| verb.aliases.iter().copied());
        let hint = match magics::of(name) {
            Some(Habit::Hint(hint) | Habit::Note(hint)) => hint.to_owned(),
            None => suggest::did_you_mean(name, names, "%", || {
                suggest::did_you_mean(name, other_names, "%", || {
                    "`%lsmagic` lists the magics; Rust needs no `%`".to_owned()
                })
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
                && word.split_once(':').is_none_or(|(name, _)| default.key(name).is_none())
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
