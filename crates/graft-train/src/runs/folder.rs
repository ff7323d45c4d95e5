//! The folders of runs.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::{Checkpoint, Ledger, RunHeader, RunRecord, ledger};
use crate::{Result, TrainError};

/// One run's folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunFolder {
    path: PathBuf,
}

impl RunFolder {
    /// Makes a new folder `NAME-001`, `NAME-002`, ... in `base`, which is made if missing.
    ///
    /// # Errors
    /// [`TrainError::Io`].
    pub fn create(base: &Path, name: &str) -> Result<Self> {
        fs::create_dir_all(base).map_err(TrainError::io("make", base))?;
        let name: String = name.chars().map(|c| if c.is_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '-' }).collect();
        for number in 1_u32.. {
            let path = base.join(format!("{name}-{number:03}"));
            match fs::create_dir(&path) {
                Ok(()) => return Ok(Self { path }),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(TrainError::io("make", &path)(error)),
            }
        }
        unreachable!("invariant: a folder holds fewer than four thousand million runs")
    }

    /// The folder of a run that exists; `None` is the newest.
    ///
    /// # Errors
    /// [`TrainError::NoRun`] with the names there are.
    pub fn open(base: &Path, name: Option<&str>) -> Result<Self> {
        let known = Self::list(base);
        let found = match name {
            Some(name) => known.iter().find(|run| run.name() == name),
            None => known.first(),
        };
        found.cloned().ok_or_else(|| TrainError::NoRun { name: name.unwrap_or("(the last)").to_owned(), known: known.iter().map(Self::name).collect() })
    }

    /// Every run in `base`, newest first.
    pub fn list(base: &Path) -> Vec<Self> {
        let entries = fs::read_dir(base).into_iter().flatten().flatten();
        let mut runs: Vec<_> = entries
            .map(|entry| Self { path: entry.path() })
            .filter(|run| run.ledger_path().is_file())
            .map(|run| (run.header().map_or(0, |header| header.started), fs::metadata(run.ledger_path()).and_then(|data| data.modified()).ok(), run))
            .collect();
        runs.sort_by(|a, b| (b.0, b.1, &b.2.path).cmp(&(a.0, a.1, &a.2.path)));
        runs.into_iter().map(|(_, _, run)| run).collect()
    }

    /// Its name: that of the folder.
    pub fn name(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its header, from the ledger's first line or, where that is damaged, from a checkpoint.
    pub fn header(&self) -> Option<RunHeader> {
        ledger::read_header(&self.ledger_path()).or_else(|| Some(self.checkpoints().last()?.progress().ok()?.header))
    }

    /// All that the ledger says.
    ///
    /// # Errors
    /// [`TrainError::Io`].
    pub fn record(&self) -> Result<RunRecord> {
        ledger::read_ledger(&self.ledger_path())
    }

    /// Opens the ledger for appending.
    ///
    /// # Errors
    /// [`TrainError::Io`].
    pub fn ledger(&self) -> Result<Ledger> {
        Ledger::append(&self.ledger_path())
    }

    /// Its checkpoints, oldest first.
    pub fn checkpoints(&self) -> Vec<Checkpoint> {
        Checkpoint::list(&self.path)
    }

    fn ledger_path(&self) -> PathBuf {
        self.path.join("ledger.jsonl")
    }
}

/// `.graft/runs` below `beside`, where it may be written. Asking makes nothing: a nameless file in the nearest folder there is tells.
fn below(beside: &Path) -> Option<PathBuf> {
    let here = beside.join(".graft/runs");
    let nearest = here.ancestors().find(|folder| folder.is_dir())?;
    tempfile::tempfile_in(nearest).ok()?;
    Some(here)
}

/// Where runs go: `$GRAFT_RUNS`, or `.graft/runs` below `beside` (the notebook's folder), or `$XDG_DATA_HOME/graft/runs` where that cannot be written.
pub fn runs_folder(beside: &Path) -> PathBuf {
    if let Some(folder) = std::env::var_os("GRAFT_RUNS").filter(|folder| !folder.is_empty()) {
        return PathBuf::from(folder);
    }
    if let Some(here) = below(beside) {
        return here;
    }
    let home = || std::env::var_os("HOME").map_or_else(std::env::temp_dir, PathBuf::from).join(".local/share");
    std::env::var_os("XDG_DATA_HOME").filter(|folder| !folder.is_empty()).map_or_else(home, PathBuf::from).join("graft/runs")
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
        let (first, second) = (begin(base.path(), 10), begin(base.path(), 20));
        assert_eq!((first.name(), second.name()), ("lora-on-which-book-001".to_owned(), "lora-on-which-book-002".to_owned()));
        assert_eq!(RunFolder::list(base.path()), [second.clone(), first.clone()]);
        assert_eq!(RunFolder::open(base.path(), None).expect("the newest"), second);
        assert_eq!(RunFolder::open(base.path(), Some(&first.name())).expect("by name"), first);
    }

    #[test]
    fn asking_where_runs_go_makes_no_folder() {
        let folder = tempfile::tempdir().expect("folder");
        assert_eq!(below(folder.path()), Some(folder.path().join(".graft/runs")));
        assert!(!folder.path().join(".graft").exists());
    }

    #[test]
    fn an_unknown_run_is_refused_with_those_there_are() {
        let base = tempfile::tempdir().expect("folder");
        begin(base.path(), 1);
        let error = RunFolder::open(base.path(), Some("nothing")).expect_err("unknown");
        assert_eq!(error.to_string(), "there is no run `nothing`");
        assert_eq!(graft_protocol::Hint::hint(&error).as_deref(), Some("runs: lora-on-which-book-001"));
    }
}
