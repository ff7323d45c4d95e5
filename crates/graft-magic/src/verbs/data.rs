//! `%data` and `%%data`: examples to train and evaluate on.

use graft_protocol::Command;
use graft_spec::{Failure, training};

use crate::{
    part::{Context, PartKind},
    verb::{Form, Invocation, Slot, SlotKind, VerbSpec},
};

const SOURCE: &[Slot] = &[Slot::optional(
    "SOURCE",
    SlotKind::DataSource,
    "which-book, error-codes or rust-docs (built in); a jsonl, json, csv, tsv, txt or parquet file, also compressed with gzip; a folder of such files; or ORG/NAME, a data set on the Hugging Face Hub",
)];
const NAME: &[Slot] = &[Slot::required("NAME", SlotKind::Data, "name of a data set")];
const MAYBE_NAME: &[Slot] =
    &[Slot::optional("NAME", SlotKind::Data, "name of a data set; default: the current one")];
const NEW_NAME: &[Slot] =
    &[Slot::required("NAME", SlotKind::Text, "name for the examples in this cell")];

/// Defines the magic.
pub(super) fn verb() -> VerbSpec {
    VerbSpec {
        name: "data",
        aliases: &[],
        summary: "load examples, show them, or write them in the cell",
        help: "The columns decide what the examples are: text; text and label; two texts and a \
            label; prompt and completion (also instruction/input/output and question/answer); \
            messages or conversations; prompt, chosen and rejected. columns=ROLE:COLUMN names \
            others. The reply lists what each column was taken for and which ones were ignored. \
            A data set with the same name is replaced. A classifier matches \
            labels with its `id2label` by name, then as LABEL_0 or 0; the other labels become \
            the remaining classes in order, with a warning.",
        forms: vec![
            Form::bare("", "the current data set", show).keys(training::DATA_SHOW),
            Form::bare(
                "load",
                "load a built-in data set, a file, a folder or a data set of the Hub, and make it the current one",
                load,
            )
            .slots(SOURCE)
            .keys(training::DATA),
            Form::bare("use", "make a loaded data set the current one", |line, _| {
                Ok(PartKind::Session(Command::DataUse { name: line.joined() }))
            })
            .slots(NAME),
            Form::bare("show", "sizes of the splits and the first rows", show)
                .slots(MAYBE_NAME)
                .keys(training::DATA_SHOW),
        ],
        cell: Some(
            Form::bare("", "the examples in this cell, one per line", inline)
                .slots(NEW_NAME)
                .keys(training::DATA),
        ),
        examples: vec![
            "%data load which-book".into(),
            "%data load reviews.csv name=reviews validation=0.2".into(),
            "%data load reviews.tsv columns=text:body,label:stars skip_bad=true".into(),
            "%data load train=train.jsonl validation=dev.jsonl test=test.jsonl".into(),
            "%data load stanfordnlp/imdb limit=2000 shuffle=true".into(),
            "%data show n=3".into(),
            "%data show n=1 tokens=true".into(),
            "%data load chat.jsonl chat_template=chatml".into(),
            "%data show n=1 tokens=true loss_on=all".into(),
            "%%data greetings\n{\"prompt\": \"Say hello:\", \"completion\": \" hello\"}".into(),
        ],
    }
}

fn show(line: &Invocation<'_>, _: &mut Context<'_>) -> Result<PartKind, Failure> {
    let settings = &line.settings;
    let rows = settings.integer(training::DATA_SHOW, "rows");
    let rows = rows.and_then(|rows| usize::try_from(rows).ok()).unwrap_or(5);
    let mut keys = settings.clone();
    keys.values.retain(|key, _| !matches!(key.as_str(), "rows" | "tokens"));
    // The other keys are about tokens only.
    let shows = settings.bool(training::DATA_SHOW, "tokens") || !keys.values.is_empty();
    let tokens = shows.then_some(keys);
    Ok(PartKind::Session(Command::DataShow { name: line.word(0), rows, tokens }))
}

fn load(line: &Invocation<'_>, _: &mut Context<'_>) -> Result<PartKind, Failure> {
    Ok(PartKind::Session(Command::DataLoad {
        source: line.joined(),
        settings: line.settings.clone(),
    }))
}

fn inline(line: &Invocation<'_>, _: &mut Context<'_>) -> Result<PartKind, Failure> {
    if line.body.trim().is_empty() {
        return Err(Failure::new("magic::empty_cell", "no examples below this line")
            .hint("write one example per line, such as {\"prompt\": \"2 + 2 =\", \"completion\": \" 4\"}")
            .span(line.span));
    }
    Ok(PartKind::Session(Command::DataInline {
        name: line.joined(),
        text: line.body.to_owned(),
        settings: line.settings.clone(),
    }))
}
