//! The interface of an engine that the cell runner and the Jupyter channels use. Tests substitute a
//! scripted engine.

use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;

use graft_protocol::{Command, Reply, Snapshot};
use graft_spec::Failure;

use crate::rust_error::RustError;
use crate::rust_result::{RustCompletion, RustInspection, RustOutput};

/// A boxed future.
pub type Work<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Executes session commands and Rust cells.
pub trait Executor: Send + Sync {
    /// Executes a command of the session. If the child dies meanwhile, the failure has the code
    /// `engine::child_died` and lists what was lost.
    fn command(&self, command: Command) -> Work<'_, Result<Reply, Failure>>;
    /// Runs a Rust cell or one of evcxr's `:commands`. The first call starts evcxr.
    fn rust<'a>(&'a self, code: &'a str) -> Work<'a, Result<RustOutput, RustError>>;
    /// Completes Rust code at byte offset `byte`; `None` if evcxr is busy or does not answer in
    /// time.
    fn complete_rust<'a>(
        &'a self,
        code: &'a str,
        byte: usize,
    ) -> Work<'a, Option<Vec<RustCompletion>>>;
    /// Looks up the documentation of the name at byte offset `byte`; `None` if evcxr is busy or
    /// does not answer in time.
    fn inspect_rust<'a>(&'a self, code: &'a str, byte: usize) -> Work<'a, Option<RustInspection>>;
    /// Asks the running cell or command to stop. If nothing acknowledges the request, a second call
    /// half a second later, or the grace period without an answer, kills the child.
    fn interrupt(&self) -> Work<'_, ()>;
    /// Returns when everything that the child has printed so far has been sent as events.
    fn drain(&self) -> Work<'_, ()>;
    /// Replaces the child; session and variables are lost.
    fn restart(&self) -> Work<'_, ()>;
    /// Ends the child and evcxr and removes the session's folder.
    fn shutdown(&self) -> Work<'_, ()>;
    /// The objects of the session, as last reported by the child.
    fn snapshot(&self) -> Arc<Snapshot>;
    /// The variables of the Rust cells with their types, sorted by name.
    fn variables(&self) -> Vec<(String, String)>;
    /// Sets an environment variable of the child.
    fn set_env(&self, name: &str, value: &str);
    /// Changes the working directory of the child.
    fn set_cwd(&self, path: &Path);
}
