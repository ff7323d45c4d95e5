//! The engine starts beside everything else: sockets answer and magics are parsed while it does.
//!
//! When no template is ready (first start, another rustc, other sources) it is built here, and what happens is told as
//! [`EngineEvent::Status`], so that the first cell shows it.

use std::sync::Arc;

use graft_spec::Failure;
use tokio::sync::{mpsc, watch};

use graft_engine::EngineEvent;
use graft_engine::Executor;

/// What became of a start.
type State = Option<Result<Arc<dyn Executor>, Failure>>;
/// Starts an engine; called again when the last start failed.
pub(crate) type Start =
    dyn Fn(mpsc::UnboundedSender<EngineEvent>) -> Result<Arc<dyn Executor>, Failure> + Send + Sync;

/// An engine that is, or soon will be, there. Clones share it.
#[derive(Clone)]
pub(crate) struct Launch {
    state: watch::Receiver<State>,
    again: mpsc::UnboundedSender<()>,
}

impl Launch {
    /// Starts an engine on a thread of its own; `output` gets what it tells.
    pub(crate) fn begin(start: Arc<Start>, output: mpsc::UnboundedSender<EngineEvent>) -> Self {
        let (sender, state) = watch::channel(None);
        let (again, mut wishes) = mpsc::unbounded_channel();
        let _ = again.send(());
        tokio::spawn(async move {
            while wishes.recv().await.is_some() {
                if matches!(*sender.borrow(), Some(Ok(_))) {
                    continue;
                }
                sender.send_replace(None);
                let (start, output) = (start.clone(), output.clone());
                let result = tokio::task::spawn_blocking(move || start(output)).await;
                sender.send_replace(Some(result.unwrap_or_else(|panic| {
                    Err(Failure::new("engine::panic", panic.to_string()))
                })));
            }
        });
        Self { state, again }
    }

    /// The engine once it is there; waits while it starts.
    ///
    /// # Errors
    /// Why the start failed; the next call tries again.
    pub(crate) async fn engine(&self) -> Result<Arc<dyn Executor>, Failure> {
        let mut state = self.state.clone();
        let gone = || Failure::new("engine::gone", "the kernel is shutting down");
        let result = state
            .wait_for(Option::is_some)
            .await
            .map_err(|_| gone())?
            .clone()
            .unwrap_or_else(|| Err(gone()));
        if result.is_err() {
            let _ = self.again.send(());
        }
        result
    }

    /// The engine if it is there now.
    pub(crate) fn peek(&self) -> Option<Arc<dyn Executor>> {
        self.state.borrow().as_ref()?.as_ref().ok().cloned()
    }
}
