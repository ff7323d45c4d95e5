//! What the child tells while it works.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Block;

/// One piece of news; the host draws it under the cell that asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Event {
    /// Training starts.
    RunStarted(RunStarted),
    /// One optimizer step is done.
    Step(StepRecord),
    /// A validation is done.
    Validation(ValidationRecord),
    /// The training ended, however.
    RunEnded(RunEnded),
    /// Something long other than training: loading, downloading, evaluating.
    Progress {
        /// What is done, such as `evaluating which-book`.
        label: String,
        /// How much is done.
        done: u64,
        /// Of how much; 0 when unknown.
        total: u64,
    },
    /// Intermediate results of the command that sends [`Event::Progress`], shown below its bar until the reply replaces them.
    LiveTable(Vec<Block>),
    /// A line for the reader.
    Note {
        /// How loud.
        level: Level,
        /// The line.
        text: String,
    },
    /// Text generated, piece by piece.
    Text(String),
    /// Rich output from Rust cells or from the session.
    Display(MimeBundle),
    /// A block that a Rust cell shows: the host draws it as one block of a reply.
    Block(Block),
    /// The same under a name, by which it can be replaced later, by a block or by other content.
    Named {
        /// What to draw.
        block: Block,
        /// The name.
        display_id: String,
        /// Whether this replaces an earlier display of that name.
        update: bool,
    },
    /// Clear the cell's output; `wait` until the next output arrives.
    ClearOutput {
        /// Whether to wait.
        wait: bool,
    },
}

/// How loud a note is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Level {
    /// Information.
    Info,
    /// Something to look at.
    Warning,
}

/// Rich output: MIME type to content (binary as base64).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MimeBundle {
    /// MIME type to content.
    pub data: BTreeMap<String, String>,
    /// Name under which it can be updated.
    pub display_id: Option<String>,
    /// Whether this replaces an earlier display of that name.
    pub update: bool,
}

/// The head of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunStarted {
    /// Name of the run, also its folder under `.graft/runs`.
    pub run: String,
    /// One line: method, model, data.
    pub title: String,
    /// Step it starts after: 0, or the checkpoint's.
    pub first_step: u64,
    /// Planned last step.
    pub steps: u64,
    /// Parameters trained.
    pub trainable: u64,
    /// All parameters, adapter included.
    pub total: u64,
    /// Steps already in the ledger when a run is resumed: the curve begins with them.
    pub earlier: Vec<StepRecord>,
    /// Validations already in the ledger.
    pub earlier_validations: Vec<ValidationRecord>,
}

/// One optimizer step.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepRecord {
    /// Number of the step, from 1.
    pub step: u64,
    /// Mean loss per label token, nats.
    #[serde(with = "graft_spec::number")]
    pub loss: f64,
    /// Learning rate of this step.
    pub lr: f64,
    /// Global gradient norm before clipping.
    #[serde(with = "graft_spec::number")]
    pub grad_norm: f64,
    /// Tokens processed per second, padding not counted.
    pub tokens_per_second: f64,
    /// Seconds since the run (or its resumption) began.
    pub elapsed_seconds: f64,
}

/// One validation.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ValidationRecord {
    /// After which step; 0 is before training.
    pub step: u64,
    /// Mean loss per label token, nats.
    #[serde(with = "graft_spec::number")]
    pub loss: f64,
    /// Share of examples whose label scored highest, for text/label data.
    #[serde(with = "graft_spec::number::option")]
    pub accuracy: Option<f64>,
}

/// The end of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunEnded {
    /// Name of the run.
    pub run: String,
    /// How it ended.
    pub outcome: RunOutcome,
    /// Last step done.
    pub step: u64,
    /// Memory use; `None` in ledgers of older versions and for runs that failed before their first step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<MemoryUse>,
    /// One line: losses, time, speed, memory, where it is stored, how to go on.
    pub summary: String,
}

/// Memory of one training run on top of the loaded model, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryUse {
    /// Estimate from shapes, for a batch of the longest examples; `None` if the run does not fine-tune on a data set.
    pub predicted: Option<u64>,
    /// Measured peak, of the process or on the GPU; `None` where the system does not report it.
    pub taken: Option<u64>,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RunOutcome {
    /// All steps done.
    Finished,
    /// The user interrupted it; `%resume` continues the run.
    Interrupted,
    /// It could not go on (a NaN loss, a full disk); the reply carries the failure.
    Failed,
}
