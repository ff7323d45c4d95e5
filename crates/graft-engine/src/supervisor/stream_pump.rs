//! The threads that read a child's standard output and standard error.

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::process::{ChildStderr, ChildStdout};
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Duration;

use graft_protocol::sentinel::{FIRST_OF_CHILD, Sentinels};

use super::Supervisor;
use super::stream_barrier::Channel;
use crate::evcxr_lines::{ControlLine, LineParser};
use crate::event::EngineEvent;
use crate::sentinel::{Part, SentinelFinder};
use crate::shared_state::lock;
use crate::{panic_report, stderr_tail, unix};

/// How long the possible beginning of a control line is held back.
const FLUSH_GRACE: Duration = Duration::from_millis(20);
/// Size of a read.
const BUFFER_SIZE: usize = 64 << 10;

impl Supervisor {
    /// Starts the threads of both streams; each sends to `done` when its stream ends.
    pub(super) fn serve_streams(
        self: &Arc<Self>,
        (stdout, stderr): (Option<ChildStdout>, Option<ChildStderr>),
        sentinels: &Sentinels,
        done: &Sender<()>,
    ) {
        if let Some(stdout) = stdout {
            let supervisor = Arc::clone(self);
            let finder = SentinelFinder::new(sentinels.clone());
            let done = done.clone();
            std::thread::spawn(move || {
                supervisor.pump_stdout(File::from(OwnedFd::from(stdout)), finder);
                let _ = done.send(());
            });
        }
        if let Some(stderr) = stderr {
            let supervisor = Arc::clone(self);
            let finder = SentinelFinder::new(sentinels.clone());
            let done = done.clone();
            std::thread::spawn(move || {
                supervisor.pump_stderr(File::from(OwnedFd::from(stderr)), finder);
                let _ = done.send(());
            });
        }
    }

    /// Forwards text to the frontend at once and collects rich output for the running cell.
    fn pump_stdout(&self, stdout: File, finder: SentinelFinder) {
        let mut parser = LineParser::default();
        pump(stdout, finder, FLUSH_GRACE, |step| match step {
            Step::Bytes(bytes) => {
                self.handle_lines(parser.push(bytes));
                parser.is_holding()
            }
            Step::Sentinel(number) => {
                self.handle_lines(parser.release());
                if number >= FIRST_OF_CHILD {
                    let held = lock(&self.tail).take();
                    self.print_stderr(held);
                    self.barrier.wait(Channel::Stream, number);
                    return false;
                }
                if !self.cell().executing {
                    self.handle_lines(parser.end());
                    self.print_unused_prompt();
                }
                self.drained(number);
                false
            }
            Step::Idle => {
                self.handle_lines(parser.release());
                false
            }
        });
        self.handle_lines(parser.end());
    }

    /// Forwards standard error. The end of a running cell's text is held back for a moment, since
    /// it may be the cell's error.
    fn pump_stderr(&self, stderr: File, finder: SentinelFinder) {
        pump(stderr, finder, stderr_tail::FLUSH_GRACE, |step| {
            let shown = match step {
                Step::Bytes(bytes) => {
                    let mut cell = self.cell();
                    cell.stderr(bytes);
                    let mut tail = lock(&self.tail);
                    if cell.is_open {
                        tail.push(bytes)
                    } else {
                        [tail.take(), bytes.to_vec()].concat()
                    }
                }
                Step::Sentinel(number) => {
                    let mut cell = self.cell();
                    let shown = if cell.executing {
                        lock(&self.tail).take()
                    } else {
                        cell.is_open = false;
                        lock(&self.tail).end(cell.stderr_end())
                    };
                    drop(cell);
                    self.print_stderr(shown);
                    self.drained(number);
                    return false;
                }
                Step::Idle => lock(&self.tail).take(),
            };
            self.print_stderr(shown);
            lock(&self.tail).is_holding()
        });
        let rest = lock(&self.tail).take();
        self.print_stderr(rest);
    }

    /// Prints standard error. Reports of panics in other threads than the cell's get the line of
    /// the cell instead of a line of the generated source.
    fn print_stderr(&self, bytes: Vec<u8>) {
        let has_report = memchr::memmem::find(&bytes, panic_report::PANICKED.as_bytes()).is_some();
        let locator = has_report.then(|| lock(&self.panic_locator).clone()).flatten();
        let bytes = match (locator, std::str::from_utf8(&bytes)) {
            (Some(locate), Ok(text)) => locate(text).into_bytes(),
            _ => bytes,
        };
        self.shared.print(EngineEvent::Stderr, bytes);
    }

    fn handle_lines(&self, lines: impl IntoIterator<Item = ControlLine>) {
        for line in lines {
            match line {
                ControlLine::Text(bytes) => {
                    self.print_unused_prompt();
                    self.shared.print(EngineEvent::Stdout, bytes);
                }
                ControlLine::Content(content) => self.cell().content(content),
                ControlLine::Prompt(prompt) => {
                    self.print_unused_prompt();
                    self.cell().prompt = Some(prompt);
                }
            }
        }
    }

    /// Prints a prompt that was announced without a read of standard input after it.
    fn print_unused_prompt(&self) {
        let prompt = self.cell().prompt.take();
        self.shared
            .print(EngineEvent::Stdout, prompt.map(|prompt| prompt.line).unwrap_or_default());
    }

    fn drained(&self, number: u64) {
        let mut drains = lock(&self.drains);
        let Some(drain) = drains.get_mut(&number) else { return };
        drain.missing -= 1;
        if drain.missing == 0
            && let Some(drain) = drains.remove(&number)
        {
            let _ = drain.done.send(());
        }
    }
}

/// An event of a stream.
enum Step<'a> {
    /// Bytes between sentinels.
    Bytes(&'a [u8]),
    /// A sentinel.
    Sentinel(u64),
    /// No bytes for the grace period.
    Idle,
}

/// Reads a stream to its end. `on_step` returns whether it holds bytes back; if so, it gets
/// [`Step::Idle`] after `grace` without bytes.
fn pump(
    mut stream: File,
    mut finder: SentinelFinder,
    grace: Duration,
    mut on_step: impl FnMut(Step<'_>) -> bool,
) {
    let mut buffer = vec![0; BUFFER_SIZE];
    let mut is_holding = false;
    loop {
        let limit = (is_holding || finder.is_holding()).then_some(grace);
        match unix::wait_readable(stream.as_fd(), limit) {
            Ok(true) => {}
            Ok(false) => {
                let held = finder.release();
                if !held.is_empty() {
                    on_step(Step::Bytes(&held));
                }
                is_holding = on_step(Step::Idle);
                continue;
            }
            Err(_) => break,
        }
        let Ok(count @ 1..) = stream.read(&mut buffer) else { break };
        for part in finder.push(buffer.get(..count).unwrap_or_default()) {
            is_holding = match part {
                Part::Bytes(bytes) => on_step(Step::Bytes(&bytes)),
                Part::Sentinel(number) => on_step(Step::Sentinel(number)),
            };
        }
    }
    let held = finder.release();
    if !held.is_empty() {
        on_step(Step::Bytes(&held));
    }
}
