//! The handle of the session that magics and cells share.

mod callbacks;
mod chat;
mod class;
mod comparison;
mod display;
mod environment;
mod evaluation;
mod loading;
mod run_history;
mod training;

use std::sync::{Arc, OnceLock};

use graft_protocol::{Event, Reply};
use graft_session::{CommandContext, Session, SessionState};
use graft_spec::Failure;

use crate::{Error, Result, link, standalone::Standalone};

static LAB: OnceLock<Lab> = OnceLock::new();

/// The session of this process.
///
/// In a cell it is the session of the magics: `%model load tiny` and `lab().load_model("tiny")`
/// change the same object. In your own program, the first call starts a session. There is
/// nothing to set up: results are returned, status lines go to standard output, and runs are
/// recorded below `.graft/runs` in the working directory (or in `$GRAFT_RUNS`).
///
/// # Examples
/// ```
/// use graft::prelude::*;
///
/// # fn main() -> graft::Result<()> {
/// let model = lab().load_model("tiny")?;
/// assert_eq!(model.name(), "tiny");
/// println!("{}", lab().generate("The sky is", Generate::new().max_new_tokens(8))?);
/// // The same model again: nothing is loaded twice.
/// assert_eq!(lab().model()?.name(), "tiny");
/// # Ok(())
/// # }
/// ```
pub fn lab() -> Lab {
    LAB.get_or_init(|| Lab::of(Session::new(Arc::new(Standalone)))).clone()
}

/// A handle of the session. Clones refer to the same session.
///
/// Calls that only read return at once. Calls that change something or take long are queued behind
/// the running job, and the stop button interrupts them in the same way as magics.
#[derive(Clone)]
pub struct Lab {
    pub(crate) session: Arc<Session>,
}

impl Lab {
    pub(crate) fn of(session: Arc<Session>) -> Self {
        Self { session }
    }

    /// Makes `session` the one that [`lab()`] returns. Returns false if there is one already.
    pub(crate) fn install(session: Arc<Session>) -> bool {
        LAB.set(Self::of(session)).is_ok()
    }

    pub(crate) fn state(&self) -> Arc<SessionState> {
        self.session.state()
    }

    /// Runs a job that may change the session.
    pub(crate) fn job<T: Send + 'static>(
        &self,
        label: &str,
        work: impl FnOnce(&CommandContext) -> std::result::Result<T, Failure> + Send + 'static,
    ) -> Result<T> {
        self.in_order(|session| session.perform(label, work)).map_err(Error::from)
    }

    /// Runs a job that only reads the model. While a training run is in the background, the job
    /// runs between two of its steps.
    pub(crate) fn read_model<T: Send + 'static>(
        &self,
        label: &str,
        work: impl FnOnce(&CommandContext) -> std::result::Result<T, Failure> + Send + 'static,
    ) -> Result<T> {
        self.in_order(|session| session.read_model(label, work)).map_err(Error::from)
    }

    /// Reads the model for a moment: on this thread, unless a job is using the model.
    pub(crate) fn read_attached<T: Send + 'static>(
        &self,
        label: &str,
        work: impl FnOnce(&CommandContext) -> std::result::Result<T, Failure> + Send + 'static,
    ) -> Result<T> {
        self.session.read_attached(label, work).map_err(Error::from)
    }

    /// Reads the session's state on this thread.
    pub(crate) fn read<T>(
        &self,
        work: impl FnOnce(&CommandContext) -> std::result::Result<T, Failure>,
    ) -> Result<T> {
        self.session.read(work).map_err(Error::from)
    }

    /// Shows something in order with what the cell prints.
    pub(crate) fn emit(&self, event: Event) {
        self.in_order(|session| session.emit(event));
    }

    /// Shows the blocks of a reply.
    fn show(&self, reply: Reply) {
        reply.blocks.into_iter().for_each(|block| self.session.emit(Event::Block(block)));
    }

    /// Keeps the output of `work` in order with the text that the cell prints before and after it.
    fn in_order<R>(&self, work: impl FnOnce(&Session) -> R) -> R {
        link::barrier();
        let result = work(&self.session);
        link::barrier();
        result
    }
}

impl std::fmt::Debug for Lab {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.status() {
            Ok(status) => write!(f, "{status}"),
            Err(error) => write!(f, "{error}"),
        }
    }
}
