//! Checkpoints: everything that is needed to go on, in a folder that appears whole or not at all.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use graft_nn::tensor_file::{self, TensorFile};
use graft_nn::{Device, Tensor, atomic_file, atomic_folder, regular_file};
use serde::{Deserialize, Serialize};

use super::RunHeader;
use crate::checkpoint_state::CheckpointState;
use crate::optimizer::Optimizer;
use crate::{Result, TrainError};

/// How many are kept: the newest, and one more in case the newest turns out damaged.
const KEPT: usize = 2;

/// A checkpoint's folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    path: PathBuf,
}

/// Which of the weights that a run has kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SavedWeights {
    /// Those with the lowest validation loss.
    Best,
    /// Those of the newest checkpoint.
    Last,
    /// Those that the run started from, where it did not start from fresh ones.
    Start,
    /// Those after this step.
    Step(u64),
}

/// The counters of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// The run it belongs to.
    pub header: RunHeader,
    /// Steps done.
    pub step: u64,
    /// Micro-batches read: decides which comes next.
    pub position: u64,
    /// Updates of the optimizer.
    pub optimizer_steps: u64,
    /// Planned steps.
    pub steps: u64,
    /// The validation loss for which the weights were kept, where they were; nats.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "graft_spec::number::option")]
    pub validation_loss: Option<f64>,
}

/// Largest counter that a training can reach, with room to count on.
const MOST_COUNTED: u64 = 1 << 53;
/// Longest `checkpoint.json` that is read, in bytes.
const LONGEST: u64 = 64 << 20;
/// Folders of weights without an optimizer's state: those with the lowest validation loss, by step, and those that the run started from.
const BEST: &str = "best-";
const START: &str = "start";

impl std::str::FromStr for SavedWeights {
    type Err = ();

    fn from_str(text: &str) -> std::result::Result<Self, ()> {
        match text {
            "best" => Ok(Self::Best),
            "last" => Ok(Self::Last),
            "start" => Ok(Self::Start),
            step => step.parse().map(Self::Step).map_err(drop),
        }
    }
}

impl std::fmt::Display for SavedWeights {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Best => f.write_str("best"),
            Self::Last => f.write_str("last"),
            Self::Start => f.write_str("start"),
            Self::Step(step) => write!(f, "{step}"),
        }
    }
}

impl Checkpoint {
    /// Writes a checkpoint into a run's folder and removes those before the last two.
    ///
    /// # Errors
    /// [`TrainError::Io`] and [`TrainError::Tensors`], a full disk among them; earlier checkpoints are then untouched and nothing half-written stays.
    pub(crate) fn save(
        run: &Path,
        progress: &Progress,
        state: &dyn CheckpointState,
        optimizer: &Optimizer,
    ) -> Result<Self> {
        let path = run.join(format!("checkpoint-{:08}", progress.step));
        let beside =
            run.join(format!(".checkpoint-{:08}.{}.part", progress.step, std::process::id()));
        put(&beside, &path, || write(&beside, progress, state, Some(optimizer)))?;
        sweep(run);
        let all = Self::list(run);
        for old in all.iter().take(all.len().saturating_sub(KEPT)) {
            fs::remove_dir_all(&old.path).map_err(TrainError::io("remove", &old.path))?;
        }
        Ok(Self { path })
    }

    /// Keeps the weights with the lowest validation loss so far, in place of those that were kept before.
    ///
    /// # Errors
    /// As [`Self::save`]; the weights that were kept before are then still there.
    pub(crate) fn save_best(
        run: &Path,
        progress: &Progress,
        state: &dyn CheckpointState,
    ) -> Result<()> {
        let path = run.join(format!("{BEST}{:08}", progress.step));
        let beside = run.join(format!(".checkpoint-{BEST}{}.part", std::process::id()));
        put(&beside, &path, || write(&beside, progress, state, None))?;
        for old in named(run, BEST).into_iter().filter(|old| old.path != path) {
            fs::remove_dir_all(&old.path).map_err(TrainError::io("remove", &old.path))?;
        }
        Ok(())
    }

    /// Keeps the weights that a run starts from.
    ///
    /// # Errors
    /// As [`Self::save`].
    pub(crate) fn save_start(
        run: &Path,
        progress: &Progress,
        state: &dyn CheckpointState,
    ) -> Result<()> {
        let beside = run.join(format!(".checkpoint-{START}.{}.part", std::process::id()));
        put(&beside, &run.join(START), || write(&beside, progress, state, None))
    }

    /// The checkpoints of a run's folder, oldest first.
    pub(crate) fn list(run: &Path) -> Vec<Self> {
        named(run, "checkpoint-")
    }

    /// The weights with the lowest validation loss.
    pub(crate) fn best(run: &Path) -> Option<Self> {
        named(run, BEST).pop()
    }

    /// The weights that the run started from, where it did not start from fresh ones.
    pub(crate) fn start(run: &Path) -> Option<Self> {
        Some(Self { path: run.join(START) }).filter(|start| start.path.is_dir())
    }

    /// Its folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its counters and the run's header.
    ///
    /// # Errors
    /// [`TrainError::Io`], or [`TrainError::Checkpoint`] when the file is damaged.
    pub fn progress(&self) -> Result<Progress> {
        let path = self.path.join("checkpoint.json");
        let bytes = regular_file::read(&path, LONGEST).map_err(TrainError::io("read", &path))?;
        serde_json::from_slice(&bytes)
            .map_err(|error| self.problem(format!("checkpoint.json is damaged ({error})")))
    }

    /// The adapter's tensors.
    ///
    /// # Errors
    /// [`TrainError::Tensors`].
    pub fn adapter(&self) -> Result<BTreeMap<String, Tensor>> {
        read_tensors(&self.path.join("adapter.safetensors"))
    }

    /// Puts adapter and optimizer back; returns the counters.
    ///
    /// # Errors
    /// [`TrainError::Checkpoint`] when it does not fit what is trained now, and those of reading.
    pub(crate) fn restore(
        &self,
        state: &dyn CheckpointState,
        optimizer: &mut Optimizer,
    ) -> Result<Progress> {
        let progress = self.progress()?;
        if progress.position.max(progress.step).max(progress.optimizer_steps) > MOST_COUNTED {
            return Err(self.problem("its counters are too large".to_owned()));
        }
        let (adapter, moments) =
            (self.adapter()?, read_tensors(&self.path.join("optimizer.safetensors"))?);
        optimizer
            .restore(&moments, progress.optimizer_steps)
            .map_err(|problem| self.problem(problem))?;
        state
            .restore(&adapter)
            .map_err(|error| self.problem(format!("its adapter does not fit ({error})")))?;
        Ok(progress)
    }

    fn problem(&self, problem: String) -> TrainError {
        TrainError::Checkpoint { path: self.path.clone(), problem }
    }
}

fn read_tensors(path: &Path) -> Result<BTreeMap<String, Tensor>> {
    Ok(TensorFile::open(path)?.tensors(&Device::Cpu)?)
}

/// The folders in a run's folder whose names begin with `prefix`, in the order of their names.
fn named(run: &Path, prefix: &str) -> Vec<Checkpoint> {
    let entries = fs::read_dir(run).into_iter().flatten().flatten();
    let is_one = |path: &PathBuf| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix))
            && path.is_dir()
    };
    let mut found: Vec<_> = entries.map(|entry| entry.path()).filter(is_one).collect();
    found.sort();
    found.into_iter().map(|path| Checkpoint { path }).collect()
}

/// Puts a folder that `fill` writes at `beside` into its place; nothing half-written stays.
fn put(beside: &Path, path: &Path, fill: impl FnOnce() -> Result<()>) -> Result<()> {
    let written = fill()
        .and_then(|()| atomic_folder::replace(beside, path).map_err(TrainError::io("write", path)));
    if written.is_err() {
        // The first error is the one that matters.
        let _ = fs::remove_dir_all(beside);
    }
    written
}

fn write(
    folder: &Path,
    progress: &Progress,
    state: &dyn CheckpointState,
    optimizer: Option<&Optimizer>,
) -> Result<()> {
    // Something may have this name: files of a dead process with the same id, or a symbolic link to another folder of the user.
    let _ = fs::remove_dir_all(folder);
    fs::create_dir_all(folder).map_err(TrainError::io("make", folder))?;
    tensor_file::write(&folder.join("adapter.safetensors"), &state.state()?)?;
    if let Some(optimizer) = optimizer {
        tensor_file::write(&folder.join("optimizer.safetensors"), &optimizer.state()?)?;
    }
    let path = folder.join("checkpoint.json");
    let json = serde_json::to_vec_pretty(progress).expect("invariant: counters are plain data");
    atomic_file::write(&path, &json).map_err(TrainError::io("write", &path))
}

/// Removes what replaced checkpoints and processes that died while writing have left; what cannot be removed waits for the next time.
fn sweep(run: &Path) {
    for entry in fs::read_dir(run).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with(".checkpoint-") && name.ends_with(".part") {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests;
