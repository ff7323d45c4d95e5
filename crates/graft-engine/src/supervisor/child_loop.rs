//! The thread that starts a child, reaps it after its exit, and starts the next one.

use std::process::Child;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use graft_prebuilt::process;
use graft_protocol::sentinel::Sentinels;
use graft_protocol::{Snapshot, frame};
use graft_spec::Failure;

use super::{LiveChild, START_HINT, Supervisor};
use crate::child_exit::{ChildExit, describe};
use crate::event::EngineEvent;
use crate::shared_state::lock;
use crate::{control, unix};

/// Number of children in a row that may exit on their own before they are ready.
const MAX_EARLY_EXITS: u32 = 3;
/// How long the streams of a dead child are read; a process that the child has started may keep
/// them open.
const DRAIN_TIMEOUT: Duration = Duration::from_millis(300);

/// How far a child came before it exited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    /// It was ready.
    Ready,
    /// The host killed it before it was ready.
    Killed,
    /// It exited on its own before it was ready.
    Early,
}

impl Supervisor {
    /// Runs one child after another until the host shuts down.
    pub(super) fn run(self: Arc<Self>) {
        let mut early_exits = 0;
        while lock(&self.state).ended.is_none() {
            match self.run_child() {
                Ok(Progress::Ready) => early_exits = 0,
                // A kill does not predict what the next child does.
                Ok(Progress::Killed) => {}
                Ok(Progress::Early) => early_exits += 1,
                Err(error) => {
                    return self
                        .fail_permanently(format!("cannot start the session's process: {error}"));
                }
            }
            if early_exits >= MAX_EARLY_EXITS && lock(&self.state).ended.is_none() {
                return self.fail_permanently(format!(
                    "the session's process exits as soon as it starts: {}",
                    self.early_exit_reason()
                ));
            }
        }
        // Requests that arrived after the last child died.
        let reason = lock(&self.state).ended.clone().unwrap_or_default();
        self.fail_all(&Failure::new("engine::child", reason));
    }

    /// Why the last child exited: its standard error, or its exit status.
    fn early_exit_reason(&self) -> String {
        let stderr = self.cell().stderr_text().trim().to_owned();
        if stderr.is_empty() {
            self.last_exit().map(|exit| exit.status).unwrap_or_default()
        } else {
            stderr
        }
    }

    /// Runs one child from its start until it has been reaped.
    fn run_child(self: &Arc<Self>) -> std::io::Result<Progress> {
        let environment = lock(&self.environment).clone();
        let command = lock(&self.command).clone();
        let mut started = command.spawn(&environment)?;
        let pid = started.process.id();
        let writer = started.link.try_clone()?;
        let (link, messages) = channel();
        let secret = uuid::Uuid::new_v4().simple().to_string();
        let sentinels = Sentinels::new(&secret);
        // A child that has died already is reaped below.
        let _ = frame::write(&mut &started.control, &control::ToChild::Begin { secret }, &[]);
        let controlling = started.control.try_clone()?;
        {
            let mut state = lock(&self.state);
            for message in std::mem::take(&mut state.backlog) {
                let _ = link.send(message);
            }
            state.generation += 1;
            self.barrier.reset();
            state.live = Some(LiveChild { pid, link, control: started.control, ready: false });
            if state.ended.is_some() {
                process::signal(pid, libc::SIGKILL);
            }
        }
        // Reading starts after `live` is set: an earlier message of the child would be attributed
        // to no child.
        let (done, readers) = channel();
        self.serve_link(started.link, writer, messages, done.clone());
        self.serve_control(controlling);
        self.serve_streams(
            (started.process.stdout.take(), started.process.stderr.take()),
            &sentinels,
            &done,
        );
        drop(done);
        unix::wait_for_end(pid);
        Ok(self.reap(started.process, &readers))
    }

    /// Reaps a dead child, fails its pending requests, and returns how far it came.
    fn reap(&self, mut process: Child, readers: &Receiver<()>) -> Progress {
        // Commands that arrive from here on go to the next child and must not fail with this one.
        let (live, cause, waiting) = {
            let mut state = lock(&self.state);
            let waiting: Vec<u64> = lock(&self.pending).keys().copied().collect();
            (state.live.take(), state.cause.take(), waiting)
        };
        let ready = live.is_some_and(|live| live.ready);
        let status = process.wait().map_or_else(|error| error.to_string(), describe);
        let status = lock(&self.command).share.explain(status);
        while readers.recv_timeout(DRAIN_TIMEOUT).is_ok() {}
        let exit = ChildExit {
            cause,
            status,
            snapshot: self.reset_snapshot(),
            variables: self.shared.set_variables(Vec::new()),
        };
        let failure = exit.failure();
        for waiting in waiting.iter().filter_map(|id| lock(&self.pending).remove(id)) {
            let _ = waiting.send(Err(failure.clone()));
        }
        lock(&self.drains).clear();
        // An interrupt must not mistake the next child for the one that ran the cell.
        self.cell().executing = false;
        let was_idle = waiting.is_empty() && !self.shared.is_busy();
        let attachment = {
            let mut state = lock(&self.state);
            state.last_exit = Some(exit);
            state.attachment.take()
        };
        drop(attachment);
        self.changed.notify_all();
        if was_idle && cause.is_none() && ready {
            self.shared.send(EngineEvent::Notice(failure));
        }
        match (ready, cause) {
            (true, _) => Progress::Ready,
            (false, Some(_)) => Progress::Killed,
            (false, None) => Progress::Early,
        }
    }

    /// Replaces the snapshot by that of a new session and returns the old one. Runs, seed and
    /// device outlive a child.
    fn reset_snapshot(&self) -> Arc<Snapshot> {
        let old = self.shared.snapshot();
        self.shared.set_snapshot(Snapshot {
            runs: old.runs.clone(),
            seed: old.seed,
            device: old.device.clone(),
            ..Snapshot::default()
        });
        old
    }

    /// Starts no further child: all requests fail with `reason`.
    pub(super) fn fail_permanently(&self, reason: String) {
        let failure = Failure::new("engine::child", reason.clone()).hint(START_HINT);
        {
            let mut state = lock(&self.state);
            state.ended = Some(reason);
            state.attachment = None;
            state.backlog.clear();
        }
        self.changed.notify_all();
        self.fail_all(&failure);
        self.shared.send(EngineEvent::Notice(failure));
    }
}
