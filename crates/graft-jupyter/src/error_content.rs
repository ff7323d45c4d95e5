//! The error of a cell in the messages of the protocol.

use graft_frontend::CellError;
use serde::Serialize;

/// `ename`, `evalue`, `traceback`: in `execute_reply` and in iopub's `error`.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ErrorContent {
    ename: String,
    evalue: String,
    traceback: Vec<String>,
}

impl ErrorContent {
    /// Approximate size in bytes.
    pub(crate) fn weight(&self) -> usize {
        self.ename.len() + self.evalue.len() + self.traceback.iter().map(String::len).sum::<usize>()
    }
}

impl From<&CellError> for ErrorContent {
    fn from(error: &CellError) -> Self {
        Self {
            ename: error.ename.clone(),
            evalue: error.evalue.clone(),
            traceback: error.traceback.clone(),
        }
    }
}
