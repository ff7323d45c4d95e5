//! Starts the engine in the background: sockets answer and magics are parsed while it starts.
//!
//! If no prebuilt library is ready (first start, another rustc, other sources), it is built first,
//! and its progress is sent as [`EngineEvent::Status`], which the first cell shows.

use std::sync::Arc;
use std::time::Duration;

use graft_spec::Failure;
use tokio::sync::{mpsc, watch};

use graft_engine::{Engine, EngineEvent, EngineOptions, Executor};
use graft_frontend::OutputBudget;
use graft_prebuilt::{Dirs, Installer, Intermediates, PrebuiltLibrary, Variant};

use crate::error::KernelError;

/// Used instead of an interrupt grace period that is not a valid duration.
const DEFAULT_GRACE: Duration = Duration::from_secs(10);

/// Result of the last attempt to start; `None` while it is in progress.
type State = Option<Result<Arc<dyn Executor>, Failure>>;
/// Starts an engine that sends its output to the channel; called again after a failed start.
pub(crate) type EngineFactory =
    dyn Fn(mpsc::UnboundedSender<EngineEvent>) -> Result<Arc<dyn Executor>, Failure> + Send + Sync;

/// A handle to an engine that has started or is starting; clones share it.
#[derive(Clone)]
pub(crate) struct EngineHandle {
    state: watch::Receiver<State>,
    restart: mpsc::UnboundedSender<()>,
}

impl EngineHandle {
    /// Starts an engine on a thread of its own; its output goes to `output`.
    pub(crate) fn start(
        factory: Arc<EngineFactory>,
        output: mpsc::UnboundedSender<EngineEvent>,
    ) -> Self {
        let (sender, state) = watch::channel(None);
        let (restart, mut restart_requests) = mpsc::unbounded_channel();
        let _ = restart.send(());
        tokio::spawn(async move {
            while restart_requests.recv().await.is_some() {
                if matches!(*sender.borrow(), Some(Ok(_))) {
                    continue;
                }
                sender.send_replace(None);
                let (factory, output) = (factory.clone(), output.clone());
                let result = tokio::task::spawn_blocking(move || factory(output)).await;
                sender.send_replace(Some(result.unwrap_or_else(|panic| {
                    Err(KernelError::StartPanic { message: panic.to_string() }.into())
                })));
            }
        });
        Self { state, restart }
    }

    /// Returns the engine, after it has started.
    ///
    /// # Errors
    /// The reason why the start failed; the next call tries again.
    pub(crate) async fn engine(&self) -> Result<Arc<dyn Executor>, Failure> {
        let mut state = self.state.clone();
        let gone = || Failure::from(KernelError::ShuttingDown);
        let result = state
            .wait_for(Option::is_some)
            .await
            .map_err(|_| gone())?
            .clone()
            .unwrap_or_else(|| Err(gone()));
        if result.is_err() {
            let _ = self.restart.send(());
        }
        result
    }

    /// Returns the engine if it has started.
    pub(crate) fn get(&self) -> Option<Arc<dyn Executor>> {
        self.state.borrow().as_ref()?.as_ref().ok().cloned()
    }
}

/// A factory of engines for the kernel and for `graft run`; `warm` prepares Rust at once,
/// `grace_seconds` is how long an interrupt may stay unanswered.
pub(crate) fn engine_factory(
    warm: bool,
    grace_seconds: f64,
    budget: OutputBudget,
) -> Arc<EngineFactory> {
    let grace = Duration::try_from_secs_f64(grace_seconds).unwrap_or(DEFAULT_GRACE);
    Arc::new(move |output| {
        let library = prebuilt_library(&output)?;
        let options = EngineOptions {
            prebuilt: library.layout.root().to_owned(),
            warm,
            cwd: std::env::current_dir().ok(),
            grace,
            budget: budget.clone(),
        };
        let engine: Arc<dyn Executor> = Arc::new(Engine::start(options, output)?);
        Ok(engine)
    })
}

/// Finds a prebuilt library of this program, or builds it and reports the progress.
pub(crate) fn prebuilt_library(
    output: &mpsc::UnboundedSender<EngineEvent>,
) -> Result<PrebuiltLibrary, Failure> {
    let dirs = Dirs::user();
    if let Some(library) = graft_prebuilt::find(&dirs) {
        return Ok(library);
    }
    if let Some(failure) = damaged_installation(&dirs) {
        return Err(failure);
    }
    let status = |text: String| drop(output.send(EngineEvent::Status(text)));
    status("building the library that cells use; this is done once…".to_owned());
    let built = graft_prebuilt::build(&dirs, Variant::Plain, &Intermediates::Keep, &mut |line| {
        status(format!("building the library that cells use: {line}"))
    });
    status(String::new());
    Ok(built?)
}

/// The failure of an installation with missing or truncated files.
fn damaged_installation(dirs: &Dirs) -> Option<Failure> {
    // A damaged library of this user is built again.
    let file = graft_prebuilt::damaged_file(dirs).filter(|file| !file.starts_with(dirs.cache()))?;
    let message =
        format!("the installation is incomplete: `{}` is missing or truncated", file.display());
    Some(
        Failure::new("prebuilt::incomplete", message).hint(Installer::of_file(&file).repair(&file)),
    )
}
