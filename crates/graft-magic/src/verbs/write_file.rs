//! `%%writefile`.

use graft_spec::{Failure, KeyKind, KeySpec};

use crate::{
    part::{Context, HostCommand, PartKind},
    verb::{Form, Invocation, Slot, SlotKind, VerbSpec},
};

const FILE: &[Slot] = &[Slot::required("FILE", SlotKind::Path, "the file")];

/// IPython's `-a`.
const APPEND: &[KeySpec] = &[KeySpec {
    name: "append",
    aliases: &["a"],
    kind: KeyKind::Bool,
    default: "false",
    help: "append the text to the file instead of replacing it",
}];

/// Defines the magic.
pub(super) fn verb() -> VerbSpec {
    VerbSpec {
        name: "writefile",
        aliases: &["file"],
        summary: "write the text of the cell to a file",
        help: "The file is replaced atomically; `-a` appends to it.",
        forms: Vec::new(),
        cell: Some(
            Form::bare("", "write the text below to a file", write).slots(FILE).keys(APPEND),
        ),
        examples: vec![
            "%%writefile reviews.jsonl\n{\"text\": \"good\", \"label\": \"positive\"}".into(),
            "%%writefile -a notes.txt\none more line".into(),
        ],
    }
}

fn write(line: &Invocation<'_>, _: &mut Context<'_>) -> Result<PartKind, Failure> {
    let append = line.settings.bool(APPEND, "append");
    Ok(PartKind::Host(HostCommand::WriteFile {
        file: line.joined(),
        append,
        text: line.body.to_owned(),
    }))
}
