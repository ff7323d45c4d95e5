//! The ledger of a run: one JSON line for each thing that happened. Appended, never rewritten, so that a crash loses at most one line.
//!
//! Whoever reads one trusts nothing in it: lines are bounded, and of more steps than [`MOST_STEPS`] only every second, fourth, ... is kept in memory.

mod reader;

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use graft_protocol::{RunEnded, StepRecord, ValidationRecord};
use graft_spec::Settings;
use serde::{Deserialize, Serialize};

use super::{RunHeader, safe_open};
use crate::{Result, TrainError};

pub(super) use reader::read_header;
pub use reader::{read_ledger, read_ledger_until};

/// Most steps of a ledger that are held in memory.
pub const MOST_STEPS: usize = 1 << 19;
/// Most validations, and most resumptions.
const MOST_OTHERS: usize = 1 << 16;
/// Most warnings that are told one by one.
const MOST_WARNINGS: usize = 8;

/// One line.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    Header(Box<RunHeader>),
    /// The run is resumed after this step; later steps above are void.
    Resumed(Resumption),
    Step(StepRecord),
    Validation(ValidationRecord),
    Ended(RunEnded),
}

/// One time that a run was resumed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Resumption {
    /// Step of the checkpoint that it was resumed from.
    pub after_step: u64,
    /// Keys of `%train` from here on; none in ledgers of older versions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub train: Option<Settings>,
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
    /// Steps in order, each once; of more than [`MOST_STEPS`] some are left out.
    pub steps: Vec<StepRecord>,
    /// How many steps one of `steps` stands for: 1 where all are there.
    pub every: u64,
    /// Validations in order.
    pub validations: Vec<ValidationRecord>,
    /// The times that it was resumed.
    pub resumptions: Vec<Resumption>,
    /// The end, unless the run goes on or was killed.
    pub ended: Option<RunEnded>,
    /// One warning for each damaged line that was skipped; of many the first, and how many more there are.
    pub warnings: Vec<String>,
}

impl Ledger {
    pub(super) fn append(path: &Path) -> Result<Self> {
        // Readable as well, for the last byte: a line that a crash cut in half is ended first, so that the next one is a line of its own.
        let file = safe_open::open(OpenOptions::new().create(true).read(true).append(true), path)?;
        let mut ledger = Self { path: path.to_owned(), file };
        if ledger.is_cut().map_err(TrainError::io("read", path))? {
            ledger.write(b"\n")?;
        }
        Ok(ledger)
    }

    fn is_cut(&mut self) -> std::io::Result<bool> {
        if self.file.metadata()?.len() == 0 {
            return Ok(false);
        }
        let mut last = [0];
        self.file.seek(SeekFrom::End(-1))?;
        self.file.read_exact(&mut last)?;
        Ok(last != *b"\n")
    }

    /// Writes the head.
    ///
    /// # Errors
    /// [`TrainError::Io`], as all writes.
    pub fn header(&mut self, header: &RunHeader) -> Result<()> {
        self.line(&Line::Header(Box::new(header.clone())))
    }

    pub(crate) fn resumed(&mut self, after_step: u64, train: &Settings) -> Result<()> {
        self.line(&Line::Resumed(Resumption { after_step, train: Some(train.clone()) }))
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

impl RunRecord {
    /// The head with the keys that the run was last resumed with: what it is now.
    pub fn current_header(&self) -> Option<RunHeader> {
        let header = self.header.clone()?;
        let train = self.resumptions.iter().rev().find_map(|resumption| resumption.train.clone());
        Some(RunHeader { train: train.unwrap_or_else(|| header.train.clone()), ..header })
    }

    /// Forgets what came after a step.
    pub(crate) fn cut(&mut self, after_step: u64) {
        // From the end: a ledger with as many resumptions as steps is still read in linear time.
        while self.steps.pop_if(|step| step.step > after_step).is_some() {}
        while self.validations.pop_if(|validation| validation.step > after_step).is_some() {}
        self.ended = None;
    }

    /// At most about `most` steps, the first and the last among them: as many as a curve can show.
    pub fn thinned(&self, most: usize) -> Vec<StepRecord> {
        let every = self.steps.len().div_ceil(most.max(1)).max(1);
        let mut steps: Vec<_> = self.steps.iter().step_by(every).copied().collect();
        if let Some(last) =
            self.steps.last().filter(|last| steps.last().is_none_or(|kept| kept.step != last.step))
        {
            steps.push(*last);
        }
        steps
    }
}

#[cfg(test)]
mod tests;
