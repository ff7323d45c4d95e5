//! Input requests: a cell reads standard input, the user is asked, and the answer goes to the
//! child.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use super::Supervisor;
use crate::control::ToChild;
use crate::event::EngineEvent;

/// Longest wait for the text that the cell printed before its question; the cell may hold the lock
/// of the stream.
const DRAIN_TIMEOUT: Duration = Duration::from_millis(500);

/// The error when no user can answer a prompt: name and text.
const NOT_AVAILABLE: (&str, &str) =
    ("StdinNotAvailable", "the cell reads standard input, which is not available here");
/// The error when the user interrupts a cell that reads standard input: name and text.
const INTERRUPTED: (&str, &str) =
    ("Interrupted", "interrupted while the cell waited for input; variables and session are kept");

impl Supervisor {
    /// Asks the user for a line, on a thread of its own because the answer may take long.
    pub(super) fn ask_for_input(self: &Arc<Self>) {
        let supervisor = Arc::clone(self);
        let generation = self.generation();
        std::thread::spawn(move || {
            let line = supervisor.ask();
            // A child that has been started meanwhile has asked for nothing.
            if supervisor.generation() == generation {
                supervisor.control(&ToChild::Input { line });
            }
        });
    }

    /// The line that the user types; `None` is the end of input.
    fn ask(&self) -> Option<String> {
        // The prompt appears after all text that was printed before it.
        if let Some(done) = self.drain() {
            let (sender, receiver) = std::sync::mpsc::channel();
            std::thread::spawn(move || drop(sender.send(done.blocking_recv())));
            let _ = receiver.recv_timeout(DRAIN_TIMEOUT);
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
            // A program that only reads what is there continues at the end of input; one that has
            // asked a question would take it for an answer, so the cell fails.
            Ok(None) => {
                self.cell().unanswered = is_announced.then_some(NOT_AVAILABLE);
                None
            }
            Err(_) => {
                self.cell().unanswered = Some(INTERRUPTED);
                None
            }
        }
    }
}
