//! The cells that ran, for the up arrow of `jupyter console` and for searching: kept in a file of the user's, over all sessions.
//!
//! Spec: <https://jupyter-client.readthedocs.io/en/stable/messaging.html#history>

mod store;

use std::path::{Path, PathBuf};

use crate::reply::HistoryEntry;
use crate::request::History as Query;
use store::{Store, Wanted};

/// Variable that names another file, or with `off` keeps the history in memory.
const VARIABLE: &str = "GRAFT_HISTORY";

/// The history as one kernel sees it. The file is opened when it is first needed.
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
    /// The history in the user's data folder, or in the file that `GRAFT_HISTORY` names; in memory if there is neither.
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

    /// Adds a cell. What cannot be written is told in the log; the cell runs all the same.
    pub(crate) fn add(&mut self, line: u64, input: &str) {
        self.with(|store| store.add(line, input));
    }

    /// Sets the result of the last cell, as text.
    pub(crate) fn set_output(&mut self, text: &str) {
        self.with(|store| store.set_output(text));
    }

    /// Answers a request.
    pub(crate) fn answer(&mut self, query: &Query) -> Vec<HistoryEntry> {
        let wanted = match query.hist_access_type.as_str() {
            "range" => Wanted::Range {
                session: query.session,
                start: query.start.unwrap_or(1),
                stop: query.stop.unwrap_or(i64::MAX),
            },
            "search" => Wanted::Search {
                glob: query.pattern.clone().unwrap_or_else(|| "*".to_owned()),
                most: query.n,
                unique: query.unique,
            },
            _ => Wanted::Tail { most: query.n.unwrap_or(10) },
        };
        let found = self.with(|store| store.find(&wanted)).unwrap_or_default();
        let entry = |line: store::Line| match query.output {
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

/// The store in that file; where it cannot be used, one that ends with the kernel. A damaged file is put aside, not overwritten.
fn open(file: Option<&Path>) -> Option<Store> {
    if let Some(file) = file {
        let opened = Store::open(file).or_else(|error| {
            if !store::is_damage(&error) {
                return Err(error);
            }
            let aside = file.with_extension("sqlite.damaged");
            crate::log::line(&format!(
                "history: {} is damaged and now lies in {}: {error}",
                file.display(),
                aside.display()
            ));
            // One that cannot be moved cannot be opened anew either, which the next line finds.
            let _ = std::fs::rename(file, aside);
            Store::open(file)
        });
        match opened {
            Ok(store) => return Some(store),
            Err(error) => crate::log::line(&format!(
                "history: {} cannot be used; it is kept in memory: {error}",
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

    fn texts(history: &mut History, query: Query) -> Vec<String> {
        let text = |entry| match entry {
            HistoryEntry::Input(session, line, text) => format!("{session}/{line} {text}"),
            HistoryEntry::InputOutput(session, line, (text, output)) => {
                format!("{session}/{line} {text} -> {output:?}")
            }
        };
        history.answer(&query).into_iter().map(text).collect()
    }

    fn query(kind: &str) -> Query {
        Query { hist_access_type: kind.to_owned(), ..Query::default() }
    }

    #[test]
    fn a_tail_gives_the_last_cells_oldest_first() {
        let mut history = filled(History::in_memory());
        assert_eq!(
            texts(&mut history, Query { n: Some(2), ..query("tail") }),
            ["1/3 1+1", "1/4 let x = 1;"]
        );
        assert_eq!(
            texts(&mut history, Query { n: Some(1), output: true, ..query("tail") }),
            ["1/4 let x = 1; -> Some(\"1\")"]
        );
    }

    #[test]
    fn a_range_excludes_its_stop_and_other_sessions() {
        let mut history = filled(History::in_memory());
        assert_eq!(
            texts(&mut history, Query { start: Some(2), stop: Some(4), ..query("range") }),
            ["1/2 2+2", "1/3 1+1"]
        );
        assert_eq!(
            texts(&mut history, Query { session: 7, ..query("range") }),
            Vec::<String>::new()
        );
    }

    #[test]
    fn a_search_is_a_glob_with_unique_and_n() {
        let mut history = filled(History::in_memory());
        assert_eq!(
            texts(&mut history, Query { pattern: Some("?+?".into()), ..query("search") }),
            ["1/1 1+1", "1/2 2+2", "1/3 1+1"]
        );
        assert_eq!(
            texts(
                &mut history,
                Query { pattern: Some("1*1".into()), unique: true, ..query("search") }
            ),
            ["1/3 1+1"]
        );
        assert_eq!(
            texts(
                &mut history,
                Query { pattern: Some("*+*".into()), n: Some(2), ..query("search") }
            ),
            ["1/2 2+2", "1/3 1+1"]
        );
        assert_eq!(
            texts(&mut history, Query { pattern: Some("let".into()), ..query("search") }),
            Vec::<String>::new()
        );
    }

    #[test]
    fn the_next_kernel_finds_the_cells_of_the_one_before() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("graft/history.sqlite");
        let of_file = || History { file: Some(file.clone()), store: None };
        drop(filled(of_file()));
        let mut next = of_file();
        next.add(1, "new");
        assert_eq!(
            texts(&mut next, Query { n: Some(2), ..query("tail") }),
            ["1/4 let x = 1;", "2/1 new"]
        );
        assert_eq!(
            texts(&mut next, Query { session: -1, stop: Some(2), ..query("range") }),
            ["1/1 1+1"]
        );
        assert_eq!(texts(&mut next, Query { session: 0, ..query("range") }), ["2/1 new"]);
        // Two kernels at once have a session each.
        let mut other = of_file();
        other.add(1, "beside");
        assert_eq!(texts(&mut next, Query { n: Some(1), ..query("tail") }), ["3/1 beside"]);
    }

    #[test]
    fn nobody_but_the_owner_reads_the_history() {
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
        // As an earlier version left them.
        for entry in std::fs::read_dir(file.parent().unwrap()).unwrap() {
            std::fs::set_permissions(entry.unwrap().path(), std::fs::Permissions::from_mode(0o644))
                .unwrap();
        }
        private(&filled(open()));
    }

    #[test]
    fn a_damaged_file_is_put_aside_and_a_folder_that_cannot_be_written_is_no_error() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("history.sqlite");
        std::fs::write(&file, "this is no database, however long it is read for").unwrap();
        let mut history = filled(History { file: Some(file.clone()), store: None });
        assert_eq!(texts(&mut history, Query { n: Some(1), ..query("tail") }), ["1/4 let x = 1;"]);
        assert!(
            std::fs::read_to_string(home.path().join("history.sqlite.damaged"))
                .unwrap()
                .starts_with("this is no")
        );
        let mut nowhere =
            filled(History { file: Some("/proc/none/history.sqlite".into()), store: None });
        assert_eq!(texts(&mut nowhere, Query { n: Some(1), ..query("tail") }), ["1/4 let x = 1;"]);
    }
}
