//! The folder of a run.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::{
    Checkpoint, Ledger, Progress, RunHeader, RunLock, RunRecord, SavedWeights, ledger, location,
};
use crate::checkpoint_state::CheckpointState;
use crate::{Result, TrainError};

/// The folder of a run: its ledger, its checkpoints and its lock.
///
/// ```text
/// lora-001/
///   ledger.jsonl              header, steps, validations, end
///   checkpoint-00000200/      adapter.safetensors, optimizer.safetensors, checkpoint.json
///   best-00000180/            the weights with the lowest validation loss
///   start/                    the initial weights, unless they were fresh
///   .lock
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunFolder {
    path: PathBuf,
}

impl RunFolder {
    /// Creates a new folder `NAME-001`, `NAME-002`, ... in `base`, and `base` if it is missing.
    ///
    /// # Errors
    /// [`TrainError::Io`] when a folder cannot be created.
    pub fn create(base: &Path, name: &str) -> Result<Self> {
        location::make(base).map_err(TrainError::io("create", base))?;
        let name: String = name
            .chars()
            .map(|c| if c.is_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '-' })
            .collect();
        for number in 1_u32.. {
            let path = base.join(format!("{name}-{number:03}"));
            match fs::create_dir(&path) {
                Ok(()) => return Ok(Self { path }),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(TrainError::io("create", &path)(error)),
            }
        }
        unreachable!("invariant: a folder contains fewer than four billion runs")
    }

    /// Opens an existing run: by its name, by its path if `name` contains a `/`, or the newest if
    /// `name` is `None`.
    ///
    /// # Errors
    /// [`TrainError::NoRun`] with the names of the existing runs.
    pub fn open(base: &Path, name: Option<&str>) -> Result<Self> {
        if let Some(elsewhere) =
            name.filter(|name| name.contains('/')).and_then(|path| Self::at(Path::new(path)))
        {
            return Ok(elsewhere);
        }
        let known = Self::list(base);
        let found = match name {
            Some(name) => known.iter().find(|run| run.name() == name),
            None => known.first(),
        };
        found.cloned().ok_or_else(|| TrainError::NoRun {
            name: name.unwrap_or("(the last)").to_owned(),
            known: known.iter().map(Self::name).collect(),
        })
    }

    /// The run in this folder; `None` if the folder has no ledger.
    pub fn at(path: &Path) -> Option<Self> {
        Some(Self { path: path.components().collect() }).filter(|run| run.ledger_path().is_file())
    }

    /// Removes the folder if the run has not written a ledger; other files in it are kept.
    pub fn discard_if_unused(&self) {
        if self.record().is_ok() {
            return;
        }
        RunLock::remove(&self.path);
        let _ = fs::remove_dir(&self.path);
    }

    /// All runs in `base`, newest first.
    pub fn list(base: &Path) -> Vec<Self> {
        let entries = fs::read_dir(base).into_iter().flatten().flatten();
        let mut runs: Vec<_> = entries
            .map(|entry| Self { path: entry.path() })
            .filter(|run| run.ledger_path().is_file())
            .map(|run| {
                (
                    run.header().map_or(0, |header| header.started),
                    fs::metadata(run.ledger_path()).and_then(|data| data.modified()).ok(),
                    run,
                )
            })
            .collect();
        runs.sort_by(|a, b| (b.0, b.1, &b.2.path).cmp(&(a.0, a.1, &a.2.path)));
        runs.into_iter().map(|(_, _, run)| run).collect()
    }

    /// The name of the run, which is that of the folder.
    pub fn name(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// The path of the folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The header, from the first line of the ledger or, if that is damaged, from a checkpoint.
    pub fn header(&self) -> Option<RunHeader> {
        ledger::read_header(&self.ledger_path())
            .or_else(|| Some(self.checkpoints().last()?.progress().ok()?.header))
    }

    /// Restores the best weights and returns their counters; `None` if the run has saved none.
    ///
    /// # Errors
    /// As [`Self::restore_weights`].
    pub fn restore_best(&self, state: &dyn CheckpointState) -> Result<Option<Progress>> {
        if Checkpoint::best(&self.path).is_none() {
            return Ok(None);
        }
        self.restore_weights(SavedWeights::Best, state).map(Some)
    }

    /// Restores saved weights and returns their counters.
    ///
    /// # Errors
    /// [`TrainError::NoWeights`], [`TrainError::Checkpoint`] when they do not fit the parameters,
    /// and errors of reading.
    pub fn restore_weights(
        &self,
        weights: SavedWeights,
        state: &dyn CheckpointState,
    ) -> Result<Progress> {
        let found = self.weights(weights)?;
        let progress = found.progress()?;
        state.restore(&found.adapter()?).map_err(|error| TrainError::Checkpoint {
            path: found.path().to_owned(),
            problem: format!("its adapter does not fit ({error})"),
        })?;
        Ok(progress)
    }

    /// Reads the ledger.
    ///
    /// # Errors
    /// [`TrainError::Io`] when the ledger is missing or cannot be read.
    pub fn record(&self) -> Result<RunRecord> {
        ledger::read_ledger(&self.ledger_path())
    }

    /// As [`Self::record`], but stops when `is_stopped` returns true: a ledger may be long.
    ///
    /// # Errors
    /// [`TrainError::Io`] when the ledger cannot be read, [`TrainError::Stopped`] when it was
    /// stopped.
    pub fn record_until(&self, is_stopped: &dyn Fn() -> bool) -> Result<RunRecord> {
        ledger::read_ledger_until(&self.ledger_path(), is_stopped)
    }

    /// Locks the run for this process until the lock is dropped. [`crate::TrainingLoop`] locks
    /// its run itself.
    ///
    /// # Errors
    /// [`TrainError::InUse`] when another process or session trains the run, and
    /// [`TrainError::Io`].
    pub fn lock(&self) -> Result<RunLock> {
        RunLock::take(&self.path, &self.name())
    }

    /// Whether this or another process is training the run.
    pub fn is_in_use(&self) -> bool {
        RunLock::is_held(&self.path)
    }

    /// Opens the ledger for appending.
    ///
    /// # Errors
    /// [`TrainError::Io`] when the file cannot be opened, or is a symbolic link or a special file.
    pub fn ledger(&self) -> Result<Ledger> {
        Ledger::append(&self.ledger_path())
    }

    /// The checkpoints, oldest first.
    pub fn checkpoints(&self) -> Vec<Checkpoint> {
        Checkpoint::list(&self.path)
    }

    /// The checkpoint with the requested weights.
    ///
    /// # Errors
    /// [`TrainError::NoWeights`] with the steps whose weights are saved.
    pub fn weights(&self, weights: SavedWeights) -> Result<Checkpoint> {
        let best = Checkpoint::best(&self.path);
        let start = Checkpoint::start(&self.path);
        let step_of =
            |checkpoint: &Checkpoint| checkpoint.progress().ok().map(|progress| progress.step);
        let mut checkpoints = self.checkpoints();
        checkpoints.retain(|checkpoint| step_of(checkpoint).is_some());
        let found = match weights {
            SavedWeights::Best => best.clone(),
            SavedWeights::Start => start.clone(),
            SavedWeights::Last => checkpoints.last().cloned(),
            SavedWeights::Step(step) => checkpoints
                .iter()
                .chain(&best)
                .chain(&start)
                .find(|checkpoint| step_of(checkpoint) == Some(step))
                .cloned(),
        };
        found.ok_or_else(|| {
            let mut saved: Vec<u64> = checkpoints.iter().chain(&best).filter_map(step_of).collect();
            saved.sort_unstable();
            saved.dedup();
            TrainError::NoWeights { run: self.name(), weights, saved }
        })
    }

    fn ledger_path(&self) -> PathBuf {
        self.path.join("ledger.jsonl")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begin(base: &Path, started: u64) -> RunFolder {
        let run = RunFolder::create(base, "lora on which book").expect("creates");
        let header = RunHeader { run: run.name(), started, ..RunHeader::default() };
        run.ledger().expect("opens").header(&header).expect("writes");
        run
    }

    #[test]
    fn runs_are_numbered_and_listed_newest_first() {
        let base = tempfile::tempdir().expect("folder");
        let first = begin(base.path(), 10);
        let second = begin(base.path(), 20);
        assert_eq!(
            (first.name(), second.name()),
            ("lora-on-which-book-001".to_owned(), "lora-on-which-book-002".to_owned())
        );
        assert_eq!(RunFolder::list(base.path()), [second.clone(), first.clone()]);
        assert_eq!(RunFolder::open(base.path(), None).expect("the newest"), second);
        assert_eq!(RunFolder::open(base.path(), Some(&first.name())).expect("by name"), first);
    }

    #[test]
    fn an_unknown_run_is_refused_with_those_there_are() {
        let base = tempfile::tempdir().expect("folder");
        begin(base.path(), 1);
        let error = RunFolder::open(base.path(), Some("nothing")).expect_err("unknown");
        assert_eq!(error.to_string(), "run `nothing` does not exist");
        assert_eq!(graft_spec::Hint::hint(&error).as_deref(), Some("runs: lora-on-which-book-001"));
    }
}
