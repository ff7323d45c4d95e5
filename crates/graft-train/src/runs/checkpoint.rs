//! Checkpoints: everything that is needed to go on, in a folder that appears whole or not at all.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use graft_nn::tensor_file::{self, TensorFile};
use graft_nn::{Device, Tensor, atomic_file, atomic_folder};
use serde::{Deserialize, Serialize};

use super::RunHeader;
use crate::optimizer::Optimizer;
use crate::state::Stateful;
use crate::{Result, TrainError};

/// How many are kept: the newest, and one more in case the newest turns out damaged.
const KEPT: usize = 2;

/// A checkpoint's folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    path: PathBuf,
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
}

impl Checkpoint {
    /// Writes a checkpoint into a run's folder and removes those before the last two.
    ///
    /// # Errors
    /// [`TrainError::Io`] and [`TrainError::Tensors`], a full disk among them; earlier checkpoints are then untouched and nothing half-written stays.
    pub(crate) fn save(run: &Path, progress: &Progress, state: &dyn Stateful, optimizer: &Optimizer) -> Result<Self> {
        let path = run.join(format!("checkpoint-{:08}", progress.step));
        let beside = run.join(format!(".checkpoint-{:08}.{}.part", progress.step, std::process::id()));
        let written = write(&beside, progress, state, optimizer).and_then(|()| atomic_folder::replace(&beside, &path).map_err(TrainError::io("write", &path)));
        if written.is_err() {
            // The first error is the one that matters.
            let _ = fs::remove_dir_all(&beside);
        }
        written?;
        sweep(run);
        let all = Self::list(run);
        for old in all.iter().take(all.len().saturating_sub(KEPT)) {
            fs::remove_dir_all(&old.path).map_err(TrainError::io("remove", &old.path))?;
        }
        Ok(Self { path })
    }

    /// The checkpoints of a run's folder, oldest first.
    pub(crate) fn list(run: &Path) -> Vec<Self> {
        let entries = fs::read_dir(run).into_iter().flatten().flatten();
        let is_checkpoint = |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("checkpoint-")) && path.is_dir();
        let mut found: Vec<_> = entries.map(|entry| entry.path()).filter(is_checkpoint).collect();
        found.sort();
        found.into_iter().map(|path| Self { path }).collect()
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
        let bytes = fs::read(&path).map_err(TrainError::io("read", &path))?;
        serde_json::from_slice(&bytes).map_err(|error| self.problem(format!("checkpoint.json is damaged ({error})")))
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
    pub(crate) fn restore(&self, state: &dyn Stateful, optimizer: &mut Optimizer) -> Result<Progress> {
        let progress = self.progress()?;
        let (adapter, moments) = (self.adapter()?, read_tensors(&self.path.join("optimizer.safetensors"))?);
        optimizer.restore(&moments, progress.optimizer_steps).map_err(|problem| self.problem(problem))?;
        state.restore(&adapter).map_err(|error| self.problem(format!("its adapter does not fit ({error})")))?;
        Ok(progress)
    }

    fn problem(&self, problem: String) -> TrainError {
        TrainError::Checkpoint { path: self.path.clone(), problem }
    }
}

fn read_tensors(path: &Path) -> Result<BTreeMap<String, Tensor>> {
    Ok(TensorFile::open(path)?.tensors(&Device::Cpu)?)
}

fn write(folder: &Path, progress: &Progress, state: &dyn Stateful, optimizer: &Optimizer) -> Result<()> {
    fs::create_dir_all(folder).map_err(TrainError::io("make", folder))?;
    tensor_file::write(&folder.join("adapter.safetensors"), &state.state()?)?;
    tensor_file::write(&folder.join("optimizer.safetensors"), &optimizer.state()?)?;
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
