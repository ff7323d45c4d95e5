//! `%time` and `%%time`.

use graft_spec::Failure;

use crate::{
    cell::{begins_magic, line_kind, parse_text},
    part::{Context, HostCommand, Part, PartKind},
    verb::{Form, Invocation, Slot, SlotKind, VerbSpec},
};

const LINE: &[Slot] = &[Slot::rest("LINE", SlotKind::Raw, "a magic or a line of Rust")];

/// Defines the magic.
pub(super) fn verb() -> VerbSpec {
    VerbSpec {
        name: "time",
        aliases: &[],
        summary: "measure how long a line or a cell takes",
        help: "Measures wall time; for Rust, that includes compilation.",
        forms: vec![Form::bare("", "measure one line", line).slots(LINE)],
        cell: Some(Form::bare("", "measure the whole cell", cell)),
        examples: vec![
            "%time %eval examples=50".into(),
            "%time let x: u64 = (0..1_000_000).sum();".into(),
            "%%time\nlet a = 1;".into(),
        ],
    }
}

fn line(magic: &Invocation<'_>, cx: &mut Context<'_>) -> Result<PartKind, Failure> {
    let at = magic.raw_at;
    if magic.raw.is_empty() {
        return Err(Failure::new("magic::missing_argument", "`%time` needs a line to measure")
            .hint("`%time %eval`, or `%%time` over a cell")
            .span(magic.span));
    }
    let kind = if begins_magic(magic.raw) {
        line_kind(magic.raw, at.line, at.start, cx)?
    } else {
        PartKind::Rust(format!("{}{}", "\n".repeat(at.line), magic.raw))
    };
    Ok(PartKind::Host(HostCommand::Time(Box::new(Part {
        kind,
        line: at.line,
        text: magic.raw.to_owned(),
    }))))
}

fn cell(magic: &Invocation<'_>, cx: &mut Context<'_>) -> Result<PartKind, Failure> {
    let parts = parse_text(magic.body, magic.body_line, cx)?;
    if parts.is_empty() {
        return Err(Failure::new("magic::empty_cell", "nothing to measure below this line")
            .hint("did you mean `%time` with one `%`?")
            .span(magic.span));
    }
    Ok(PartKind::Host(HostCommand::TimeCell(parts)))
}
