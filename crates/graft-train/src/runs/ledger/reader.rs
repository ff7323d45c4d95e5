//! Reads a ledger into a [`RunRecord`].

use std::path::Path;

use graft_nn::regular_file;
use graft_protocol::StepRecord;

use super::super::lines::{Line as Text, Lines};
use super::{Line, MOST_OTHERS, MOST_STEPS, MOST_WARNINGS, RunHeader, RunRecord};
use crate::{Result, TrainError};

/// Lines between two checks of the stop flag.
const CHECK_INTERVAL: u64 = 1 << 10;

/// Reads a ledger. Damaged lines are skipped with a warning.
///
/// # Errors
/// [`TrainError::Io`] when the file cannot be read.
pub fn read_ledger(path: &Path) -> Result<RunRecord> {
    read_ledger_until(path, &|| false)
}

/// As [`read_ledger`], but stops when `is_stopped` returns true.
///
/// # Errors
/// [`TrainError::Io`] when the file cannot be read, [`TrainError::Stopped`] when it was stopped.
pub fn read_ledger_until(path: &Path, is_stopped: &dyn Fn() -> bool) -> Result<RunRecord> {
    read(path, MOST_STEPS, is_stopped)
}

/// Reads a ledger and loads at most `most` steps.
pub(super) fn read(path: &Path, most: usize, is_stopped: &dyn Fn() -> bool) -> Result<RunRecord> {
    let mut lines = Lines::new(regular_file::open(path).map_err(TrainError::io("read", path))?);
    let mut reader = Reader {
        record: RunRecord { every: 1, ..RunRecord::default() },
        most,
        seen: 0,
        newest: None,
        unlisted: 0,
    };
    loop {
        if lines.number.is_multiple_of(CHECK_INTERVAL) && is_stopped() {
            return Err(TrainError::Stopped);
        }
        let number = lines.number + 1;
        let problem = match lines.next(is_stopped).map_err(TrainError::io("read", path))? {
            None => break,
            Some(Text::Whole([])) => continue,
            Some(Text::Whole(line)) => match serde_json::from_slice(line) {
                Ok(line) => {
                    reader.take(line);
                    continue;
                }
                Err(error) => format!("is damaged and was skipped: {error}"),
            },
            Some(Text::TooLong) => "is longer than 16 MiB and was skipped".to_owned(),
        };
        reader.warn(|| format!("{} line {number} {problem}", path.display()));
    }
    if is_stopped() { Err(TrainError::Stopped) } else { Ok(reader.finish()) }
}

/// The header, from the first line alone.
pub(in crate::runs) fn read_header(path: &Path) -> Option<RunHeader> {
    let mut lines = Lines::new(regular_file::open(path).ok()?);
    let Some(Text::Whole(line)) = lines.next(&|| true).ok()? else { return None };
    match serde_json::from_slice(line).ok()? {
        Line::Header(header) => Some(*header),
        _ => None,
    }
}

struct Reader {
    record: RunRecord,
    /// Most steps that are loaded.
    most: usize,
    /// Steps read so far.
    seen: u64,
    /// The newest step, whether or not it is one of those that are kept.
    newest: Option<StepRecord>,
    /// Number of warnings that are only counted.
    unlisted: u64,
}

impl Reader {
    fn take(&mut self, line: Line) {
        match line {
            Line::Header(header) => self.record.header = Some(*header),
            Line::Resumed(resumption) => {
                self.cut(resumption.after_step);
                if self.record.resumptions.len() < MOST_OTHERS {
                    self.record.resumptions.push(resumption);
                }
            }
            Line::Step(step) => self.step(step),
            Line::Validation(validation) if self.record.validations.len() < MOST_OTHERS => {
                self.record.validations.push(validation)
            }
            Line::Validation(_) => {}
            Line::Ended(ended) => self.record.ended = Some(ended),
        }
    }

    fn step(&mut self, step: StepRecord) {
        // Older versions did not lock runs, so two processes may have written to one ledger.
        if self.newest.is_some_and(|newest| newest.step >= step.step) {
            let ended = self.record.ended.take();
            self.cut(step.step.saturating_sub(1));
            self.record.ended = ended;
        }
        self.newest = Some(step);
        if self.seen.is_multiple_of(self.record.every) {
            self.record.steps.push(step);
        }
        self.seen += 1;
        if self.record.steps.len() > self.most {
            let mut index = 0;
            self.record.steps.retain(|_| {
                index += 1;
                index % 2 == 1
            });
            self.record.every *= 2;
        }
    }

    fn cut(&mut self, after_step: u64) {
        self.record.cut(after_step);
        if self.newest.is_some_and(|newest| newest.step > after_step) {
            self.newest = self.record.steps.last().copied();
        }
    }

    fn warn(&mut self, text: impl FnOnce() -> String) {
        if self.record.warnings.len() < MOST_WARNINGS {
            self.record.warnings.push(text())
        } else {
            self.unlisted += 1
        }
    }

    fn finish(mut self) -> RunRecord {
        let last = self
            .newest
            .filter(|newest| self.record.steps.last().is_none_or(|last| last.step != newest.step));
        self.record.steps.extend(last);
        if self.unlisted > 0 {
            let unlisted = thousands(self.unlisted);
            let lines = if self.unlisted == 1 { "line was" } else { "lines were" };
            self.record.warnings.push(format!("{unlisted} more damaged {lines} skipped"));
        }
        self.record
    }
}

/// `199993` as `199,993`.
fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
