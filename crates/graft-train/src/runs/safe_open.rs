//! Opens a run's files for writing, refusing symbolic links and special files.
//!
//! A run's folder may come from another user. A symbolic link in it could redirect a write to any
//! file, and opening a FIFO could block forever.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::{Result, TrainError};

/// Opens a regular file with `options` that write without truncating. Symbolic links are not
/// followed.
///
/// # Errors
/// [`TrainError::Io`], with [`io::ErrorKind::InvalidInput`] for a symbolic link, a FIFO, a socket
/// or a device.
pub(super) fn open(options: &mut OpenOptions, path: &Path) -> Result<File> {
    let failed = || TrainError::io("write", path);
    let refused = |kind: &str| {
        failed()(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("it is {kind}, not a regular file"),
        ))
    };
    let file = match options.custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(path) {
        Ok(file) => file,
        Err(_) if path.is_symlink() => return Err(refused("a symbolic link")),
        Err(error) => return Err(failed()(error)),
    };
    if file.metadata().map_err(failed())?.is_file() {
        Ok(file)
    } else {
        Err(refused("a special file"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runs::{Ledger, RunFolder, RunHeader, TrialRecord, Trials};
    use std::error::Error;

    const WORDS: &str = "an important file of the user";

    fn told(error: &TrainError) -> String {
        format!("{error}: {}", error.source().map(ToString::to_string).unwrap_or_default())
    }

    #[test]
    fn a_symbolic_link_in_a_run_folder_is_refused_and_its_target_unchanged() {
        let folder = tempfile::tempdir().expect("folder");
        let users = folder.path().join("thesis.tex");
        let runs = folder.path().join("runs");
        std::fs::write(&users, WORDS).expect("writes");
        let run = RunFolder::create(&runs, "lora").expect("creates");
        for name in [".lock", "ledger.jsonl", "../../ablations.jsonl"] {
            std::os::unix::fs::symlink(&users, run.path().join(name)).expect("links");
        }
        let record = r#"{"key":"a","run":"lora-001","loss":1.0,"accuracy":null,"trainable":1,"total":2,"seconds":1.0,"curve":[]}"#;
        let record: TrialRecord = serde_json::from_str(record).expect("a record");
        let ledger = |run: &RunFolder| {
            run.ledger().and_then(|mut ledger: Ledger| ledger.header(&RunHeader::default()))
        };
        let errors = [run.lock().map(drop), ledger(&run), Trials::read(&runs).add(record)]
            .map(|result| told(&result.expect_err("a link")));
        for (error, name) in errors.iter().zip([".lock", "ledger.jsonl", "ablations.jsonl"]) {
            assert!(
                error.contains(name)
                    && error.ends_with("it is a symbolic link, not a regular file"),
                "{error}"
            );
        }
        assert_eq!(std::fs::read_to_string(&users).expect("reads"), WORDS);
    }

    #[test]
    fn a_pipe_in_a_run_folder_is_refused_without_waiting() {
        let folder = tempfile::tempdir().expect("folder");
        let runs = folder.path().join("runs");
        let run = RunFolder::create(&runs, "lora").expect("creates");
        std::fs::create_dir(run.path().join("checkpoint-00000001")).expect("makes");
        for name in [
            ".lock",
            "ledger.jsonl",
            "checkpoint-00000001/checkpoint.json",
            "../../ablations.jsonl",
        ] {
            assert!(
                std::process::Command::new("mkfifo")
                    .arg(run.path().join(name))
                    .status()
                    .expect("starts")
                    .success()
            );
        }
        let error = told(&run.lock().expect_err("a pipe"));
        assert!(
            error.contains(".lock") && error.ends_with("it is a special file, not a regular file"),
            "{error}"
        );
        assert!(run.ledger().is_err() && run.record().is_err() && !run.is_in_use());
        let error = told(&run.checkpoints()[0].progress().expect_err("a pipe"));
        assert!(error.contains("checkpoint.json") && error.contains("named pipe"), "{error}");
        assert!(Trials::read(&runs).records.is_empty());
    }
}
