//! What a run leaves on disk: a folder with its header, its ledger and its last two checkpoints.

mod checkpoint;
mod folder;
mod header;
mod ledger;
mod trials;

pub use checkpoint::{Checkpoint, Progress};
pub use folder::{RunFolder, runs_folder};
pub use header::RunHeader;
pub use ledger::{Ledger, RunRecord, read_ledger};
pub use trials::{TrialRecord, Trials};
