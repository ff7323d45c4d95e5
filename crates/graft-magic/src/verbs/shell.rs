//! `%sx` and `%%sh`. Usually a line that begins with `!` is used instead.

use graft_spec::Failure;

use crate::{
    part::{Context, PartKind},
    verb::{Form, Invocation, Slot, SlotKind, VerbSpec},
};

const LINE: &[Slot] = &[Slot::rest("COMMAND", SlotKind::Raw, "a command line of the shell")];

/// Defines the magic.
pub(super) fn verb() -> VerbSpec {
    VerbSpec {
        name: "sh",
        aliases: &["sx", "system", "bash"],
        summary: "run a line or a cell in the shell",
        help: "`!ls` is short for `%sh ls`.",
        forms: vec![Form::bare("", "run one line", |line, _| given(line, line.raw)).slots(LINE)],
        cell: Some(Form::bare("", "run the cell", |line: &Invocation<'_>, _: &mut Context<'_>| {
            given(line, line.body)
        })),
        examples: vec!["!ls".into(), "%%sh\nls\npwd".into()],
    }
}

fn given(line: &Invocation<'_>, command: &str) -> Result<PartKind, Failure> {
    if command.trim().is_empty() {
        return Err(Failure::new("magic::missing_argument", "missing the shell command")
            .hint("for example !ls")
            .span(line.span));
    }
    Ok(PartKind::Shell(command.to_owned()))
}
