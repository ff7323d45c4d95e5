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
mod tests {
    use super::*;

    fn filled(mut history: History) -> History {
        for (line, text) in [(1, "1+1"), (2, "2+2"), (3, "1+1"), (4, "let x = 1;")] {
            history.add(line, text);
        }
        history.set_output("1");
        history
    }

    fn texts(history: &mut History, request: HistoryRequest) -> Vec<String> {
        let text = |entry| match entry {
            HistoryEntry::Input(session, line, text) => format!("{session}/{line} {text}"),
            HistoryEntry::InputOutput(session, line, (text, output)) => {
                format!("{session}/{line} {text} -> {output:?}")
            }
        };
        history.answer(&request).into_iter().map(text).collect()
    }

    fn request(kind: &str) -> HistoryRequest {
        HistoryRequest { hist_access_type: kind.to_owned(), ..HistoryRequest::default() }
    }

    #[test]
    fn a_tail_lists_the_last_cells_oldest_first() {
        let mut history = filled(History::in_memory());
        assert_eq!(
            texts(&mut history, HistoryRequest { n: Some(2), ..request("tail") }),
            ["1/3 1+1", "1/4 let x = 1;"]
        );
        assert_eq!(
            texts(&mut history, HistoryRequest { n: Some(1), output: true, ..request("tail") }),
            ["1/4 let x = 1; -> Some(\"1\")"]
        );
    }

    #[test]
    fn a_range_excludes_its_stop_and_other_sessions() {
        let mut history = filled(History::in_memory());
        assert_eq!(
            texts(
                &mut history,
                HistoryRequest { start: Some(2), stop: Some(4), ..request("range") }
            ),
            ["1/2 2+2", "1/3 1+1"]
        );
        assert_eq!(
            texts(&mut history, HistoryRequest { session: 7, ..request("range") }),
            Vec::<String>::new()
        );
    }

    #[test]
    fn a_search_is_a_glob_with_unique_and_n() {
        let mut history = filled(History::in_memory());
        assert_eq!(
            texts(
                &mut history,
                HistoryRequest { pattern: Some("?+?".into()), ..request("search") }
            ),
            ["1/1 1+1", "1/2 2+2", "1/3 1+1"]
        );
        assert_eq!(
            texts(
                &mut history,
                HistoryRequest { pattern: Some("1*1".into()), unique: true, ..request("search") }
            ),
            ["1/3 1+1"]
        );
        assert_eq!(
            texts(
                &mut history,
                HistoryRequest { pattern: Some("*+*".into()), n: Some(2), ..request("search") }
            ),
            ["1/2 2+2", "1/3 1+1"]
        );
        assert_eq!(
            texts(
                &mut history,
                HistoryRequest { pattern: Some("let".into()), ..request("search") }
            ),
            Vec::<String>::new()
        );
    }

    #[test]
    fn the_next_kernel_finds_the_cells_of_the_previous_one() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("graft/history.sqlite");
        let of_file = || History { file: Some(file.clone()), store: None };
        drop(filled(of_file()));
        let mut next = of_file();
        next.add(1, "new");
        assert_eq!(
            texts(&mut next, HistoryRequest { n: Some(2), ..request("tail") }),
            ["1/4 let x = 1;", "2/1 new"]
        );
        assert_eq!(
            texts(&mut next, HistoryRequest { session: -1, stop: Some(2), ..request("range") }),
            ["1/1 1+1"]
        );
        assert_eq!(
            texts(&mut next, HistoryRequest { session: 0, ..request("range") }),
            ["2/1 new"]
        );
        // Two concurrent kernels have separate sessions.
        let mut other = of_file();
        other.add(1, "concurrent");
        assert_eq!(
            texts(&mut next, HistoryRequest { n: Some(1), ..request("tail") }),
            ["3/1 concurrent"]
        );
    }

    #[test]
    fn only_the_owner_can_read_the_history() {
        use std::os::unix::fs::PermissionsExt;
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("graft/history.sqlite");
        let open = || History { file: Some(file.clone()), store: None };
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let private = |history: &History| {
            for entry in std::fs::read_dir(file.parent().unwrap()).unwrap() {
                let path = entry.unwrap().path();
                assert_eq!(mode(&path), 0o600, "{}", path.display());
            }
            assert!(history.store.is_some());
        };
        let history = filled(open());
        assert_eq!(mode(file.parent().unwrap()), 0o700);
        private(&history);
        // Permissions from an earlier version.
        for entry in std::fs::read_dir(file.parent().unwrap()).unwrap() {
            std::fs::set_permissions(entry.unwrap().path(), std::fs::Permissions::from_mode(0o644))
                .unwrap();
        }
        private(&filled(open()));
    }

    #[test]
    fn a_corrupt_file_is_renamed_and_an_unwritable_folder_is_not_an_error() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("history.sqlite");
        std::fs::write(&file, "this is not a database, however long the file may be").unwrap();
        let mut history = filled(History { file: Some(file.clone()), store: None });
        assert_eq!(
            texts(&mut history, HistoryRequest { n: Some(1), ..request("tail") }),
            ["1/4 let x = 1;"]
        );
        assert!(
            std::fs::read_to_string(home.path().join("history.sqlite.damaged"))
                .unwrap()
                .starts_with("this is not")
        );
        let mut nowhere =
            filled(History { file: Some("/proc/none/history.sqlite".into()), store: None });
        assert_eq!(
            texts(&mut nowhere, HistoryRequest { n: Some(1), ..request("tail") }),
            ["1/4 let x = 1;"]
        );
    }
}
