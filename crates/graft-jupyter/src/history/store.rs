//! The history's tables, laid out as IPython's are: sessions, their lines, and what a line gave.

use std::fs::{DirBuilder, OpenOptions, Permissions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, Error, ErrorCode, Row, params};

/// How long another kernel may hold the file.
const PATIENCE: Duration = Duration::from_millis(250);

/// Read and written by the owner alone: cells may contain passwords and tokens.
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

/// Which lines are wanted.
pub(super) enum Wanted {
    /// The last ones.
    Tail { most: usize },
    /// Lines `start..stop` of a session; 0 is this one, negative counts back.
    Range { session: i64, start: i64, stop: i64 },
    /// Those that the glob fits as a whole, the last ones; with `unique` each text once, where it was last.
    Search { glob: String, most: Option<usize>, unique: bool },
}

/// An open history with a session of its own.
pub(super) struct Store {
    connection: Connection,
    session: i64,
    line: i64,
}

/// Whether the file is no database, or a broken one.
pub(super) fn is_damage(error: &Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt))
}

/// Creates the file for its owner alone, and takes it from others where an earlier version left it readable. SQLite gives the files
/// that it puts beside a database the mode of the database.
fn make_private(file: &Path) {
    // A file that cannot be created or changed is either not writable, which opening it reports, or somebody else's.
    let _ = OpenOptions::new().append(true).create(true).mode(PRIVATE).open(file);
    for suffix in ["", "-wal", "-shm", "-journal"] {
        let mut name = file.as_os_str().to_owned();
        name.push(suffix);
        let _ = std::fs::set_permissions(name, Permissions::from_mode(PRIVATE));
    }
}

impl Store {
    /// Opens the file and begins a session.
    pub(super) fn open(file: &Path) -> Result<Self, Error> {
        if let Some(folder) = file.parent() {
            // What cannot be made cannot be opened, which the last line of this function reports.
            let _ = DirBuilder::new().recursive(true).mode(PRIVATE_FOLDER).create(folder);
        }
        make_private(file);
        Self::begin(Connection::open(file)?)
    }

    /// One that nobody else sees.
    pub(super) fn in_memory() -> Result<Self, Error> {
        Self::begin(Connection::open_in_memory()?)
    }

    fn begin(connection: Connection) -> Result<Self, Error> {
        connection.busy_timeout(PATIENCE)?;
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

    /// Sets what the last line gave.
    pub(super) fn set_output(&mut self, text: &str) -> Result<(), Error> {
        self.connection.execute(
            "UPDATE history SET output = ? WHERE session = ? AND line = ?",
            params![text, self.session, self.line],
        )?;
        Ok(())
    }

    /// Lines, oldest first.
    pub(super) fn find(&self, wanted: &Wanted) -> Result<Vec<Line>, Error> {
        const LINES: &str = "SELECT session, line, source, output FROM history";
        const NEWEST: &str = "ORDER BY session DESC, line DESC LIMIT ?";
        let limit = |most: usize| i64::try_from(most).unwrap_or(i64::MAX);
        let mut found = match wanted {
            Wanted::Tail { most } => {
                self.lines(&format!("{LINES} {NEWEST}"), params![limit(*most)])
            }
            Wanted::Range { session, start, stop } => {
                let session = if *session <= 0 { self.session + session } else { *session };
                self.lines(
                    &format!(
                        "{LINES} WHERE session = ? AND line >= ? AND line < ? ORDER BY line DESC"
                    ),
                    params![session, start, stop],
                )
            }
            Wanted::Search { glob, most, unique } => {
                // SQLite takes the other columns of a group from the row with the maximum.
                let last = "SELECT session, line, source, output, MAX(session * 1000000 + line) FROM history";
                let (lines, group) = if *unique { (last, "GROUP BY source") } else { (LINES, "") };
                self.lines(
                    &format!("{lines} WHERE source GLOB ? {group} {NEWEST}"),
                    params![glob, limit(most.unwrap_or(usize::MAX))],
                )
            }
        }?;
        found.reverse();
        Ok(found)
    }

    fn lines(&self, query: &str, values: impl rusqlite::Params) -> Result<Vec<Line>, Error> {
        let line = |row: &Row<'_>| {
            Ok(Line {
                session: row.get(0)?,
                number: row.get(1)?,
                input: row.get(2)?,
                output: row.get(3)?,
            })
        };
        self.connection.prepare_cached(query)?.query_map(values, line)?.collect()
    }
}
