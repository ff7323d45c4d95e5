//! rust-analyzer for completion and inspection, in a process of its own: `graft analyzer`.
//!
//! rust-analyzer needs hundreds of megabytes for the standard library and the crates that cells
//! use. The process starts with the first question and ends after [`IDLE_LIMIT`] without one, and
//! cells run without it.

use std::collections::HashMap;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use graft_prebuilt::{process, toolchain};
use graft_protocol::frame;
use serde::{Deserialize, Serialize};

use crate::machine_memory;
use crate::rust_result::{RustCompletion, RustInspection};
use crate::shared_state::lock;

mod completion;
mod inspection;
mod project;
mod server;

pub use server::run;

/// The process ends after this time without a question.
const IDLE_LIMIT: Duration = Duration::from_secs(180);
/// Free memory without which the process does not start.
const NEEDED_BYTES: u64 = 900 << 20;
/// The variable that switches the process off.
const VARIABLE: &str = "GRAFT_ANALYZER";

/// A question of the host.
#[derive(Debug, Serialize, Deserialize)]
struct Request {
    number: u64,
    /// The manifest of the cell's crate.
    manifest: String,
    position: SourcePosition,
    wanted: Wanted,
}

/// A position in the source that evcxr generates for a cell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SourcePosition {
    /// The source.
    pub(crate) source: String,
    /// The byte of the cursor.
    pub(crate) byte: usize,
}

/// What the host asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Wanted {
    Completions,
    Inspection,
}

/// The answer to a request.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Answer {
    number: u64,
    completions: Vec<RustCompletion>,
    inspection: Option<RustInspection>,
}

/// A function that receives an answer.
type Waiting = Box<dyn FnOnce(Answer) + Send>;

/// The process, started on demand.
pub(crate) struct Analyzer {
    executable: PathBuf,
    /// The workspace that it reads.
    folder: PathBuf,
    running: Option<Running>,
    last_question: Instant,
    number: u64,
}

struct Running {
    process: Child,
    stdin: ChildStdin,
    waiting: Arc<Mutex<HashMap<u64, Waiting>>>,
}

impl Analyzer {
    /// An analyzer that has not started. It reads the workspace in `folder`.
    pub(crate) fn new(executable: &Path, folder: PathBuf) -> Self {
        Self {
            executable: executable.to_owned(),
            folder,
            running: None,
            last_question: Instant::now(),
            number: 0,
        }
    }

    /// Asks for completions. `answer` is dropped if there are none.
    pub(crate) fn complete(
        &mut self,
        manifest: String,
        position: SourcePosition,
        answer: impl FnOnce(Vec<RustCompletion>) + Send + 'static,
    ) {
        let waiting: Waiting = Box::new(|found| answer(found.completions));
        self.ask(manifest, position, Wanted::Completions, waiting);
    }

    /// Asks for the documentation of a name. `answer` is dropped if there is no process.
    pub(crate) fn inspect(
        &mut self,
        manifest: String,
        position: SourcePosition,
        answer: impl FnOnce(Option<RustInspection>) + Send + 'static,
    ) {
        let waiting: Waiting = Box::new(|found| answer(found.inspection));
        self.ask(manifest, position, Wanted::Inspection, waiting);
    }

    /// Ends the process if it has been idle for long.
    pub(crate) fn end_if_idle(&mut self) {
        if self.last_question.elapsed() > IDLE_LIMIT {
            self.running = None;
        }
    }

    fn ask(
        &mut self,
        manifest: String,
        position: SourcePosition,
        wanted: Wanted,
        waiting: Waiting,
    ) {
        self.last_question = Instant::now();
        if self.running.as_mut().is_some_and(Running::has_ended) {
            self.running = None;
        }
        if self.running.is_none() {
            self.running = self.start();
        }
        let Some(running) = &mut self.running else { return };
        self.number += 1;
        lock(&running.waiting).insert(self.number, waiting);
        let request = Request { number: self.number, manifest, position, wanted };
        if frame::write(&mut running.stdin, &request, &[]).is_err() {
            self.running = None;
        }
    }

    fn start(&self) -> Option<Running> {
        let is_off = std::env::var_os(VARIABLE).is_some_and(|value| value == "off");
        if is_off || machine_memory::available() < NEEDED_BYTES {
            return None;
        }
        let sources = toolchain::standard_sources()?;
        let mut command = Command::new(&self.executable);
        command.arg("analyzer").arg(&self.folder).env("RUST_SRC_PATH", sources);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        process::end_with_starter(&mut command);
        let mut process = command.spawn().ok()?;
        let (stdin, stdout) = (process.stdin.take()?, process.stdout.take()?);
        let waiting = Arc::new(Mutex::new(HashMap::new()));
        let receiving = Arc::clone(&waiting);
        std::thread::spawn(move || receive(stdout, &receiving));
        Some(Running { process, stdin, waiting })
    }
}

impl Running {
    fn has_ended(&mut self) -> bool {
        !matches!(self.process.try_wait(), Ok(None))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        lock(&self.waiting).clear();
    }
}

fn receive(stdout: ChildStdout, waiting: &Mutex<HashMap<u64, Waiting>>) {
    let mut reader = BufReader::new(stdout);
    while let Ok(Some((answer, _))) = frame::read::<Answer>(&mut reader) {
        let receiver = lock(waiting).remove(&answer.number);
        if let Some(receiver) = receiver {
            receiver(answer);
        }
    }
    lock(waiting).clear();
}
