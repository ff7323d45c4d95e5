//! Writes results to the shared folder on a thread of its own, so that a share that does not answer
//! never delays training. Results that cannot be written are kept in a file next to the runs.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    time::Duration,
};

use graft_nn::atomic_file;

use super::{
    record::{MAX_LINE, Record},
    shared_file,
};

/// How long a cell waits for the outcome of a write.
const PATIENCE: Duration = Duration::from_secs(2);
/// Time between two attempts to write kept results.
const RETRY_INTERVAL: Duration = Duration::from_secs(3);
/// Most lines that are kept; older ones are dropped.
const MAX_KEPT: usize = 500;

/// The outcome of a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// The record is in the folder, and so are `late` records that were kept before.
    Written {
        /// Number of records that were kept since the user was told.
        late: usize,
    },
    /// The folder cannot be reached; the record is kept.
    Kept {
        /// Why, the first time.
        problem: Option<String>,
    },
}

/// Writes the results of one student. The thread ends with the writer.
pub(crate) struct Writer {
    queue: Mutex<Sender<Request>>,
    /// Whether the user has been told that the folder cannot be reached.
    has_warned: AtomicBool,
}

struct Request {
    line: String,
    /// Receives the number of lines written since the last answer, or the problem.
    done: Sender<Result<usize, String>>,
}

/// The state of the thread.
struct Worker {
    folder: PathBuf,
    name: String,
    kept_file: PathBuf,
    /// Lines that are not in the folder.
    waiting: Vec<String>,
    /// Lines written since the last answer.
    written: usize,
}

impl Writer {
    /// Starts the thread. Results of an earlier session in the file next to the runs are written
    /// too.
    pub(crate) fn new(folder: &Path, name: &str, runs: &Path) -> Self {
        let (sender, queue) = mpsc::channel();
        let mut worker = Worker {
            folder: folder.to_owned(),
            name: name.to_owned(),
            kept_file: shared_file::kept_file(runs, name),
            waiting: Vec::new(),
            written: 0,
        };
        worker.restore();
        // Without a thread the queue is closed, and every delivery is kept.
        let _ = std::thread::Builder::new()
            .name("graft-class".to_owned())
            .spawn(move || worker.serve(&queue));
        Self { queue: Mutex::new(sender), has_warned: AtomicBool::new(false) }
    }

    /// Writes a record, or keeps it if that fails or takes too long.
    pub(crate) fn deliver(&self, record: &Record) -> Delivery {
        match self.outcome(record) {
            Ok(written) if self.has_warned.swap(false, Ordering::SeqCst) => {
                Delivery::Written { late: written.saturating_sub(1) }
            }
            Ok(_) => Delivery::Written { late: 0 },
            Err(problem) => {
                let is_first = !self.has_warned.swap(true, Ordering::SeqCst);
                Delivery::Kept { problem: is_first.then_some(problem) }
            }
        }
    }

    fn outcome(&self, record: &Record) -> Result<usize, String> {
        let (done, outcome) = mpsc::channel();
        let request = Request { line: record.line(), done };
        let queue = self.queue.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
        queue.send(request).map_err(|_| "the system refused to start a thread".to_owned())?;
        outcome.recv_timeout(PATIENCE).unwrap_or_else(|_| Err("it does not answer".to_owned()))
    }
}

impl Worker {
    fn serve(&mut self, queue: &Receiver<Request>) {
        loop {
            match queue.recv_timeout(RETRY_INTERVAL) {
                Ok(request) => {
                    self.waiting.push(request.line);
                    let answer = self.flush().map(|()| self.written);
                    let is_written = answer.is_ok();
                    // The cell may have stopped waiting.
                    if request.done.send(answer).is_ok() && is_written {
                        self.written = 0;
                    }
                }
                Err(RecvTimeoutError::Timeout) if self.waiting.is_empty() => {}
                Err(RecvTimeoutError::Timeout) => drop(self.flush()),
                Err(RecvTimeoutError::Disconnected) => return drop(self.flush()),
            }
        }
    }

    /// Writes all waiting lines. Until they are in the folder they are kept on disk, in case this
    /// process ends while the folder does not answer.
    fn flush(&mut self) -> Result<(), String> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let excess = self.waiting.len().saturating_sub(MAX_KEPT);
        self.waiting.drain(..excess);
        self.keep();
        let result = shared_file::append(&self.folder, &self.name, &self.waiting.concat());
        match result {
            Ok(()) => {
                self.written += self.waiting.len();
                self.waiting.clear();
                // There may be no such file.
                let _ = fs::remove_file(&self.kept_file);
                Ok(())
            }
            Err(error) => Err(error.to_string()),
        }
    }

    /// Writes the waiting lines to the file next to the runs, after a line with the folder.
    fn keep(&self) {
        let folder = serde_json::to_string(&self.folder).unwrap_or_default();
        let text = format!("{folder}\n{}", self.waiting.concat());
        if let Some(parent) = self.kept_file.parent() {
            // Where it fails, the lines remain in memory.
            let _ = fs::create_dir_all(parent);
        }
        let _ = atomic_file::write(&self.kept_file, text.as_bytes());
    }

    /// Reads the lines that an earlier session has kept for the same folder.
    fn restore(&mut self) {
        let Ok(bytes) = shared_file::read(&self.kept_file) else { return };
        let text = String::from_utf8_lossy(&bytes);
        let mut lines = text.lines();
        let folder: Option<PathBuf> = lines.next().and_then(|line| serde_json::from_str(line).ok());
        if folder.as_deref() == Some(&self.folder) {
            let is_whole =
                |line: &&str| line.len() <= MAX_LINE && Record::parse(line.as_bytes()).is_ok();
            let whole = lines.filter(is_whole).take(MAX_KEPT);
            self.waiting = whole.map(|line| format!("{line}\n")).collect();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_kept_while_the_folder_is_away_and_the_user_is_told_once() {
        let place = tempfile::tempdir().unwrap();
        let (folder, away, runs) =
            (place.path().join("class"), place.path().join("away"), place.path().join("runs"));
        fs::create_dir(&folder).unwrap();
        let writer = Writer::new(&folder, "ada", &runs);
        let deliver =
            |run: &str| writer.deliver(&Record { run: run.to_owned(), ..Record::now("1") });
        assert_eq!(deliver("a"), Delivery::Written { late: 0 });
        fs::rename(&folder, &away).unwrap();
        assert!(matches!(deliver("b"), Delivery::Kept { problem: Some(_) }));
        assert_eq!(deliver("c"), Delivery::Kept { problem: None });
        assert!(!folder.exists());
        fs::rename(&away, &folder).unwrap();
        let written = deliver("d");
        assert!(matches!(written, Delivery::Written { .. }), "{written:?}");
        let text = fs::read_to_string(folder.join("ada.jsonl")).unwrap();
        let runs_written: Vec<String> =
            text.lines().map(|line| Record::parse(line.as_bytes()).unwrap().run).collect();
        assert_eq!(runs_written, ["a", "b", "c", "d"]);
        assert!(!shared_file::kept_file(&runs, "ada").exists());
    }

    #[test]
    fn a_later_session_writes_what_an_earlier_one_has_kept() {
        let place = tempfile::tempdir().unwrap();
        let (folder, runs) = (place.path().join("class"), place.path().join("runs"));
        let early = Writer::new(&folder, "ada", &runs);
        assert!(matches!(early.deliver(&Record::now("1")), Delivery::Kept { .. }));
        drop(early);
        fs::create_dir(&folder).unwrap();
        let late = Writer::new(&folder, "ada", &runs);
        assert!(matches!(late.deliver(&Record::now("2")), Delivery::Written { .. }));
        let text = fs::read_to_string(folder.join("ada.jsonl")).unwrap();
        assert!(text.lines().count() >= 2, "{text}");
    }
}
