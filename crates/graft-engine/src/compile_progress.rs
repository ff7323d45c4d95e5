//! Shows the crate that is being compiled while cargo builds a cell.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;

use crate::event::EngineEvent;
use crate::shared_state::SharedState;

/// Time between two reads of the file.
const POLL_INTERVAL: Duration = Duration::from_millis(150);

/// Sends status events until it is dropped, which clears the status.
pub(crate) struct CompileProgress {
    _stop: Sender<()>,
}

impl CompileProgress {
    /// Watches `file`, to which the rustc wrapper appends the names of crates.
    pub(crate) fn start(shared: &Arc<SharedState>, file: &Path) -> Self {
        let (stop, stopped) = channel();
        let shared = Arc::clone(shared);
        let file = PathBuf::from(file);
        let first = lines(&file);
        std::thread::spawn(move || {
            let mut seen = first;
            while stopped.recv_timeout(POLL_INTERVAL) == Err(RecvTimeoutError::Timeout) {
                let Some(text) =
                    std::fs::read_to_string(&file).ok().filter(|text| text.lines().count() > seen)
                else {
                    continue;
                };
                seen = text.lines().count();
                let name = text.lines().last().unwrap_or_default();
                shared.send(EngineEvent::Status(format!("compiling {name} ({})…", seen - first)));
            }
            if seen > first {
                shared.send(EngineEvent::Status(String::new()));
            }
        });
        Self { _stop: stop }
    }
}

fn lines(file: &Path) -> usize {
    std::fs::read_to_string(file).map_or(0, |text| text.lines().count())
}
