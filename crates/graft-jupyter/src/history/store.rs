//! The tables of the history, with the layout of IPython: sessions, and their lines with output.

use std::fs::{DirBuilder, OpenOptions, Permissions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, Error, ErrorCode, Row, params};

/// How long to wait for a kernel that has locked the file.
const LOCK_TIMEOUT: Duration = Duration::from_millis(250);

/// Permissions for the owner only: cells may contain passwords and tokens.
const PRIVATE: u32 = 0o600;
const PRIVATE_FOLDER: u32 = 0o700;

const TABLES: &str = "
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = NORMAL;
    CREATE TABLE IF NOT EXISTS sessions (session INTEGER PRIMARY KEY AUTOINCREMENT, start TEXT DEFAULT CURRENT_TIMESTAMP);
    CREATE TABLE IF NOT EXISTS history (session INTEGER, line INTEGER, source TEXT, output TEXT, PRIMARY KEY (session, line));
";

/// One line of the history.
pub(super) struct Line {
    pub(super) session: i64,
    pub(super) number: i64,
    pub(super) input: String,
    pub(super) output: Option<String>,
}

/// A query for lines.
pub(super) enum Query {
    /// The last lines.
    Tail { limit: usize },
    /// The lines `start..stop` of a session; 0 is the current session, negative numbers count back
    /// from it.
    Range { session: i64, start: i64, stop: i64 },
    /// The last lines that match the glob as a whole; with `unique`, each text once, at its last
    /// position.
    Search { glob: String, limit: Option<usize>, unique: bool },
}

/// An open history, with one session.
pub(super) struct Store {
    connection: Connection,
    session: i64,
    line: i64,
}

/// Whether the error means that the file is not a database or is corrupt.
pub(super) fn is_corrupt(error: &Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt))
}

/// Creates the file with permissions for its owner only, and corrects the permissions of files from
/// earlier versions. SQLite gives its auxiliary files the mode of the database.
fn make_private(file: &Path) {
    // Errors are ignored: a file that is not writable makes opening fail, and any other belongs to
    // another user.
    let _ = OpenOptions::new().append(true).create(true).mode(PRIVATE).open(file);
    for suffix in ["", "-wal", "-shm", "-journal"] {
        let mut name = file.as_os_str().to_owned();
        name.push(suffix);
        let _ = std::fs::set_permissions(name, Permissions::from_mode(PRIVATE));
    }
}

impl Store {
    /// Opens the file and starts a session.
    pub(super) fn open(file: &Path) -> Result<Self, Error> {
        if let Some(folder) = file.parent() {
            // If this fails, opening the file fails too and reports the error.
            let _ = DirBuilder::new().recursive(true).mode(PRIVATE_FOLDER).create(folder);
        }
        make_private(file);
        Self::start_session(Connection::open(file)?)
    }

    /// A store that is lost when the kernel exits.
    pub(super) fn in_memory() -> Result<Self, Error> {
        Self::start_session(Connection::open_in_memory()?)
    }

    fn start_session(connection: Connection) -> Result<Self, Error> {
        connection.busy_timeout(LOCK_TIMEOUT)?;
        connection.execute_batch(TABLES)?;
        connection.execute("INSERT INTO sessions DEFAULT VALUES", [])?;
        let session = connection.last_insert_rowid();
        Ok(Self { connection, session, line: 0 })
    }

    /// Adds a line.
    pub(super) fn add(&mut self, line: u64, input: &str) -> Result<(), Error> {
        self.line = i64::try_from(line).unwrap_or(i64::MAX);
        self.connection.execute(
            "INSERT OR REPLACE INTO history (session, line, source) VALUES (?, ?, ?)",
            params![self.session, self.line, input],
        )?;
        Ok(())
    }

    /// Sets the output of the last line.
    pub(super) fn set_output(&mut self, text: &str) -> Result<(), Error> {
        self.connection.execute(
            "UPDATE history SET output = ? WHERE session = ? AND line = ?",
            params![text, self.session, self.line],
        )?;
        Ok(())
    }

    /// Finds lines, oldest first.
    pub(super) fn find(&self, query: &Query) -> Result<Vec<Line>, Error> {
        const LINES: &str = "SELECT session, line, source, output FROM history";
        const NEWEST: &str = "ORDER BY session DESC, line DESC LIMIT ?";
        let to_sql = |limit: usize| i64::try_from(limit).unwrap_or(i64::MAX);
        let mut found = match query {
            Query::Tail { limit } => {
                self.lines(&format!("{LINES} {NEWEST}"), params![to_sql(*limit)])
            }
            Query::Range { session, start, stop } => {
                let session = if *session <= 0 { self.session + session } else { *session };
                self.lines(
                    &format!(
                        "{LINES} WHERE session = ? AND line >= ? AND line < ? ORDER BY line DESC"
                    ),
                    params![session, start, stop],
                )
            }
            Query::Search { glob, limit, unique } => {
                // SQLite takes the other columns of a group from the row with the maximum.
                let latest = "SELECT session, line, source, output, MAX(session * 1000000 + line) FROM history";
                let (lines, group) =
                    if *unique { (latest, "GROUP BY source") } else { (LINES, "") };
                self.lines(
                    &format!("{lines} WHERE source GLOB ? {group} {NEWEST}"),
                    params![glob, to_sql(limit.unwrap_or(usize::MAX))],
                )
            }
        }?;
        found.reverse();
        Ok(found)
    }

    fn lines(&self, sql: &str, values: impl rusqlite::Params) -> Result<Vec<Line>, Error> {
        let line = |row: &Row<'_>| {
            Ok(Line {
                session: row.get(0)?,
                number: row.get(1)?,
                input: row.get(2)?,
                output: row.get(3)?,
            })
        };
        self.connection.prepare_cached(sql)?.query_map(values, line)?.collect()
    }
}
