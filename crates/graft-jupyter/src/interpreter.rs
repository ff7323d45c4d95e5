//! The interface between the Jupyter server and the language that runs in the cells.

use std::convert::Infallible;

use futures::future::BoxFuture;
use graft_frontend::{CellError, Frontend, Rich};

use crate::KernelInfo;

/// Runs cells and answers questions about code.
///
/// The server calls [`execute`](Self::execute), [`record`](Self::record) and [`idle`](Self::idle)
/// from one task, never concurrently. All other methods may be called while a cell runs and must
/// not wait for it.
pub trait Interpreter: Send + Sync {
    /// The contents of `kernel_info_reply` that depend on the language.
    fn kernel_info(&self) -> KernelInfo;

    /// Runs a cell and writes its output to `frontend`. An error has been shown there when the
    /// future completes.
    fn execute<'a>(
        &'a self,
        code: &'a str,
        frontend: &'a dyn Frontend,
    ) -> BoxFuture<'a, Result<(), CellError>>;

    /// Adds a cell to the interpreter's own list of executed cells; not called for silent cells.
    fn record<'a>(&'a self, code: &'a str) -> BoxFuture<'a, ()>;

    /// Forwards output that arrives between cells, such as prints of background threads. The server
    /// drops the future when the next cell starts.
    fn idle<'a>(&'a self, frontend: &'a dyn Frontend) -> BoxFuture<'a, Infallible>;

    /// Completes the code at a cursor, given in Unicode code points.
    fn complete<'a>(&'a self, code: &'a str, cursor: usize) -> BoxFuture<'a, Completions>;

    /// Describes the name at a cursor, given in Unicode code points; `detail_level` 1 asks for more
    /// detail.
    fn inspect<'a>(
        &'a self,
        code: &'a str,
        cursor: usize,
        detail_level: u8,
    ) -> BoxFuture<'a, Option<Rich>>;

    /// Whether Enter should run the code or start a new line.
    fn is_complete(&self, code: &str) -> Completeness;

    /// Interrupts the running cell. The server has already pressed the
    /// [`Interrupt`](graft_frontend::Interrupt) of its [`KernelConfig`](crate::KernelConfig).
    fn interrupt(&self) -> BoxFuture<'_, ()>;

    /// Stops the interpreter within the time limit of the server.
    fn shutdown(&self) -> BoxFuture<'_, ()>;
}

/// Completions that all replace the same range of the code.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Completions {
    /// First code point to replace.
    pub start: usize,
    /// One past the last code point to replace.
    pub end: usize,
    /// Candidates, best first.
    pub items: Vec<CompletionItem>,
}

/// One completion candidate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompletionItem {
    /// Text to insert.
    pub text: String,
    /// Kind shown by JupyterLab: `magic`, `key`, `function`, ...
    pub kind: String,
    /// Short description shown next to the text.
    pub signature: String,
}

/// Whether a text can be run as a cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Completeness {
    /// It can be run.
    Complete,
    /// A bracket, string, comment or statement is still open.
    Incomplete {
        /// Indentation of the next line.
        indent: String,
    },
    /// It can never become valid, for example because of an unmatched closing bracket.
    Invalid,
    /// The interpreter cannot decide.
    Unknown,
}
