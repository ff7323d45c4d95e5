//! The standard input of the cells: a pipe whose writing end this process holds. A line is
//! requested when a reader is blocked.

use std::io::{self, PipeReader, PipeWriter, Write};
use std::os::fd::AsFd;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::stdin_wait;
use crate::unix;

/// The interval between two checks for a blocked reader grows from the minimum to the maximum while
/// a cell runs without input.
const MIN_POLL_INTERVAL: Duration = Duration::from_millis(2);
const MAX_POLL_INTERVAL: Duration = Duration::from_millis(100);
/// A reader must be blocked in two checks at this distance; a single check may catch a reader that
/// is about to continue.
const CONFIRM_INTERVAL: Duration = Duration::from_millis(2);

/// Number of bytes that always fit into an empty pipe: a page, the minimum size on Linux.
const PIPE_CAPACITY: usize = 4096;

/// The pipe and the state of its readers.
pub(super) struct Input {
    state: Mutex<PipeState>,
    changed: Condvar,
    /// Whether blocked readers can be detected; if not, every cell is at the end of input.
    is_supported: bool,
}

struct PipeState {
    /// `None` when the cell is at the end of input.
    writer: Option<PipeWriter>,
    /// Whether a cell is running.
    running: bool,
    /// Whether a request to the host is pending.
    asked: bool,
    /// When the cell started or received a line.
    since: Instant,
}

impl Input {
    /// Replaces this process's standard input by a pipe.
    pub(super) fn new() -> io::Result<Self> {
        let is_supported = stdin_wait::is_supported();
        let writer = Some(replace()?).filter(|_| is_supported);
        Ok(Self {
            state: Mutex::new(PipeState {
                writer,
                running: false,
                asked: false,
                since: Instant::now(),
            }),
            changed: Condvar::new(),
            is_supported,
        })
    }

    /// Records the start of a cell. If the previous cell reached the end of input, this one gets a
    /// new pipe.
    pub(super) fn begin(&self) {
        let mut state = self.lock();
        if state.writer.is_none() && self.is_supported {
            state.writer = replace().ok();
        }
        state.running = true;
        state.since = Instant::now();
        self.changed.notify_all();
    }

    /// Records the end of the cell.
    pub(super) fn end(&self) {
        let mut state = self.lock();
        state.running = false;
        state.asked = false;
    }

    /// Writes a line for the cell, or closes its input.
    pub(super) fn answer(&self, line: Option<String>) {
        let mut state = self.lock();
        state.asked = false;
        state.since = Instant::now();
        match (line, &state.writer) {
            (Some(line), Some(writer)) => {
                // The reader has found the pipe empty, so these bytes fit at once. If they were
                // written later, the cell would seem to wait for another line.
                let (first, rest) = line.as_bytes().split_at(line.len().min(PIPE_CAPACITY));
                let written = (&*writer).write_all(first);
                // The rest blocks until the cell reads it, so another thread writes it.
                if let (false, Ok(()), Ok(mut writer)) =
                    (rest.is_empty(), written, writer.try_clone())
                {
                    let rest = rest.to_vec();
                    std::thread::spawn(move || drop(writer.write_all(&rest)));
                }
            }
            (Some(_), None) => {}
            (None, _) => state.writer = None,
        }
        self.changed.notify_all();
    }

    /// Calls `ask` whenever the running cell is blocked in a read of standard input. Never returns.
    pub(super) fn watch(&self, ask: &dyn Fn()) {
        loop {
            let state = self.lock();
            let wait =
                |state: &mut PipeState| !state.running || state.asked || state.writer.is_none();
            let state =
                self.changed.wait_while(state, wait).unwrap_or_else(PoisonError::into_inner);
            let pause = (state.since.elapsed() / 8).clamp(MIN_POLL_INTERVAL, MAX_POLL_INTERVAL);
            drop(state);
            std::thread::sleep(pause);
            if stdin_wait::is_waiting() && is_empty() {
                std::thread::sleep(CONFIRM_INTERVAL);
                let mut state = self.lock();
                if state.running
                    && state.writer.is_some()
                    && !state.asked
                    && stdin_wait::is_waiting()
                    && is_empty()
                {
                    state.asked = true;
                    drop(state);
                    ask();
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, PipeState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Installs a new pipe at descriptor 0 and returns its writing end, which programs started by a
/// cell do not inherit.
fn replace() -> io::Result<PipeWriter> {
    let (reader, writer): (PipeReader, PipeWriter) = io::pipe()?;
    unix::replace_stdin(reader.as_fd())?;
    Ok(writer)
}

/// Whether standard input contains no unread bytes.
fn is_empty() -> bool {
    let stdin = io::stdin();
    unix::wait_readable(stdin.as_fd(), Some(Duration::ZERO)).is_ok_and(|readable| !readable)
}
