//! `%history` and `%load`.

use graft_spec::Failure;

use crate::{
    part::{Context, HostCommand, PartKind},
    verb::{Form, Invocation, Slot, SlotKind, VerbSpec},
};

const COUNT: &[Slot] = &[Slot::optional(
    "N",
    SlotKind::Number,
    "number of recent cells to show; without it all cells of this session",
)];
const FILE: &[Slot] = &[Slot::required("FILE", SlotKind::Path, "the file")];

/// Defines `%history`.
pub(super) fn history() -> VerbSpec {
    VerbSpec {
        name: "history",
        aliases: &["hist"],
        summary: "show the executed cells",
        help: "",
        forms: vec![Form::bare("", "show the cells", count).slots(COUNT)],
        cell: None,
        examples: vec!["%history 5".into()],
    }
}

fn count(line: &Invocation<'_>, _: &mut Context<'_>) -> Result<PartKind, Failure> {
    let Some(word) = line.positional.first() else {
        return Ok(PartKind::Host(HostCommand::History { count: None }));
    };
    let count = word.text.parse().map_err(|_| {
        Failure::new(
            "magic::wrong_argument",
            format!("N must be a whole number, got `{}`", word.text),
        )
        .hint("for example %history 5")
        .span(word.span)
    })?;
    Ok(PartKind::Host(HostCommand::History { count: Some(count) }))
}

/// Defines `%load`.
pub(super) fn load() -> VerbSpec {
    VerbSpec {
        name: "load",
        aliases: &[],
        summary: "replace the cell by the text of a file",
        help: "The text is not executed. To load a model, an adapter or data: %model load, %lora load, %data load.",
        forms: vec![
            Form::bare("", "replace the cell by the text of a file", |line, _| {
                Ok(PartKind::Host(HostCommand::Load(line.joined())))
            })
            .slots(FILE),
        ],
        cell: None,
        examples: vec!["%load recipe.rs".into()],
    }
}
