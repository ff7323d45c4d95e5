//! Standard input of the cells: a pipe whose other end this process holds, filled when somebody waits for a line.

use std::io::{self, PipeReader, PipeWriter, Write};
use std::os::fd::AsFd;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::stdin_wait;
use crate::unix;

/// How often a cell that may read is looked at: soon after it has begun or got a line, then less and less often.
const SOONEST: Duration = Duration::from_millis(2);
const LATEST: Duration = Duration::from_millis(100);
/// For how long a program or a thread must be blocked, so that one that is about to go on with what it has read is not taken for one that waits.
const CONFIRM: Duration = Duration::from_millis(2);

/// Bytes that an empty pipe always takes: a page, the least that Linux gives one.
const FITS: usize = 4096;

/// The pipe, and who waits.
pub(super) struct Input {
    state: Mutex<State>,
    changed: Condvar,
    /// Whether the system tells who waits; if not, every cell is at the end of input.
    is_told: bool,
}

struct State {
    /// None when the cell is at the end of input.
    writer: Option<PipeWriter>,
    /// Whether a cell runs.
    running: bool,
    /// Whether the host has been asked for a line and has not answered.
    asked: bool,
    /// When the cell began or got a line.
    since: Instant,
}

impl Input {
    /// Puts a pipe in place of this process's standard input.
    pub(super) fn new() -> io::Result<Self> {
        let is_told = stdin_wait::is_told();
        let writer = Some(replace()?).filter(|_| is_told);
        Ok(Self {
            state: Mutex::new(State {
                writer,
                running: false,
                asked: false,
                since: Instant::now(),
            }),
            changed: Condvar::new(),
            is_told,
        })
    }

    /// A cell begins. One before it that was at the end of input has no say in this one's.
    pub(super) fn begin(&self) {
        let mut state = self.lock();
        if state.writer.is_none() && self.is_told {
            state.writer = replace().ok();
        }
        state.running = true;
        state.since = Instant::now();
        self.changed.notify_all();
    }

    /// The cell is over.
    pub(super) fn end(&self) {
        let mut state = self.lock();
        state.running = false;
        state.asked = false;
    }

    /// A line for the cell, or the end of input.
    pub(super) fn answer(&self, line: Option<String>) {
        let mut state = self.lock();
        state.asked = false;
        state.since = Instant::now();
        match (line, &state.writer) {
            (Some(line), Some(writer)) => {
                // Who waits has found the pipe empty, so this much fits at once: were it written later, the cell would seem to wait for another line.
                let (first, rest) = line.as_bytes().split_at(line.len().min(FITS));
                let written = (&*writer).write_all(first);
                // More waits until the cell reads it, and this thread has other things to do.
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

    /// Calls `ask` whenever the running cell waits for a line. Never returns.
    pub(super) fn watch(&self, ask: &dyn Fn()) {
        loop {
            let state = self.lock();
            let wait = |state: &mut State| !state.running || state.asked || state.writer.is_none();
            let state =
                self.changed.wait_while(state, wait).unwrap_or_else(PoisonError::into_inner);
            let pause = (state.since.elapsed() / 8).clamp(SOONEST, LATEST);
            drop(state);
            std::thread::sleep(pause);
            if stdin_wait::is_waiting() && is_empty() {
                std::thread::sleep(CONFIRM);
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

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A new pipe at descriptor 0; its writing end, which no program that a cell starts inherits.
fn replace() -> io::Result<PipeWriter> {
    let (reader, writer): (PipeReader, PipeWriter) = io::pipe()?;
    unix::replace_stdin(reader.as_fd())?;
    Ok(writer)
}

/// Whether nothing is left to read in standard input.
fn is_empty() -> bool {
    let stdin = io::stdin();
    unix::wait_readable(stdin.as_fd(), Some(Duration::ZERO)).is_ok_and(|readable| !readable)
}
