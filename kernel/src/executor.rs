//! What the cell runner and the Jupyter channels need of the engine; tests put a scripted one in its place.

#[cfg(test)]
pub(crate) mod script;

use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;

use graft_protocol::{Command, Reply, Snapshot};
use graft_spec::Failure;

use crate::engine::{Engine, RustCompletion, RustError, RustInspection, RustOutput};

/// Something that will be done.
pub(crate) type Work<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Runs commands and Rust.
pub(crate) trait Executor: Send + Sync {
    /// Executes a command of the session.
    fn command(&self, command: Command) -> Work<'_, Result<Reply, Failure>>;
    /// Runs Rust or a `:command` of evcxr.
    fn rust<'a>(&'a self, code: &'a str) -> Work<'a, Result<RustOutput, RustError>>;
    /// Completes Rust at a byte; none when it takes too long.
    fn complete_rust<'a>(
        &'a self,
        code: &'a str,
        byte: usize,
    ) -> Work<'a, Option<Vec<RustCompletion>>>;
    /// Explains the name at a byte.
    fn inspect_rust<'a>(&'a self, code: &'a str, byte: usize) -> Work<'a, Option<RustInspection>>;
    /// Stops what runs; the second time by force.
    fn interrupt(&self) -> Work<'_, ()>;
    /// Waits until all that was printed so far has arrived as output.
    fn drain(&self) -> Work<'_, ()>;
    /// A new child; nothing is kept.
    fn restart(&self) -> Work<'_, ()>;
    /// Ends the child.
    fn shutdown(&self) -> Work<'_, ()>;
    /// What is known of the session without asking.
    fn snapshot(&self) -> Arc<Snapshot>;
    /// The Rust variables with their types.
    fn variables(&self) -> Vec<(String, String)>;
    /// Sets a variable of the child's environment.
    fn set_env(&self, name: &str, value: &str);
    /// Changes the child's folder.
    fn set_cwd(&self, path: &Path);
}

impl Executor for Engine {
    fn command(&self, command: Command) -> Work<'_, Result<Reply, Failure>> {
        Box::pin(Engine::command(self, command))
    }

    fn rust<'a>(&'a self, code: &'a str) -> Work<'a, Result<RustOutput, RustError>> {
        Box::pin(Engine::rust(self, code))
    }

    fn complete_rust<'a>(
        &'a self,
        code: &'a str,
        byte: usize,
    ) -> Work<'a, Option<Vec<RustCompletion>>> {
        Box::pin(Engine::complete_rust(self, code, byte))
    }

    fn inspect_rust<'a>(&'a self, code: &'a str, byte: usize) -> Work<'a, Option<RustInspection>> {
        Box::pin(Engine::inspect_rust(self, code, byte))
    }

    fn interrupt(&self) -> Work<'_, ()> {
        Box::pin(Engine::interrupt(self))
    }

    fn drain(&self) -> Work<'_, ()> {
        Box::pin(Engine::drain(self))
    }

    fn restart(&self) -> Work<'_, ()> {
        Box::pin(Engine::restart(self))
    }

    fn shutdown(&self) -> Work<'_, ()> {
        Box::pin(Engine::shutdown(self))
    }

    fn snapshot(&self) -> Arc<Snapshot> {
        Engine::snapshot(self)
    }

    fn variables(&self) -> Vec<(String, String)> {
        Engine::variables(self)
    }

    fn set_env(&self, name: &str, value: &str) {
        Engine::set_env(self, name, Some(value));
    }

    fn set_cwd(&self, path: &Path) {
        Engine::set_cwd(self, path);
    }
}
