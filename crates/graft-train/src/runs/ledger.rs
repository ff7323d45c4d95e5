//! The ledger of a run: one JSON line for each thing that happened. Appended, never rewritten, so that a crash loses at most one line.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use graft_protocol::{RunEnded, StepRecord, ValidationRecord};
use serde::{Deserialize, Serialize};

use super::RunHeader;
use crate::{Result, TrainError};

/// One line.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    Header(Box<RunHeader>),
    /// The run goes on after this step; what stands above of later steps is void.
    Resumed {
        after_step: u64,
    },
    Step(StepRecord),
    Validation(ValidationRecord),
    Ended(RunEnded),
}

/// A ledger open for appending.
#[derive(Debug)]
pub struct Ledger {
    path: PathBuf,
    file: File,
}

/// All that a ledger says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunRecord {
    /// The head, unless its line is damaged.
    pub header: Option<RunHeader>,
    /// Steps in order, each once.
    pub steps: Vec<StepRecord>,
    /// Validations in order.
    pub validations: Vec<ValidationRecord>,
    /// The end, unless the run goes on or was killed.
    pub ended: Option<RunEnded>,
    /// One warning for each damaged line that was skipped.
    pub warnings: Vec<String>,
}

impl Ledger {
    pub(super) fn append(path: &Path) -> Result<Self> {
        // A line that a crash cut in half is closed first, so that the next one stands alone.
        let cut = fs::read(path).is_ok_and(|bytes| bytes.last().is_some_and(|last| *last != b'\n'));
        let file = OpenOptions::new().create(true).append(true).open(path).map_err(TrainError::io("write", path))?;
        let mut ledger = Self { path: path.to_owned(), file };
        if cut {
            ledger.write(b"\n")?;
        }
        Ok(ledger)
    }

    /// Writes the head.
    ///
    /// # Errors
    /// [`TrainError::Io`], as all writes.
    pub fn header(&mut self, header: &RunHeader) -> Result<()> {
        self.line(&Line::Header(Box::new(header.clone())))
    }

    pub(crate) fn resumed(&mut self, after_step: u64) -> Result<()> {
        self.line(&Line::Resumed { after_step })
    }

    pub(crate) fn step(&mut self, record: &StepRecord) -> Result<()> {
        self.line(&Line::Step(*record))
    }

    pub(crate) fn validation(&mut self, record: &ValidationRecord) -> Result<()> {
        self.line(&Line::Validation(*record))
    }

    pub(crate) fn ended(&mut self, record: &RunEnded) -> Result<()> {
        self.line(&Line::Ended(record.clone()))
    }

    fn line(&mut self, line: &Line) -> Result<()> {
        let mut text = serde_json::to_vec(line).expect("invariant: a ledger line is plain data");
        text.push(b'\n');
        self.write(&text)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).map_err(TrainError::io("write", &self.path))
    }
}

/// Reads a ledger; damaged lines are skipped with a warning.
///
/// # Errors
/// [`TrainError::Io`] when the file cannot be read.
pub fn read_ledger(path: &Path) -> Result<RunRecord> {
    let bytes = fs::read(path).map_err(TrainError::io("read", path))?;
    let mut record = RunRecord::default();
    for (index, line) in bytes.split(|byte| *byte == b'\n').enumerate().filter(|(_, line)| !line.is_empty()) {
        match serde_json::from_slice(line) {
            Ok(line) => record.take(line),
            Err(error) => record.warnings.push(format!("{} line {} is damaged and was skipped: {error}", path.display(), index + 1)),
        }
    }
    Ok(record)
}

pub(super) fn read_header(path: &Path) -> Option<RunHeader> {
    let bytes = fs::read(path).ok()?;
    match serde_json::from_slice(bytes.split(|byte| *byte == b'\n').next()?).ok()? {
        Line::Header(header) => Some(*header),
        _ => None,
    }
}

impl RunRecord {
    fn take(&mut self, line: Line) {
        match line {
            Line::Header(header) => self.header = Some(*header),
            Line::Resumed { after_step } => self.cut(after_step),
            Line::Step(step) => self.steps.push(step),
            Line::Validation(validation) => self.validations.push(validation),
            Line::Ended(ended) => self.ended = Some(ended),
        }
    }

    /// Forgets what came after a step.
    pub(crate) fn cut(&mut self, after_step: u64) {
        self.steps.retain(|step| step.step <= after_step);
        self.validations.retain(|validation| validation.step <= after_step);
        self.ended = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(step: u64, loss: f64) -> StepRecord {
        StepRecord { step, loss, lr: 0.1, grad_norm: 1.0, tokens_per_second: 10.0, elapsed_seconds: 1.0 }
    }

    #[test]
    fn a_damaged_line_is_skipped_with_a_warning() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("ledger.jsonl");
        let mut ledger = Ledger::append(&path).expect("opens");
        ledger.step(&step(1, 2.5)).expect("writes");
        ledger.write(b"{\"step\":{\"st").expect("writes");
        let mut ledger = Ledger::append(&path).expect("opens again");
        ledger.step(&step(2, f64::NAN)).expect("writes");
        let record = read_ledger(&path).expect("reads");
        assert_eq!(record.steps.iter().map(|step| step.step).collect::<Vec<_>>(), [1, 2]);
        assert!(record.steps[1].loss.is_nan());
        assert_eq!(record.warnings.len(), 1);
        assert!(record.warnings[0].contains("line 2 is damaged"), "{:?}", record.warnings);
    }

    #[test]
    fn resuming_voids_the_steps_after_the_checkpoint() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("ledger.jsonl");
        let mut ledger = Ledger::append(&path).expect("opens");
        for number in 1..=3 {
            ledger.step(&step(number, 1.0)).expect("writes");
        }
        ledger.resumed(2).expect("writes");
        ledger.step(&step(3, 0.5)).expect("writes");
        let losses: Vec<_> = read_ledger(&path).expect("reads").steps.iter().map(|step| (step.step, step.loss)).collect();
        assert_eq!(losses, [(1, 1.0), (2, 1.0), (3, 0.5)]);
    }
}
