//! The ledger of a run: one JSON line for each step, validation and other event. It is only
//! appended to, so that a crash loses at most one line.
//!
//! Ledgers are read as untrusted files: the length of lines is limited, and of more than
//! [`MOST_STEPS`] steps only every second, fourth, ... is loaded.

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

/// Most steps of a ledger that are loaded.
pub const MOST_STEPS: usize = 1 << 19;
/// Most validations, and most resumptions, that are loaded.
const MOST_OTHERS: usize = 1 << 16;
/// Most warnings reported individually.
const MOST_WARNINGS: usize = 8;

/// A line of the file.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    Header(Box<RunHeader>),
    /// The run was resumed after this step; later steps above this line are void.
    Resumed(Resumption),
    Step(StepRecord),
    Validation(ValidationRecord),
    Ended(RunEnded),
}

/// A resumption of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Resumption {
    /// Step of the restored checkpoint.
    pub after_step: u64,
    /// Keys of `%train` from then on; `None` in ledgers of older versions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub train: Option<Settings>,
}

/// A ledger open for appending.
#[derive(Debug)]
pub struct Ledger {
    path: PathBuf,
    file: File,
}

/// The content of a ledger.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunRecord {
    /// The header, unless its line is damaged.
    pub header: Option<RunHeader>,
    /// The steps in order, each once; a part of them if there are more than [`MOST_STEPS`].
    pub steps: Vec<StepRecord>,
    /// Number of steps per element of `steps`: 1 if all are loaded.
    pub every: u64,
    /// The validations in order.
    pub validations: Vec<ValidationRecord>,
    /// The resumptions in order.
    pub resumptions: Vec<Resumption>,
    /// The end; `None` while the run is in progress, or if it was killed.
    pub ended: Option<RunEnded>,
    /// One warning for each skipped damaged line. Of many, the first ones and the number of the
    /// others.
    pub warnings: Vec<String>,
}

impl Ledger {
    pub(super) fn append(path: &Path) -> Result<Self> {
        // Opened for reading too, to check the last byte: if a crash cut a line in half, it is
        // ended first, so that the next line is separate.
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

    /// Writes the header.
    ///
    /// # Errors
    /// [`TrainError::Io`] when the file cannot be written.
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
    /// The header with the settings of the last resumption.
    pub fn current_header(&self) -> Option<RunHeader> {
        let header = self.header.clone()?;
        let train = self.resumptions.iter().rev().find_map(|resumption| resumption.train.clone());
        Some(RunHeader { train: train.unwrap_or_else(|| header.train.clone()), ..header })
    }

    /// Removes everything after a step.
    pub(crate) fn cut(&mut self, after_step: u64) {
        // From the end, so that a ledger with many resumptions is read in linear time.
        while self.steps.pop_if(|step| step.step > after_step).is_some() {}
        while self.validations.pop_if(|validation| validation.step > after_step).is_some() {}
        self.ended = None;
    }

    /// About `most` steps at most, for a curve; the first and the last are included.
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
