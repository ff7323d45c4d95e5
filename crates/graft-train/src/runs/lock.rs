//! The lock of a run: only one process at a time writes to its folder. The system releases the lock
//! when the process ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::Duration;

use graft_nn::regular_file;

use super::safe_open;
use crate::{Result, TrainError};

/// Name of the locked file.
const NAME: &str = ".lock";
/// Attempts before a run counts as in use: [`RunLock::is_held`] takes the lock for a moment.
const TRIES: u32 = 5;
/// Time between two attempts.
const PAUSE: Duration = Duration::from_millis(10);
/// Most bytes of a lock file that are read.
const MOST: u64 = 200;

/// Exclusive access to a run; dropping it releases the run.
#[derive(Debug)]
pub struct RunLock {
    /// `None` on a file system without locks.
    file: Option<File>,
}

impl RunLock {
    /// Locks a run's folder for this process.
    ///
    /// # Errors
    /// [`TrainError::InUse`] with the process that holds the lock; [`TrainError::Io`], also if the
    /// lock file is a symbolic link or a special file.
    pub(super) fn take(folder: &Path, run: &str) -> Result<Self> {
        let path = folder.join(NAME);
        // Not truncated, because the content belongs to the holder.
        let mut file = safe_open::open(
            OpenOptions::new().read(true).write(true).create(true).truncate(false),
            &path,
        )?;
        for attempt in 1.. {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if attempt < TRIES => std::thread::sleep(PAUSE),
                Err(TryLockError::WouldBlock) => {
                    return Err(TrainError::InUse {
                        run: run.to_owned(),
                        holder: holder(&mut file),
                    });
                }
                Err(TryLockError::Error(error)) if is_without_locks(&error) => {
                    return Ok(Self { file: None });
                }
                Err(TryLockError::Error(error)) => {
                    return Err(TrainError::io("lock", &path)(error));
                }
            }
        }
        // The name of the holder is only used in messages, so an error (full disk) is ignored.
        let _ = file
            .set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| file.write_all(this_process().as_bytes()));
        Ok(Self { file: Some(file) })
    }

    /// Removes the lock file from the folder of a run that has not started.
    pub(super) fn remove(folder: &Path) {
        let _ = std::fs::remove_file(folder.join(NAME));
    }

    /// Whether a process is training the run in this folder.
    pub(super) fn is_held(folder: &Path) -> bool {
        let Ok(file) = regular_file::open(&folder.join(NAME)) else { return false };
        matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
    }
}

impl Drop for RunLock {
    fn drop(&mut self) {
        if let Some(file) = &self.file {
            let _ = file.set_len(0);
        }
    }
}

/// `process 4711 on lab-3`.
fn this_process() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = if host.trim().is_empty() { String::new() } else { format!(" on {}", host.trim()) };
    format!("process {}{host}", std::process::id())
}

/// The description that the holder wrote to the file, reduced to printable ASCII.
fn holder(file: &mut File) -> String {
    let mut text = Vec::new();
    let read = file.seek(SeekFrom::Start(0)).and_then(|_| file.take(MOST).read_to_end(&mut text));
    let text: String = String::from_utf8_lossy(&text)
        .chars()
        .filter(|character| character.is_ascii_graphic() || *character == ' ')
        .collect();
    if read.is_err() || text.is_empty() { "another process".to_owned() } else { text }
}

/// Some network file systems have no locks; runs are not locked there.
fn is_without_locks(error: &std::io::Error) -> bool {
    const ENOSYS: i32 = 38;
    const ENOLCK: i32 = 37;
    const EOPNOTSUPP: i32 = 95;
    error.kind() == std::io::ErrorKind::Unsupported
        || matches!(error.raw_os_error(), Some(ENOSYS | ENOLCK | EOPNOTSUPP))
}

#[cfg(test)]
mod tests;
