//! `%runs` and `%plot`.

use graft_protocol::{Command, RunsAction};
use graft_spec::training;

use crate::{
    part::PartKind,
    verb::{Form, Slot, SlotKind, VerbSpec},
};

const ONE: &[Slot] =
    &[Slot::optional("RUN", SlotKind::Run, "name of the run; default: the latest")];
const TWO: &[Slot] = &[
    Slot::required("RUN", SlotKind::Run, "one run"),
    Slot::required("OTHER", SlotKind::Run, "the other"),
];
const EXPORT: &[Slot] = &[
    Slot::required("RUN", SlotKind::Run, "name of the run"),
    Slot::required(
        "FILE",
        SlotKind::Path,
        "the file; .csv contains the steps, .json everything, .svg and .png the curves, .graft a script for `graft run` that repeats the run",
    ),
];
const NAMED: &[Slot] = &[Slot::required(
    "RUN",
    SlotKind::Run,
    "name of the run, as %runs lists it; a trial of a comparison is a run too",
)];
const SEVERAL: &[Slot] = &[Slot::rest("RUN", SlotKind::Run, "names of runs")];

/// Defines `%runs`.
pub(super) fn runs() -> VerbSpec {
    VerbSpec {
        name: "runs",
        aliases: &[],
        summary: "list the recorded runs, show or compare them, attach their weights, export them",
        help: "Runs are recorded in .graft/runs next to the notebook and remain there when the kernel exits. Each run saves its last weights and those with the lowest validation loss.",
        forms: vec![
            Form::bare("", "list the runs, newest first", |_, _| command(RunsAction::List)),
            Form::bare("show", "one run: settings, losses, checkpoints", |line, _| {
                command(RunsAction::Show { run: line.word(0) })
            })
            .slots(ONE),
            Form::bare(
                "diff",
                "the differences between two runs, in settings and results",
                |line, _| {
                    command(RunsAction::Diff {
                        one: line.word(0).unwrap_or_default(),
                        other: line.word(1).unwrap_or_default(),
                    })
                },
            )
            .slots(TWO),
            Form::bare("use", "attach the weights of a run as the active adapter", |line, _| {
                command(RunsAction::Use {
                    run: line.word(0).unwrap_or_default(),
                    settings: line.settings.clone(),
                })
            })
            .slots(NAMED)
            .keys(training::RUN_WEIGHTS),
            Form::bare("export", "write a run to a file", |line, _| {
                command(RunsAction::Export {
                    run: line.word(0).unwrap_or_default(),
                    file: line.word(1).unwrap_or_default(),
                })
            })
            .slots(EXPORT),
        ],
        cell: None,
        examples: vec![
            "%runs".into(),
            "%runs show lora-001".into(),
            "%runs diff lora-001 lora-002".into(),
            "%runs use lora-001".into(),
            "%runs use lora-001 step=last as=longer".into(),
            "%runs export lora-001 again.graft".into(),
            "%runs export lora-001 curves.svg".into(),
        ],
    }
}

/// Defines `%plot`.
pub(super) fn plot() -> VerbSpec {
    VerbSpec {
        name: "plot",
        aliases: &[],
        summary: "plot the curves of several runs",
        help: "Loss, validation loss, accuracy, rewards, learning rate, gradient norm or speed against the steps, from the ledgers of the runs.",
        forms: vec![
            Form::bare("", "plot runs", |line, _| {
                command(RunsAction::Plot {
                    runs: line.positional.iter().map(|word| word.text.clone()).collect(),
                    settings: line.settings.clone(),
                })
            })
            .slots(SEVERAL)
            .keys(training::PLOT),
        ],
        cell: None,
        examples: vec![
            "%plot lora-001 lora-002".into(),
            "%plot lora-001 y=grad_norm smooth=0.9 log=true".into(),
        ],
    }
}

fn command(action: RunsAction) -> Result<PartKind, graft_spec::Failure> {
    Ok(PartKind::Session(Command::Runs { action }))
}
