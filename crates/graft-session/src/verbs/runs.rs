//! `%runs` and `%plot`: the recorded runs.

mod attach;
mod export;
mod facts;
mod list;
mod plot;

use std::path::{Path, PathBuf};

use graft_protocol::{MemoryUse, RunOutcome};
use graft_spec::Failure;
use graft_train::{
    TrainError,
    runs::{RunFolder, RunHeader, RunRecord, runs_folder},
};

pub use attach::attach_run;
pub(crate) use attach::{attach_recorded, reattach_hint};
pub use export::export;
pub(crate) use export::load_line;
pub use facts::{difference, facts};
pub use list::table;
pub use plot::plot;

use super::format::thousands;
use crate::{CommandContext, SessionError};

/// Warning for runs that are not stored on disk.
pub(crate) const TEMPORARY: &str = "neither this folder nor the home folder is writable, so runs \
    are kept in memory: ledgers, checkpoints and weights are lost when this session ends (a \
    restart, `%reset` or a crash). `%lora save DIR` saves an adapter, `%runs export RUN FILE` a \
    run; GRAFT_RUNS=DIR sets another folder for runs";

/// The folder of the runs, next to the notebook: that is the working directory.
pub(crate) fn base() -> PathBuf {
    runs_folder(&std::env::current_dir().unwrap_or_else(|_| PathBuf::from(".")))
}

/// Names of the runs on disk, newest first.
pub(crate) fn names() -> Vec<String> {
    RunFolder::list(&base()).iter().map(RunFolder::name).collect()
}

/// The argument with which `%runs use` finds a run: its name, or its path if it is in another
/// folder.
pub(crate) fn reference(run: &RunFolder) -> String {
    let parent = |path: &Path| path.parent().and_then(|parent| parent.canonicalize().ok());
    if parent(run.path()) == base().canonicalize().ok() {
        run.name()
    } else {
        run.path().display().to_string()
    }
}

/// Reads a run: its record, and its header with the keys of the last `%resume`.
fn read(cx: &CommandContext, folder: &RunFolder) -> Result<(RunRecord, RunHeader), Failure> {
    let record = folder.record_until(&|| cx.is_stopping()).map_err(|error| match error {
        TrainError::Stopped => SessionError::Interrupted {
            what: format!("stopped reading the ledger of `{}`", folder.name()),
            next: None,
        }
        .into(),
        error => Failure::from(error),
    })?;
    let header = record.current_header().or_else(|| folder.header()).unwrap_or_default();
    Ok((record, header))
}

/// Mean loss over the last tenth of the steps, which is less noisy than the last loss.
fn final_loss(record: &RunRecord) -> Option<f64> {
    let last = record.steps.len().div_ceil(10);
    let steps = &record.steps[record.steps.len() - last..];
    (last > 0).then(|| steps.iter().map(|step| step.loss).sum::<f64>() / last as f64)
}

fn outcome(record: &RunRecord, folder: &RunFolder) -> &'static str {
    match record.ended.as_ref().map(|ended| &ended.outcome) {
        Some(RunOutcome::Finished) => "finished",
        Some(RunOutcome::Interrupted) => "interrupted",
        Some(RunOutcome::Failed) => "failed",
        None if folder.is_in_use() => "running",
        None => "not ended",
    }
}

/// `92 MB used, 95 MB predicted`; `None` if nothing was measured.
fn memory_text(memory: MemoryUse) -> Option<String> {
    let megabytes = |bytes: u64| format!("{} MB", thousands(bytes.div_ceil(1_000_000)));
    let predicted = memory
        .predicted
        .map(|bytes| format!(", {} predicted", megabytes(bytes)))
        .unwrap_or_default();
    memory.taken.map(|taken| format!("{} used{predicted}", megabytes(taken)))
}

/// Name and measured memory of the newest run of a model.
pub(crate) fn newest_memory(model_hash: &str) -> Option<(String, String)> {
    let folder = RunFolder::list(&base())
        .into_iter()
        .find(|folder| folder.header().is_some_and(|header| header.model_hash == model_hash))?;
    let memory = folder.record().ok()?.ended?.memory?;
    Some((folder.name(), memory_text(memory)?))
}
