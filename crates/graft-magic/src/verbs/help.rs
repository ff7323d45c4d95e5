//! `%lsmagic` and `%quickref`.

use crate::{
    part::{HostCommand, PartKind},
    verb::{Form, Slot, SlotKind, VerbSpec},
};

const VERB: &[Slot] = &[Slot::optional("NAME", SlotKind::Verb, "name of a magic")];

/// Defines `%lsmagic`.
pub(super) fn lsmagic() -> VerbSpec {
    VerbSpec {
        name: "lsmagic",
        aliases: &[],
        summary: "list the magics",
        help: "",
        forms: vec![Form::bare("", "list the magics", |_, _| {
            Ok(PartKind::Host(HostCommand::ListMagics))
        })],
        cell: None,
        examples: vec!["%lsmagic".into()],
    }
}

/// Defines `%quickref`.
pub(super) fn quickref() -> VerbSpec {
    VerbSpec {
        name: "quickref",
        aliases: &["magic", "help"],
        summary: "one page of help, or the help of one magic",
        help: "`%lora?`, `?%lora` and `%lora -h` do the same for one magic.",
        forms: vec![
            Form::bare("", "the page", |line, _| match line.positional.first() {
                None => Ok(PartKind::Host(HostCommand::Quickref)),
                Some(word) => crate::line::help(word.text.trim_start_matches('%'), word.span),
            })
            .slots(VERB),
        ],
        cell: None,
        examples: vec!["%quickref".into(), "%quickref lora".into()],
    }
}
