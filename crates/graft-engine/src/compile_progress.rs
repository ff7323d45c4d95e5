//! Shows which crate is being compiled while a cell waits for cargo.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;

use super::EngineEvent;
use super::shared_state::SharedState;

/// How often the file is read.
const INTERVAL: Duration = Duration::from_millis(150);

/// Tells while it lives; its end ends the status.
pub(crate) struct Progress {
    _stop: Sender<()>,
}

impl Progress {
    /// Watches the file into which the compiler's wrapper writes names of crates.
    pub(crate) fn start(shared: &Arc<SharedState>, file: &Path) -> Self {
        let (stop, stopped) = channel();
        let (shared, file) = (Arc::clone(shared), PathBuf::from(file));
        let mut seen = lines(&file);
        std::thread::spawn(move || {
            let first = seen;
            while stopped.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Timeout) {
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
