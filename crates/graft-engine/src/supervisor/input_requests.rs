//! Questions of a cell that reads standard input: asked of the user, and the answer given to the child.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use super::super::EngineEvent;
use super::Supervisor;
use crate::control::ToChild;

/// Longest wait for what the cell has printed before its question; it may hold the lock of what it prints to.
const DRAIN: Duration = Duration::from_millis(500);

/// A prompt that nobody can answer: name and text of the error.
const IMPOSSIBLE: (&str, &str) =
    ("StdinNotAvailable", "the cell asks for a line, but nobody can answer here");
/// A question that was open when stop was pressed.
const INTERRUPTED: (&str, &str) = (
    "Interrupted",
    "stopped by you while the cell waited for a line; variables and session are kept",
);

impl Supervisor {
    /// The running cell waits for a line: asks the user, on a thread of its own, since the answer may take long.
    pub(super) fn ask_for_input(self: &Arc<Self>) {
        let supervisor = Arc::clone(self);
        let generation = self.generation();
        std::thread::spawn(move || {
            let line = supervisor.ask();
            // A child that has been replaced meanwhile asked for nothing.
            if supervisor.generation() == generation {
                supervisor.control(&ToChild::Input { line });
            }
        });
    }

    /// The line that the user types; none is the end of input.
    fn ask(&self) -> Option<String> {
        // The prompt is shown after everything that was printed before it.
        if let Some(done) = self.drain() {
            let (sender, receiver) = std::sync::mpsc::channel();
            std::thread::spawn(move || drop(sender.send(done.blocking_recv())));
            let _ = receiver.recv_timeout(DRAIN);
        }
        let (prompt, was_interrupted) = {
            let mut cell = self.cell();
            (cell.prompt.take(), cell.unanswered.is_some())
        };
        if was_interrupted {
            return None;
        }
        let is_announced = prompt.is_some();
        let (text, password) =
            prompt.map(|prompt| (prompt.text, prompt.password)).unwrap_or_default();
        let (answer, receiver) = oneshot::channel();
        self.shared.send(EngineEvent::Input { prompt: text, password, answer });
        match receiver.blocking_recv() {
            // As in ipykernel, the character of Ctrl-D is the end of input.
            Ok(Some(line)) if line == "\u{4}" => None,
            Ok(Some(line)) => Some(line + "\n"),
            // A program that reads what there is goes on; one that has asked a question would take silence for an answer.
            Ok(None) => {
                self.cell().unanswered = is_announced.then_some(IMPOSSIBLE);
                None
            }
            Err(_) => {
                self.cell().unanswered = Some(INTERRUPTED);
                None
            }
        }
    }
}
