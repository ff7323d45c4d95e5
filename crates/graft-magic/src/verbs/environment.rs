//! `%env`, `%cd`, `%pwd`.

use graft_spec::Failure;

use crate::{
    part::{Context, HostCommand, PartKind},
    verb::{Form, Invocation, Slot, SlotKind, VerbSpec},
};

const VARIABLE: &[Slot] = &[Slot::optional(
    "NAME=VALUE",
    SlotKind::Raw,
    "a variable and its new value; a name alone shows it, no argument lists all",
)];
const FOLDER: &[Slot] = &[Slot::optional_rest(
    "FOLDER",
    SlotKind::Path,
    "the folder; without it the home folder; `-` is the previous one",
)];

/// Defines `%env`.
pub(super) fn env() -> VerbSpec {
    VerbSpec {
        name: "env",
        aliases: &["set_env"],
        summary: "show or set environment variables",
        help: "Changes apply to the session and to Rust cells.",
        forms: vec![Form::bare("", "show or set variables", environment).slots(VARIABLE)],
        cell: None,
        examples: vec!["%env HF_HUB_OFFLINE=1".into(), "%env HOME".into()],
    }
}

fn environment(line: &Invocation<'_>, _: &mut Context<'_>) -> Result<PartKind, Failure> {
    let (name, value) =
        match line.raw.split_once('=').or_else(|| line.raw.split_once(char::is_whitespace)) {
            Some((name, value)) => (name.trim(), Some(unquoted(value.trim()).to_owned())),
            None => (line.raw, None),
        };
    let wrong = name.chars().any(|next| next.is_whitespace() || next == '\0')
        || value.as_deref().is_some_and(|value| value.contains('\0'));
    if wrong || (name.is_empty() && value.is_some()) {
        return Err(Failure::new(
            "magic::wrong_argument",
            format!("`{name}` is not a valid variable name"),
        )
        .hint("%env NAME=VALUE")
        .span(line.raw_at));
    }
    Ok(PartKind::Host(HostCommand::Env {
        name: (!name.is_empty()).then(|| name.to_owned()),
        value,
    }))
}

fn unquoted(value: &str) -> &str {
    let inner = |quote| value.strip_prefix(quote).and_then(|rest: &str| rest.strip_suffix(quote));
    inner('"').or_else(|| inner('\'')).unwrap_or(value)
}

/// Defines `%cd`.
pub(super) fn cd() -> VerbSpec {
    VerbSpec {
        name: "cd",
        aliases: &[],
        summary: "change the working directory",
        help: "Applies to the session, to Rust cells and to `!` lines.",
        forms: vec![
            Form::bare("", "change the working directory", |line, _| {
                Ok(PartKind::Host(HostCommand::Cd(line.joined())))
            })
            .slots(FOLDER),
        ],
        cell: None,
        examples: vec!["%cd ..".into(), "%cd -".into()],
    }
}

/// Defines `%pwd`.
pub(super) fn pwd() -> VerbSpec {
    VerbSpec {
        name: "pwd",
        aliases: &[],
        summary: "show the working directory",
        help: "",
        forms: vec![Form::bare("", "show the working directory", |_, _| {
            Ok(PartKind::Host(HostCommand::Pwd))
        })],
        cell: None,
        examples: vec!["%pwd".into()],
    }
}
