//! Where runs lie and what they are called.

use std::path::PathBuf;

use graft_train::runs::{RunFolder, runs_folder};

/// The folder of the runs: beside the notebook, which is the working directory.
pub(crate) fn base() -> PathBuf {
    runs_folder(&std::env::current_dir().unwrap_or_else(|_| PathBuf::from(".")))
}

/// Names of the runs on disk, newest first.
pub(crate) fn names() -> Vec<String> {
    RunFolder::list(&base()).iter().map(RunFolder::name).collect()
}
