//! Detects threads that are blocked in a read of standard input.
//!
//! `/proc/self/task/*/syscall` contains the number and the arguments of the system call that a
//! thread is blocked in. A thread blocked in `read` of descriptor 0 reads input, whichever
//! library it uses. The same holds for a program started by the cell if its descriptor 0 is the
//! same pipe. Readers that wait with `poll` or `select` are not detected.

use std::path::{Path, PathBuf};

/// Maximum number of programs to check.
const MAX_PROGRAMS: usize = 64;

/// Whether a thread of this process or of a program it has started is blocked in a read of standard
/// input.
pub(super) fn is_waiting() -> bool {
    if any_thread_reads(Path::new("/proc/self")) {
        return true;
    }
    let own = std::fs::read_link("/proc/self/fd/0").ok();
    own.is_some()
        && programs().iter().any(|program| {
            std::fs::read_link(program.join("fd/0")).ok() == own && any_thread_reads(program)
        })
}

/// Whether the system reports the system calls of threads.
pub(super) fn is_supported() -> bool {
    std::fs::read_to_string("/proc/thread-self/syscall").is_ok_and(|text| !text.trim().is_empty())
}

/// All descendants of this process.
fn programs() -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = children(Path::new("/proc/self"));
    let mut next = 0;
    while let Some(program) = found.get(next).filter(|_| found.len() < MAX_PROGRAMS) {
        let more = children(program);
        found.extend(more);
        next += 1;
    }
    found
}

fn children(process: &Path) -> Vec<PathBuf> {
    let lists =
        tasks(process).filter_map(|task| std::fs::read_to_string(task.join("children")).ok());
    lists
        .flat_map(|list| {
            list.split_whitespace().map(|pid| Path::new("/proc").join(pid)).collect::<Vec<_>>()
        })
        .collect()
}

fn any_thread_reads(process: &Path) -> bool {
    tasks(process).any(|task| {
        std::fs::read_to_string(task.join("syscall")).is_ok_and(|text| reads_input(&text))
    })
}

fn tasks(process: &Path) -> impl Iterator<Item = PathBuf> {
    std::fs::read_dir(process.join("task"))
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
}

/// Whether the line describes a thread blocked in `read` or `readv` of descriptor 0.
fn reads_input(line: &str) -> bool {
    let mut words = line.split_whitespace();
    let call = words.next().and_then(|word| word.parse::<i64>().ok());
    (call == Some(libc::SYS_read) || call == Some(libc::SYS_readv)) && words.next() == Some("0x0")
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn only_a_read_of_descriptor_0_counts() {
        assert!(reads_input("0 0x0 0x7f00 0x2000 0x1000 0x0 0x0 0x7ffd 0x7fb1\n"));
        assert!(reads_input("19 0x0 0x7f00 0x1 0x0 0x0 0x0 0x7ffd 0x7fb1\n"));
        for line in [
            "running\n",
            "0 0x5 0x7f00 0x2000\n",
            "1 0x0 0x7f00\n",
            "202 0x0 0x0\n",
            "-1 0x7ffd 0x7fb1\n",
            "0",
            "",
        ] {
            assert!(!reads_input(line), "{line}");
        }
    }

    #[test]
    fn a_program_that_reads_input_is_detected_and_a_sleeping_one_is_not() {
        let mut reading =
            Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let mut sleeping = Command::new("sleep").arg("60").stdin(Stdio::piped()).spawn().unwrap();
        let process = |child: &std::process::Child| Path::new("/proc").join(child.id().to_string());
        let begin = std::time::Instant::now();
        while !any_thread_reads(&process(&reading)) {
            assert!(begin.elapsed().as_secs() < 20, "the read of `cat` is not detected");
            std::thread::yield_now();
        }
        assert!(!any_thread_reads(&process(&sleeping)));
        let started = children(Path::new("/proc/self"));
        assert!(
            started.contains(&process(&reading)) && started.contains(&process(&sleeping)),
            "{started:?}"
        );
        for child in [&mut reading, &mut sleeping] {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}
