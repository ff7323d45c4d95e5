//! Events that the child sends while it works.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Block, Level};

/// One event; the host draws it below the cell that caused it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Event {
    /// The training run has started.
    RunStarted(RunStarted),
    /// An optimizer step has finished.
    Step(StepRecord),
    /// A validation has finished.
    Validation(ValidationRecord),
    /// The training run has ended, for whatever reason.
    RunEnded(RunEnded),
    /// Progress of a long operation other than training: loading, downloading, evaluating.
    Progress {
        /// The operation, such as `evaluating which-book`.
        label: String,
        /// Number of units done.
        done: u64,
        /// Number of units in total; 0 if unknown.
        total: u64,
    },
    /// Intermediate results of the command that sends [`Event::Progress`], shown below its bar
    /// until the reply replaces them.
    LiveTable(Vec<Block>),
    /// A message for the reader.
    Note {
        /// The severity.
        level: Level,
        /// The message.
        text: String,
    },
    /// Generated text, piece by piece.
    Text(String),
    /// Rich output from Rust cells or from the session.
    Display(MimeBundle),
    /// A block shown by a Rust cell. The host draws it like a block of a reply.
    Block(Block),
    /// A block with a display name, by which later blocks or other content can replace it.
    Named {
        /// The block to draw.
        block: Block,
        /// The display name.
        display_id: String,
        /// Whether this block replaces an earlier display of that name.
        update: bool,
    },
    /// Clears the output of the cell.
    ClearOutput {
        /// Whether to wait until the next output arrives.
        wait: bool,
    },
}

/// Rich output: content by MIME type (binary content as base64).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MimeBundle {
    /// Content by MIME type.
    pub data: BTreeMap<String, String>,
    /// Name under which the output can be updated.
    pub display_id: Option<String>,
    /// Whether this output replaces an earlier display of that name.
    pub update: bool,
}

/// The start of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunStarted {
    /// Name of the run, and of its folder in `.graft/runs`.
    pub run: String,
    /// One line: method, model, data.
    pub title: String,
    /// Step after which the run starts: 0, or that of the checkpoint.
    pub first_step: u64,
    /// Number of the last planned step.
    pub steps: u64,
    /// Number of trained parameters.
    pub trainable: u64,
    /// Number of all parameters, including the adapter.
    pub total: u64,
    /// Steps in the ledger when the run is resumed; the loss curve begins with them.
    pub earlier: Vec<StepRecord>,
    /// Validations in the ledger when the run is resumed.
    pub earlier_validations: Vec<ValidationRecord>,
    /// Name of the metric of the best weights, which validations may measure.
    #[serde(default)]
    pub best: String,
}

impl RunStarted {
    /// The name of [`ValidationRecord::metric`].
    pub fn metric_name(&self) -> &str {
        if self.best.is_empty() { "metric" } else { &self.best }
    }
}

/// One optimizer step.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepRecord {
    /// Number of the step, from 1.
    pub step: u64,
    /// Mean loss per label token, in nats; per pair in preference training.
    #[serde(with = "graft_spec::number")]
    pub loss: f64,
    /// Learning rate of this step.
    pub lr: f64,
    /// Global gradient norm before clipping.
    #[serde(with = "graft_spec::number")]
    pub grad_norm: f64,
    /// Tokens processed per second, without padding.
    pub tokens_per_second: f64,
    /// Seconds since the start of the run or its resumption.
    pub elapsed_seconds: f64,
    /// Rewards of the pairs of this step, in preference training.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rewards: Option<Rewards>,
}

/// Mean rewards of the pairs of one step of preference training.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Rewards {
    /// Mean reward of the chosen answers.
    #[serde(with = "graft_spec::number")]
    pub chosen: f64,
    /// Mean reward of the rejected answers.
    #[serde(with = "graft_spec::number")]
    pub rejected: f64,
    /// Fraction of the pairs whose chosen answer has the higher reward.
    pub accuracy: f64,
}

impl Rewards {
    /// Mean reward of the chosen answers minus that of the rejected ones.
    pub fn margin(&self) -> f64 {
        self.chosen - self.rejected
    }
}

/// One validation.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ValidationRecord {
    /// Step after which the validation was done; 0 is before training.
    pub step: u64,
    /// Mean loss per label token, in nats.
    #[serde(with = "graft_spec::number")]
    pub loss: f64,
    /// Share of the examples whose label has the highest score, for text/label data; of the pairs
    /// whose chosen answer is the more likely one, for preferences.
    #[serde(with = "graft_spec::number::option")]
    pub accuracy: Option<f64>,
    /// The metric that `best` names, if it is neither the loss nor the accuracy.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "graft_spec::number::option")]
    pub metric: Option<f64>,
}

/// The end of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunEnded {
    /// Name of the run.
    pub run: String,
    /// The outcome.
    pub outcome: RunOutcome,
    /// Number of the last step.
    pub step: u64,
    /// Memory use; `None` in ledgers of older versions and for runs that failed before their first
    /// step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<MemoryUse>,
    /// One line: losses, time, speed, memory, location, and how to continue.
    pub summary: String,
}

/// Memory of one training run on top of the loaded model, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryUse {
    /// Estimate from shapes, for a batch of the longest examples; `None` if the run does not
    /// fine-tune on a data set.
    pub predicted: Option<u64>,
    /// Measured peak, of the process or on the GPU; `None` where the system does not report it.
    pub taken: Option<u64>,
}

/// The outcome of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RunOutcome {
    /// All steps are done.
    Finished,
    /// The user interrupted it; `%resume` continues the run.
    Interrupted,
    /// An error stopped it (a NaN loss, a full disk); the reply contains the failure.
    Failed,
}
