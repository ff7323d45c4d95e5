//! `%seed`.

use graft_protocol::Command;
use graft_spec::Failure;

use crate::{
    part::{Context, PartKind},
    verb::{Form, Invocation, Slot, SlotKind, VerbSpec},
};

const SEED: &[Slot] = &[Slot::optional(
    "N",
    SlotKind::Number,
    "the new seed, a whole number of at least 0; without it the current seed is shown",
)];

/// Defines the magic.
pub(super) fn verb() -> VerbSpec {
    VerbSpec {
        name: "seed",
        aliases: &[],
        summary: "show or set the seed of initial values, data order, dropout and sampling",
        help: "The same seed gives the same losses on one machine.",
        forms: vec![Form::bare("", "show or set the seed", seed).slots(SEED)],
        cell: None,
        examples: vec!["%seed 7".into(), "%seed".into()],
    }
}

fn seed(line: &Invocation<'_>, _: &mut Context<'_>) -> Result<PartKind, Failure> {
    let Some(word) = line.positional.first() else {
        return Ok(PartKind::Session(Command::Seed { seed: None }));
    };
    let seed = word.text.replace('_', "").parse().map_err(|_| {
        Failure::new(
            "magic::wrong_argument",
            format!("the seed must be a whole number of at least 0, got `{}`", word.text),
        )
        .hint("for example %seed 7")
        .span(word.span)
    })?;
    Ok(PartKind::Session(Command::Seed { seed: Some(seed) }))
}
