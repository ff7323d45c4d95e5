//! The files of a run: a folder with a ledger and checkpoints.

mod checkpoint;
mod folder;
mod header;
mod ledger;
mod lines;
mod location;
mod lock;
mod safe_open;
mod start;
mod trials;

pub use checkpoint::{Checkpoint, Progress, SavedWeights};
pub use folder::RunFolder;
pub use header::RunHeader;
pub use ledger::{Ledger, MOST_STEPS, Resumption, RunRecord, read_ledger, read_ledger_until};
pub use location::{is_temporary, runs_folder};
pub use lock::RunLock;
pub use start::{DataRecord, Start};
pub use trials::{MetricValue, TrialRecord, Trials};
