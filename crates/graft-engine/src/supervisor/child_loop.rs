//! The threads that serve a child: the keeper, the link's two directions, and the pumps of its streams.

use std::fs::File;
use std::io::{BufReader, Read, Write as _};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{ChildStderr, ChildStdout};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use graft_protocol::mark::{FIRST_OF_CHILD, Marks};
use graft_protocol::{CellEnd, FromChild, PROTOCOL_VERSION, Snapshot, ToChild, frame};
use graft_spec::Failure;

use super::super::EngineEvent;
use super::super::child_exit::{Cause, ChildExit, describe};
use super::super::evcxr_lines::{LineParser, Piece};
use super::super::sentinel::{MarkFinder, Part};
use super::super::shared_state::lock;
use super::super::stderr_tail;
use super::stream_barrier::Channel;
use super::{Live, Supervisor};
use crate::{control, unix};
use graft_prebuilt::process;

/// Children that die of themselves before they are ready, one after the other, until the keeper gives up.
const MOST_EARLY_DEATHS: u32 = 3;
/// For how long text is held back that may be the beginning of a control line.
const HOLD: Duration = Duration::from_millis(20);
/// For how long a dead child's last words are read; a process that it has left behind may keep its streams open.
const LAST_WORDS: Duration = Duration::from_millis(300);

/// How far a child has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    /// It was ready, and died later.
    Ready,
    /// The host ended it before it was ready.
    Killed,
    /// It died of itself before it was ready.
    Early,
}

impl Supervisor {
    /// Keeps a child alive until the host goes.
    pub(super) fn run(self: Arc<Self>) {
        let mut early_deaths = 0;
        while lock(&self.state).ended.is_none() {
            match self.run_child() {
                Ok(Life::Ready) => early_deaths = 0,
                // Says nothing about the next child, however often it happens.
                Ok(Life::Killed) => {}
                Ok(Life::Early) => early_deaths += 1,
                Err(error) => {
                    return self
                        .fail_permanently(format!("cannot start the session's process: {error}"));
                }
            }
            if early_deaths >= MOST_EARLY_DEATHS && lock(&self.state).ended.is_none() {
                return self.fail_permanently(format!(
                    "the session's process ends as soon as it starts: {}",
                    self.why_early()
                ));
            }
        }
        // What came during the last burial waits for a child that does not come.
        let reason = lock(&self.state).ended.clone().unwrap_or_default();
        self.fail_all(&Failure::new("engine::child", reason));
    }

    /// What is known of the last child's end: what it wrote to standard error, or how it ended.
    fn why_early(&self) -> String {
        let last_words = self.cell().stderr_text().trim().to_owned();
        if last_words.is_empty() {
            self.last_death().map(|death| death.how).unwrap_or_default()
        } else {
            last_words
        }
    }

    /// One child from start to burial.
    fn run_child(self: &Arc<Self>) -> std::io::Result<Life> {
        let environment = lock(&self.environment).clone();
        let mut started = self.command.spawn(&environment)?;
        let pid = started.process.id();
        let writer = started.link.try_clone()?;
        let (link, messages) = channel();
        let secret = uuid::Uuid::new_v4().simple().to_string();
        let marks = Marks::new(&secret);
        // A child that has died already is buried below.
        let _ = frame::write(&mut &started.control, &control::ToChild::Begin { secret }, &[]);
        let controlling = started.control.try_clone()?;
        {
            let mut state = lock(&self.state);
            for message in std::mem::take(&mut state.backlog) {
                let _ = link.send(message);
            }
            state.generation += 1;
            self.barrier.reset();
            state.live = Some(Live { pid, link, control: started.control, ready: false });
            if state.ended.is_some() {
                process::signal(pid, libc::SIGKILL);
            }
        }
        // Only now: a word of the child's that came before it was known as the living one would be lost.
        let (done, readers) = channel();
        self.serve_link(started.link, writer, messages, done.clone());
        self.serve_control(controlling);
        self.serve_streams(
            (started.process.stdout.take(), started.process.stderr.take()),
            &marks,
            &done,
        );
        drop(done);
        unix::wait_for_end(pid);
        Ok(self.reap(started.process, &readers))
    }

    /// Takes a dead child out, tells everybody who waited, and says how far it had come.
    fn reap(&self, mut process: std::process::Child, readers: &Receiver<()>) -> Life {
        // Commands that come from here on wait for the next child and are not this one's to fail.
        let (live, cause, waiting) = {
            let mut state = lock(&self.state);
            let waiting: Vec<u64> = lock(&self.pending).keys().copied().collect();
            (state.live.take(), state.cause.take(), waiting)
        };
        let ready = live.is_some_and(|live| live.ready);
        let how = process.wait().map_or_else(|error| error.to_string(), describe);
        while readers.recv_timeout(LAST_WORDS).is_ok() {}
        let snapshot = self.shared.snapshot();
        self.shared.set_snapshot(Snapshot {
            runs: snapshot.runs.clone(),
            seed: snapshot.seed,
            device: snapshot.device.clone(),
            ..Snapshot::default()
        });
        let death =
            ChildExit { cause, how, snapshot, variables: self.shared.set_variables(Vec::new()) };
        let failure = death.failure();
        for waiting in waiting.iter().filter_map(|id| lock(&self.pending).remove(id)) {
            let _ = waiting.send(Err(failure.clone()));
        }
        lock(&self.drains).clear();
        // A press of stop must not take the next child for the one that ran the cell.
        self.cell().executing = false;
        let was_idle = waiting.is_empty() && !self.shared.is_busy();
        let attachment = {
            let mut state = lock(&self.state);
            state.last_death = Some(death.clone());
            state.attachment.take()
        };
        drop(attachment);
        self.changed.notify_all();
        if was_idle && cause.is_none() && ready {
            self.shared.send(EngineEvent::Notice(failure));
        }
        match (ready, cause) {
            (true, _) => Life::Ready,
            (false, Some(_)) => Life::Killed,
            (false, None) => Life::Early,
        }
    }

    fn fail_permanently(&self, reason: String) {
        let failure = Failure::new("engine::child", reason.clone())
            .hint("`graft doctor` says what is missing; restart the kernel then");
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

    /// Starts the link's two threads.
    fn serve_link(
        self: &Arc<Self>,
        link: UnixStream,
        mut writer: UnixStream,
        messages: Receiver<ToChild>,
        done: Sender<()>,
    ) {
        std::thread::spawn(move || {
            while let Ok(message) = messages.recv() {
                if frame::write(&mut writer, &message, &[]).is_err() {
                    return;
                }
            }
            let _ = writer.shutdown(std::net::Shutdown::Write);
        });
        let supervisor = Arc::clone(self);
        std::thread::spawn(move || {
            let mut reader = BufReader::new(link);
            while let Ok(Some((message, _))) = frame::read::<FromChild>(&mut reader) {
                supervisor.receive(message);
            }
            let _ = done.send(());
        });
    }

    pub(super) fn receive(&self, message: FromChild) {
        match message {
            FromChild::Ready { protocol, identity, .. } => self.ready(protocol, &identity),
            FromChild::Reply { id, result } => {
                if let Some(waiting) = lock(&self.pending).remove(&id) {
                    let _ = waiting.send(result);
                }
            }
            FromChild::Barrier { number } => self.barrier.wait(Channel::Link, number),
            FromChild::CellEnded(end) => self.cell_ended(end),
            FromChild::Event { event, .. } => self.shared.send(EngineEvent::Session(event)),
            FromChild::Snapshot(snapshot) => self.shared.set_snapshot(snapshot),
            FromChild::InterruptSeen { number, job } => {
                let mut state = lock(&self.state);
                state.acknowledged |= job.is_some() && number > state.interrupts_before;
            }
        }
    }

    fn ready(&self, protocol: u32, identity: &str) {
        let wanted = self.command.prebuilt.info.fingerprint.as_str();
        if protocol != PROTOCOL_VERSION || identity != wanted {
            let reason = format!(
                "the template speaks protocol {protocol} and is build {identity}; this program wants {PROTOCOL_VERSION} and {wanted}"
            );
            self.kill(Cause::Shutdown);
            return self
                .fail_permanently(format!("{reason}; `graft install` builds the right one"));
        }
        if let Some(live) = &mut lock(&self.state).live {
            live.ready = true;
        }
        self.changed.notify_all();
    }

    /// A cell has returned: evcxr is told in its own words.
    fn cell_ended(&self, end: CellEnd) {
        let lines = self.cell().end(end);
        let to_evcxr = lock(&self.state)
            .attachment
            .as_ref()
            .map(|attachment| Arc::clone(&attachment.to_evcxr));
        if let Some(to_evcxr) = to_evcxr {
            let _ = (&*to_evcxr).write_all(&lines);
        }
    }

    /// Starts the thread that hears what the child's main program has to say.
    fn serve_control(self: &Arc<Self>, socket: UnixStream) {
        let supervisor = Arc::clone(self);
        std::thread::spawn(move || {
            let mut reader = BufReader::new(socket);
            while let Ok(Some((message, _))) = frame::read::<control::FromChild>(&mut reader) {
                match message {
                    control::FromChild::WantsInput => supervisor.ask_for_input(),
                    control::FromChild::NotLoaded { reason } => {
                        let message = format!("the compiled cell cannot be loaded: {reason}");
                        supervisor
                            .cell_ended(CellEnd { failed: Some(message), ..CellEnd::default() });
                    }
                }
            }
        });
    }

    fn serve_streams(
        self: &Arc<Self>,
        (stdout, stderr): (Option<ChildStdout>, Option<ChildStderr>),
        marks: &Marks,
        done: &Sender<()>,
    ) {
        if let Some(stdout) = stdout {
            let (supervisor, done, finder) =
                (Arc::clone(self), done.clone(), MarkFinder::new(marks.clone()));
            std::thread::spawn(move || {
                supervisor.pump_stdout(File::from(OwnedFd::from(stdout)), finder);
                let _ = done.send(());
            });
        }
        if let Some(stderr) = stderr {
            let (supervisor, done, finder) =
                (Arc::clone(self), done.clone(), MarkFinder::new(marks.clone()));
            std::thread::spawn(move || {
                supervisor.pump_stderr(File::from(OwnedFd::from(stderr)), finder);
                let _ = done.send(());
            });
        }
    }

    /// Standard output: text to the frontend at once, rich output to the cell that it belongs to.
    fn pump_stdout(&self, stdout: File, finder: MarkFinder) {
        let mut splitter = LineParser::default();
        pump(stdout, finder, HOLD, |step| match step {
            Step::Bytes(bytes) => {
                self.pieces(splitter.push(bytes));
                splitter.is_holding()
            }
            Step::Mark(number) => {
                self.pieces(splitter.release());
                if number >= FIRST_OF_CHILD {
                    self.shared.print(EngineEvent::Stderr, lock(&self.words).take());
                    self.barrier.wait(Channel::Stream, number);
                    return false;
                }
                if !self.cell().executing {
                    self.pieces(splitter.end());
                    self.give_back_prompt();
                }
                self.drained(number);
                false
            }
            Step::Idle => {
                self.pieces(splitter.release());
                false
            }
        });
        self.pieces(splitter.end());
    }

    fn pump_stderr(&self, stderr: File, finder: MarkFinder) {
        pump(stderr, finder, stderr_tail::HOLD, |step| {
            let shown = match step {
                Step::Bytes(bytes) => {
                    let mut cell = self.cell();
                    cell.stderr(bytes);
                    let mut words = lock(&self.words);
                    if cell.is_open {
                        words.push(bytes)
                    } else {
                        [words.take(), bytes.to_vec()].concat()
                    }
                }
                Step::Mark(number) => {
                    let mut cell = self.cell();
                    let shown = if cell.executing {
                        lock(&self.words).take()
                    } else {
                        cell.is_open = false;
                        lock(&self.words).end(cell.last_of_stderr())
                    };
                    drop(cell);
                    self.shared.print(EngineEvent::Stderr, shown);
                    self.drained(number);
                    return false;
                }
                Step::Idle => lock(&self.words).take(),
            };
            self.shared.print(EngineEvent::Stderr, shown);
            lock(&self.words).is_holding()
        });
        let rest = lock(&self.words).take();
        self.shared.print(EngineEvent::Stderr, rest);
    }

    fn pieces(&self, pieces: impl IntoIterator<Item = Piece>) {
        for piece in pieces {
            match piece {
                Piece::Text(bytes) => {
                    self.give_back_prompt();
                    self.shared.print(EngineEvent::Stdout, bytes);
                }
                Piece::Content(content) => self.cell().content(content),
                Piece::Prompt(prompt) => {
                    self.give_back_prompt();
                    self.cell().prompt = Some(prompt);
                }
            }
        }
    }

    /// A question that was announced and not asked is text like any other.
    fn give_back_prompt(&self) {
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

/// What a pump met.
enum Step<'a> {
    /// Bytes between marks.
    Bytes(&'a [u8]),
    /// A mark.
    Mark(u64),
    /// Nothing for a while.
    Idle,
}

/// Reads a stream to its end; `on_step` says whether it holds something back, and is told after `hold` without news.
fn pump(
    mut stream: File,
    mut finder: MarkFinder,
    hold: Duration,
    mut on_step: impl FnMut(Step<'_>) -> bool,
) {
    let mut buffer = vec![0; 64 << 10];
    let mut is_holding = false;
    loop {
        let limit = (is_holding || finder.is_holding()).then_some(hold);
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
                Part::Mark(number) => on_step(Step::Mark(number)),
            };
        }
    }
    let held = finder.release();
    if !held.is_empty() {
        on_step(Step::Bytes(&held));
    }
}
