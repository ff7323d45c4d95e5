//! The engine behind every frontend: the child process with the session, the link to it, and evcxr for Rust cells.
//!
//! The host owns the child. Its standard streams are pipes of ours, so that evcxr can be attached late, detached by `:clear` and
//! attached again while the child and the model in it live on. The engine knows no Jupyter and no terminal: it answers calls and
//! sends [`Output`].

mod attachment;
mod commands;
mod compilation;
pub(crate) mod completeness;
mod errors;
pub(crate) mod folder;
mod inner;
mod last_words;
mod losses;
mod marker;
mod presses;
mod process;
mod progress;
mod quiet;
mod rust;
mod rust_error;
mod shared;
mod split;
mod supervisor;
mod watch;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use graft_protocol::{Command, Event, Reply, Snapshot};
use graft_spec::{Failure, Hint};
use inner::Inner;
pub(crate) use rust_error::RustError;
use tokio::sync::{mpsc, oneshot};

use graft_frontend::OutputBudget;

/// How an engine starts.
#[derive(Clone, Debug)]
pub(crate) struct EngineOptions {
    /// Folder of a ready template ([`graft_prebuilt::find`]).
    pub(crate) template: PathBuf,
    /// Whether Rust is made ready in the background at once.
    pub(crate) warm: bool,
    /// Where the child works; none is the host's own folder.
    pub(crate) cwd: Option<PathBuf>,
    /// How long an interrupt may stay unanswered before the child is killed.
    pub(crate) grace: Duration,
    /// How much of what it prints is still on its way to the reader.
    pub(crate) budget: OutputBudget,
}

/// What the engine tells while it works.
#[derive(Debug)]
pub(crate) enum Output {
    /// Text of the child's standard output, evcxr's control lines taken out; may end inside a character.
    Stdout(Bytes),
    /// Text of the child's standard error.
    Stderr(Bytes),
    /// News from the session, with the number that [`Engine::command_numbered`] gave when a command caused it.
    Event {
        /// Number of the command, none when a Rust cell caused it.
        request: Option<u64>,
        /// The news.
        event: Event,
    },
    /// What the engine is doing, such as `starting Rust…`; each replaces the one before, an empty one ends it.
    Status(String),
    /// Something the reader should know though no cell asked: the session died while idle.
    Notice(Failure),
    /// A cell asks the user for a line.
    Input {
        /// What to show.
        prompt: String,
        /// Whether the answer must not be shown.
        password: bool,
        /// Where the answer goes; none when nobody can answer, dropped when the user has stopped the cell instead.
        answer: oneshot::Sender<Option<String>>,
    },
}

/// What a Rust cell gave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RustOutput {
    /// Displays in order, each MIME type to content.
    pub(crate) mime: Vec<BTreeMap<String, String>>,
}

/// One completion of Rust code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RustCompletion {
    /// What to insert.
    pub(crate) text: String,
    /// What it is: `function`, `class`, `module`, `instance`, `keyword`, `magic`.
    pub(crate) kind: String,
    /// First byte that it replaces.
    pub(crate) start: usize,
    /// One past the last byte that it replaces.
    pub(crate) end: usize,
}

/// What is known of the name at the cursor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RustInspection {
    /// As text.
    pub(crate) plain: String,
    /// As HTML.
    pub(crate) html: String,
}

/// Whether a text can be run as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Completeness {
    /// It can.
    Complete,
    /// A bracket, string, comment or statement is open; indent the next line by this.
    Incomplete {
        /// Spaces to begin the next line with.
        indent: String,
    },
    /// A closing bracket closes nothing.
    Invalid,
}

/// A handle to the running engine; clones share it.
#[derive(Clone)]
pub(crate) struct Engine {
    inner: Arc<Inner>,
}

/// Why an engine could not start or go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum EngineError {
    /// The child could not be started or did not answer.
    #[error("the session's process did not start: {reason}")]
    Child {
        /// What happened.
        reason: String,
    },
    /// The private folder of this session could not be made.
    #[error("cannot make the session's folder {path}")]
    SessionFolder {
        /// Which folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The template is not there or not whole.
    #[error("the template at {path} is not usable: {reason}")]
    Template {
        /// Where it should be.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

impl Hint for EngineError {
    fn code(&self) -> &'static str {
        match self {
            Self::Child { .. } => "engine::child",
            Self::SessionFolder { .. } => "engine::session_folder",
            Self::Template { .. } => "engine::template",
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Child { .. } => "`graft doctor` says what is missing".to_owned(),
            Self::SessionFolder { .. } => {
                "make room or set XDG_CACHE_HOME to a folder you can write".to_owned()
            }
            Self::Template { .. } => "`graft install` builds it again".to_owned(),
        })
    }
}

impl Engine {
    /// Starts the child (milliseconds) and, with `warm`, evcxr in the background.
    pub(crate) fn start(
        options: EngineOptions,
        output: mpsc::UnboundedSender<Output>,
    ) -> Result<Self, EngineError> {
        Ok(Self { inner: Arc::new(Inner::start(options, output)?) })
    }

    /// Executes a command in the session. A child that dies meanwhile is a failure `engine::child_died` that says what was lost.
    pub(crate) async fn command(&self, command: Command) -> Result<Reply, Failure> {
        self.command_numbered(self.next_number(), command).await
    }

    /// A number for [`Self::command_numbered`]: the events of that command carry it.
    pub(crate) fn next_number(&self) -> u64 {
        self.inner.next_number()
    }

    /// Like [`Self::command`], under a number known beforehand.
    pub(crate) async fn command_numbered(
        &self,
        number: u64,
        command: Command,
    ) -> Result<Reply, Failure> {
        self.inner.command(number, command).await
    }

    /// Runs Rust code, or evcxr's `:commands`; attaches evcxr on first use.
    pub(crate) async fn rust(&self, code: &str) -> Result<RustOutput, RustError> {
        self.inner.rust(code).await
    }

    /// Completions at a byte of `code`; none when Rust is busy (300 ms at most) or not there.
    pub(crate) async fn complete_rust(
        &self,
        code: &str,
        byte: usize,
    ) -> Option<Vec<RustCompletion>> {
        self.inner.complete_rust(code, byte).await
    }

    /// What is known of the name at a byte of `code`; none when Rust is busy (300 ms at most) or not there.
    pub(crate) async fn inspect_rust(&self, code: &str, byte: usize) -> Option<RustInspection> {
        self.inner.inspect_rust(code, byte).await
    }

    /// Asks what runs to stop. If no job acknowledges that, another press half a second later, or `grace` without an answer, kills the
    /// child, and what was lost is reported.
    pub(crate) async fn interrupt(&self) {
        self.inner.interrupt().await;
    }

    /// The session's names as last told by the child.
    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        self.inner.snapshot()
    }

    /// Variables of the Rust cells with their types, sorted by name.
    pub(crate) fn variables(&self) -> Vec<(String, String)> {
        self.inner.variables()
    }

    /// Returns when everything that the child has printed up to now has been sent as [`Output`].
    pub(crate) async fn drain(&self) {
        self.inner.drain().await;
    }

    /// A new child: session and variables are gone.
    pub(crate) async fn restart(&self) {
        self.inner.restart().await;
    }

    /// Ends the child and evcxr and removes the session's folder.
    pub(crate) async fn shutdown(&self) {
        self.inner.shutdown().await;
    }

    /// Sets a variable of the child's environment.
    pub(crate) fn set_env(&self, name: &str, value: Option<&str>) {
        self.inner.set_env(name, value);
    }

    /// Changes the child's folder (the host's own is the caller's).
    pub(crate) fn set_cwd(&self, path: &std::path::Path) {
        self.inner.set_cwd(path);
    }
}
