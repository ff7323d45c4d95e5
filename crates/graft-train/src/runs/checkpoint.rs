//! Checkpoints: everything needed to resume a run, in a folder that is written completely or not at
//! all.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use graft_nn::tensor_file::{self, TensorFile};
use graft_nn::{Device, Tensor, atomic_file, atomic_folder, regular_file};
use serde::{Deserialize, Serialize};

use super::RunHeader;
use crate::best::ExactFloat;
use crate::checkpoint_state::CheckpointState;
use crate::config::TrainConfig;
use crate::loop_state::LoopState;
use crate::optimizer::{Optimizer, OptimizerKind};
use crate::{Result, TrainError};

/// Number of checkpoints kept: the newest, and one more in case the newest is damaged.
const MAX_CHECKPOINTS: usize = 2;

/// The folder of a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    path: PathBuf,
}

/// Weights that a run saves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SavedWeights {
    /// The weights with the lowest validation loss.
    Best,
    /// The weights of the newest checkpoint.
    Last,
    /// The weights that the run started from, unless they were fresh.
    Start,
    /// The weights after this step.
    Step(u64),
}

/// The content of `checkpoint.json`: the header and the counters of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// The run it belongs to.
    pub header: RunHeader,
    /// Steps done.
    pub step: u64,
    /// Micro-batches read; determines the next one.
    pub position: u64,
    /// Updates of the optimizer.
    pub optimizer_steps: u64,
    /// Planned steps.
    pub steps: u64,
    /// Validation loss of the weights in nats, for the best weights.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "graft_spec::number::option")]
    pub validation_loss: Option<f64>,
    /// The value of the metric that chose the weights, for the best weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub best_value: Option<ExactFloat>,
    /// The optimizer; that of older files is AdamW.
    #[serde(default)]
    pub optimizer: OptimizerKind,
    /// What validations and the user's code have changed.
    #[serde(default)]
    pub state: LoopState,
}

/// Largest counter accepted from a file; larger ones could overflow.
const MOST_COUNTED: u64 = 1 << 53;
/// Largest `checkpoint.json` that is read, in bytes.
const LONGEST: u64 = 64 << 20;
/// Start of the name of the folder with the best weights, before the step.
const BEST: &str = "best-";
/// Name of the folder with the initial weights.
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

impl Progress {
    /// Checks that a run with these settings has something left to do.
    ///
    /// # Errors
    /// [`TrainError::AlreadyDone`] after the last step, unless its validation was stopped before
    /// its end; [`TrainError::StoppedEarly`] when early stopping would end it at once.
    pub fn check_unfinished(&self, config: &TrainConfig) -> Result<()> {
        let state = self.state.clone().restored(config);
        let run = || self.header.run.clone();
        let is_done = self.step == config.steps && !state.owes_validation;
        if is_done || self.step > config.steps {
            return Err(TrainError::AlreadyDone { run: run(), steps: config.steps });
        }
        if state.stops(config) {
            let patience = config.early_stopping;
            return Err(TrainError::StoppedEarly { run: run(), step: self.step, patience });
        }
        Ok(())
    }
}

impl Checkpoint {
    /// Writes a checkpoint to a run's folder and removes all but the last two.
    ///
    /// # Errors
    /// [`TrainError::Io`] and [`TrainError::Tensors`], for example when the disk is full. Earlier
    /// checkpoints are then unchanged and no partial files remain.
    pub(crate) fn save(
        run: &Path,
        progress: &Progress,
        state: &dyn CheckpointState,
        optimizer: &Optimizer,
    ) -> Result<Self> {
        let path = run.join(format!("checkpoint-{:08}", progress.step));
        let part =
            run.join(format!(".checkpoint-{:08}.{}.part", progress.step, std::process::id()));
        put(&part, &path, || write(&part, progress, state, Some(optimizer)))?;
        sweep(run);
        let all = Self::list(run);
        for old in all.iter().take(all.len().saturating_sub(MAX_CHECKPOINTS)) {
            fs::remove_dir_all(&old.path).map_err(TrainError::io("remove", &old.path))?;
        }
        Ok(Self { path })
    }

    /// Saves the weights with the lowest validation loss so far, and removes the previous ones.
    ///
    /// # Errors
    /// As [`Self::save`]; the previous weights then remain.
    pub(crate) fn save_best(
        run: &Path,
        progress: &Progress,
        state: &dyn CheckpointState,
    ) -> Result<()> {
        let path = run.join(format!("{BEST}{:08}", progress.step));
        let part = run.join(format!(".checkpoint-{BEST}{}.part", std::process::id()));
        put(&part, &path, || write(&part, progress, state, None))?;
        for old in named(run, BEST).into_iter().filter(|old| old.path != path) {
            fs::remove_dir_all(&old.path).map_err(TrainError::io("remove", &old.path))?;
        }
        Ok(())
    }

    /// Saves the weights that a run starts from.
    ///
    /// # Errors
    /// As [`Self::save`].
    pub(crate) fn save_start(
        run: &Path,
        progress: &Progress,
        state: &dyn CheckpointState,
    ) -> Result<()> {
        let part = run.join(format!(".checkpoint-{START}.{}.part", std::process::id()));
        put(&part, &run.join(START), || write(&part, progress, state, None))
    }

    /// The checkpoints in a run's folder, oldest first.
    pub(crate) fn list(run: &Path) -> Vec<Self> {
        named(run, "checkpoint-")
    }

    /// The weights with the lowest validation loss.
    pub(crate) fn best(run: &Path) -> Option<Self> {
        named(run, BEST).pop()
    }

    /// The weights that the run started from, unless they were fresh.
    pub(crate) fn start(run: &Path) -> Option<Self> {
        Some(Self { path: run.join(START) }).filter(|start| start.path.is_dir())
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The counters and the header of the run.
    ///
    /// # Errors
    /// [`TrainError::Io`] when the file cannot be read, [`TrainError::Checkpoint`] when it is
    /// damaged.
    pub fn progress(&self) -> Result<Progress> {
        let path = self.path.join("checkpoint.json");
        let bytes = regular_file::read(&path, LONGEST).map_err(TrainError::io("read", &path))?;
        serde_json::from_slice(&bytes)
            .map_err(|error| self.problem(format!("checkpoint.json is damaged ({error})")))
    }

    /// The tensors of the adapter.
    ///
    /// # Errors
    /// [`TrainError::Tensors`] when the file is missing or damaged.
    pub fn adapter(&self) -> Result<BTreeMap<String, Tensor>> {
        read_tensors(&self.path.join("adapter.safetensors"))
    }

    /// Restores the adapter and the optimizer, and returns the counters.
    ///
    /// # Errors
    /// [`TrainError::OtherOptimizer`], [`TrainError::Checkpoint`] when the checkpoint does not fit
    /// the trained parameters, and errors of reading.
    pub(crate) fn restore(
        &self,
        state: &dyn CheckpointState,
        optimizer: &mut Optimizer,
    ) -> Result<Progress> {
        let progress = self.progress()?;
        if progress.position.max(progress.step).max(progress.optimizer_steps) > MOST_COUNTED {
            return Err(self.problem("its counters are too large".to_owned()));
        }
        let asked = optimizer.config().kind;
        if progress.optimizer != asked {
            return Err(TrainError::OtherOptimizer {
                run: progress.header.run,
                optimizer: progress.optimizer,
                asked,
            });
        }
        let adapter = self.adapter()?;
        let moments = read_tensors(&self.path.join("optimizer.safetensors"))?;
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

/// The subfolders whose names start with `prefix`, in the order of their names.
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

/// Writes a folder with `fill` under a temporary name and renames it; removes it on failure.
fn put(part: &Path, path: &Path, fill: impl FnOnce() -> Result<()>) -> Result<()> {
    let written = fill()
        .and_then(|()| atomic_folder::replace(part, path).map_err(TrainError::io("write", path)));
    if written.is_err() {
        // The first error is reported.
        let _ = fs::remove_dir_all(part);
    }
    written
}

fn write(
    folder: &Path,
    progress: &Progress,
    state: &dyn CheckpointState,
    optimizer: Option<&Optimizer>,
) -> Result<()> {
    // The name may be taken: by files of a dead process with the same id, or by a symbolic link to
    // another folder of the user.
    let _ = fs::remove_dir_all(folder);
    fs::create_dir_all(folder).map_err(TrainError::io("create", folder))?;
    tensor_file::write(&folder.join("adapter.safetensors"), &state.state()?)?;
    if let Some(optimizer) = optimizer {
        tensor_file::write(&folder.join("optimizer.safetensors"), &optimizer.state()?)?;
    }
    let path = folder.join("checkpoint.json");
    let json = serde_json::to_vec_pretty(progress).expect("invariant: counters are plain data");
    atomic_file::write(&path, &json).map_err(TrainError::io("write", &path))
}

/// Removes the remains of replaced checkpoints and of processes that died while writing. Anything
/// that cannot be removed now is removed next time.
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
