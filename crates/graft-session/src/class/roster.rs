//! The files of all students, read without trusting them.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, RecvTimeoutError},
    },
    time::{Duration, Instant},
};

use super::{
    check_name,
    record::Record,
    shared_file::{self, EXTENSION},
};

/// Most files that are read.
const MAX_FILES: usize = 500;
/// How long a folder may take to answer.
const PATIENCE: Duration = Duration::from_secs(15);
/// Time between two looks at the stop button.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// The records of a class.
#[derive(Debug, Default)]
pub(crate) struct Roster {
    /// The records of each student, in the order of their file.
    pub(crate) students: BTreeMap<String, Vec<Record>>,
    /// File names with what is wrong with them.
    pub(crate) problems: BTreeMap<String, String>,
}

/// Reads the folder on another thread. A share that does not answer ends with an error.
///
/// # Errors
/// Those of the file system for the folder itself; [`io::ErrorKind::TimedOut`] if it does not
/// answer; [`io::ErrorKind::Interrupted`] once `stop` is set.
pub(crate) fn read(folder: &Path, stop: &Arc<AtomicBool>) -> io::Result<Roster> {
    let (sender, receiver) = mpsc::channel();
    let place: PathBuf = folder.to_owned();
    std::thread::Builder::new()
        .name("graft-roster".to_owned())
        .spawn(move || drop(sender.send(read_now(&place))))?;
    let began = Instant::now();
    loop {
        match receiver.recv_timeout(POLL_INTERVAL) {
            Ok(roster) => return roster,
            Err(RecvTimeoutError::Disconnected) => {
                return Err(io::Error::other("reading the folder failed"));
            }
            Err(RecvTimeoutError::Timeout) if stop.load(Ordering::SeqCst) => {
                return Err(io::ErrorKind::Interrupted.into());
            }
            Err(RecvTimeoutError::Timeout) if began.elapsed() > PATIENCE => {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "it does not answer"));
            }
            Err(RecvTimeoutError::Timeout) => {}
        }
    }
}

fn read_now(folder: &Path) -> io::Result<Roster> {
    let mut roster = Roster::default();
    let mut names: Vec<String> = Vec::new();
    for entry in fs::read_dir(folder)?.take(10 * MAX_FILES) {
        // A name that is not UTF-8 cannot be the name of a student.
        if let Some(name) =
            entry?.file_name().to_str().and_then(|name| name.strip_suffix(EXTENSION))
        {
            names.push(name.to_owned());
        }
    }
    names.sort_unstable();
    for name in names.split_off(names.len().min(MAX_FILES)) {
        roster.problem(&name, format!("only {MAX_FILES} files are read"));
    }
    for name in names {
        match check_name(&name) {
            Ok(()) => roster.add(folder, name),
            Err(_) => roster.problem(&name, "its name is not a valid name of a student".to_owned()),
        }
    }
    Ok(roster)
}

impl Roster {
    /// Reads the file of a student. Lines that are not records are skipped; the first one is named.
    fn add(&mut self, folder: &Path, name: String) {
        let bytes = match shared_file::read(&folder.join(shared_file::file_name(&name))) {
            Ok(bytes) => bytes,
            Err(error) => return self.problem(&name, error.to_string()),
        };
        let mut records = Vec::new();
        // A line without its end is being written.
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let lines = bytes.get(..whole).unwrap_or_default().split(|byte| *byte == b'\n');
        for (index, line) in lines.enumerate().filter(|(_, line)| !line.is_empty()) {
            match Record::parse(line) {
                Ok(record) => records.push(record),
                Err(problem) => self.problem(&name, format!("line {}: {problem}", index + 1)),
            }
        }
        if whole == 0 && !bytes.is_empty() {
            self.problem(&name, "it contains no whole line".to_owned());
        }
        self.students.insert(name, records);
    }

    /// Stores the first problem of a file.
    fn problem(&mut self, name: &str, problem: String) {
        self.problems.entry(shared_file::file_name(name)).or_insert(problem);
    }

    /// The exercises with the time of their newest record, newest first.
    pub(crate) fn exercises(&self) -> Vec<String> {
        let mut newest: BTreeMap<&str, u64> = BTreeMap::new();
        for record in self.students.values().flatten() {
            let time = newest.entry(&record.exercise).or_default();
            *time = record.time.max(*time);
        }
        let mut exercises: Vec<_> = newest.into_iter().collect();
        exercises.sort_by(|one, other| other.1.cmp(&one.1).then(one.0.cmp(other.0)));
        exercises.into_iter().map(|(exercise, _)| exercise.to_owned()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(folder: &Path, name: &str, text: impl AsRef<[u8]>) {
        fs::write(folder.join(name), text).unwrap();
    }

    #[test]
    fn a_bad_file_costs_only_its_own_row_and_is_named_with_its_reason() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path();
        write(folder, "ada.jsonl", Record::now("1").line());
        write(folder, "half.jsonl", format!("{}{{\"kind\":\"run", Record::now("1").line()));
        write(folder, "mixed.jsonl", format!("not json\n{}", Record::now("1").line()));
        write(folder, "binary.jsonl", [0xff, 0xfe, 0x00, b'\n']);
        write(folder, "deep.jsonl", format!("{}\n", "[".repeat(3000)));
        write(folder, "empty.jsonl", "");
        write(folder, "large.jsonl", vec![b'\n'; 2 << 20]);
        write(folder, "<script>.jsonl", Record::now("1").line());
        write(folder, "notes.txt", "not a result");
        std::os::unix::fs::symlink("/etc/passwd", folder.join("link.jsonl")).unwrap();
        fs::create_dir(folder.join("folder.jsonl")).unwrap();
        let roster = read(folder, &Arc::default()).unwrap();
        let with_records: Vec<&str> = roster
            .students
            .iter()
            .filter(|(_, records)| records.len() == 1)
            .map(|(name, _)| name.as_str())
            .collect();
        assert_eq!(with_records, ["ada", "half", "mixed"]);
        for (name, word) in [
            ("mixed.jsonl", "line 1: "),
            ("binary.jsonl", "line 1: "),
            ("deep.jsonl", "line 1: "),
            ("large.jsonl", "larger than 1 MB"),
            ("<script>.jsonl", "not a valid name"),
            ("link.jsonl", "symbolic link"),
            ("folder.jsonl", "not a regular file"),
        ] {
            let problem = roster.problems.get(name).map(String::as_str).unwrap_or_default();
            assert!(problem.contains(word), "{name}: {problem:?}");
        }
        assert_eq!(roster.problems.len(), 7, "{:?}", roster.problems);
    }

    #[test]
    fn the_newest_exercise_is_first() {
        let at = |exercise: &str, time| Record { time, ..Record::now(exercise) };
        let roster = Roster {
            students: [
                ("a".to_owned(), vec![at("1", 5), at("2", 9)]),
                ("b".to_owned(), vec![at("1", 7)]),
            ]
            .into(),
            ..Roster::default()
        };
        assert_eq!(roster.exercises(), ["2", "1"]);
    }
}
