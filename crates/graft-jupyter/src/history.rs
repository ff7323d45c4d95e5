//! The history of executed cells, for the up arrow of `jupyter console` and for searches. It is
//! stored in one file per user, across sessions.
//!
//! Spec: <https://jupyter-client.readthedocs.io/en/stable/messaging.html#history>

mod store;

use std::path::{Path, PathBuf};

use crate::reply::HistoryEntry;
use crate::request::History as HistoryRequest;
use store::{Query, Store};

/// Environment variable with the path of another file, or `off` for a history in memory.
const VARIABLE: &str = "GRAFT_HISTORY";

/// The history of one kernel. The file is opened on first use.
pub struct History {
    file: Option<PathBuf>,
    store: Option<Store>,
}

/// The history file of the user whose data folder (`$XDG_DATA_HOME`) is `data_home`.
#[must_use]
pub fn history_file(data_home: &Path) -> PathBuf {
    data_home.join("graft/history.sqlite")
}

impl History {
    /// The history in the user's data folder, or in the file that `GRAFT_HISTORY` names; in memory
    /// if there is neither.
    #[must_use]
    pub fn for_user(data_home: Option<&Path>) -> Self {
        let file = match std::env::var_os(VARIABLE) {
            Some(value) if value == "off" => None,
            Some(value) if !value.is_empty() => Some(PathBuf::from(value)),
            _ => data_home.map(history_file),
        };
        Self { file, store: None }
    }

    /// A history that is lost when the kernel exits.
    #[must_use]
    pub fn in_memory() -> Self {
        Self { file: None, store: None }
    }

    /// Adds a cell. An error is logged and does not prevent the cell from running.
    pub(crate) fn add(&mut self, line: u64, input: &str) {
        self.with(|store| store.add(line, input));
    }

    /// Sets the result of the last cell.
    pub(crate) fn set_output(&mut self, text: &str) {
        self.with(|store| store.set_output(text));
    }

    /// Answers a `history_request`.
    pub(crate) fn answer(&mut self, request: &HistoryRequest) -> Vec<HistoryEntry> {
        let query = match request.hist_access_type.as_str() {
            "range" => Query::Range {
                session: request.session,
                start: request.start.unwrap_or(1),
                stop: request.stop.unwrap_or(i64::MAX),
            },
            "search" => Query::Search {
                glob: request.pattern.clone().unwrap_or_else(|| "*".to_owned()),
                limit: request.n,
                unique: request.unique,
            },
            _ => Query::Tail { limit: request.n.unwrap_or(10) },
        };
        let found = self.with(|store| store.find(&query)).unwrap_or_default();
        let entry = |line: store::Line| match request.output {
            true => HistoryEntry::InputOutput(line.session, line.number, (line.input, line.output)),
            false => HistoryEntry::Input(line.session, line.number, line.input),
        };
        found.into_iter().map(entry).collect()
    }

    fn with<T>(
        &mut self,
        work: impl FnOnce(&mut Store) -> Result<T, rusqlite::Error>,
    ) -> Option<T> {
        let file = self.file.as_deref();
        let store = match &mut self.store {
            Some(store) => store,
            none => none.insert(open(file)?),
        };
        work(store).inspect_err(|error| crate::log::line(&format!("history: {error}"))).ok()
    }
}

/// Opens the store in a file, or one in memory if the file cannot be used. A corrupt file is
/// renamed, not overwritten.
fn open(file: Option<&Path>) -> Option<Store> {
    if let Some(file) = file {
        let opened = Store::open(file).or_else(|error| {
            if !store::is_corrupt(&error) {
                return Err(error);
            }
            let backup = file.with_extension("sqlite.damaged");
            crate::log::line(&format!(
                "history: {} is corrupt; moved it to {}: {error}",
                file.display(),
                backup.display()
            ));
            // If the file cannot be moved, the next line fails too and its error is logged.
            let _ = std::fs::rename(file, backup);
            Store::open(file)
        });
        match opened {
            Ok(store) => return Some(store),
            Err(error) => crate::log::line(&format!(
                "history: cannot open {}; the history of this session is not saved: {error}",
                file.display()
            )),
        }
    }
    Store::in_memory().inspect_err(|error| crate::log::line(&format!("history: {error}"))).ok()
}

#[cfg(test)]
mod tests;
