//! Detects threads that are blocked in a read of standard input.
//!
//! `/proc/self/task/*/syscall` contains the number and the arguments of the system call that a
//! thread is blocked in. A thread blocked in `read` of descriptor 0 reads input, whichever
//! library it uses, and so does a thread blocked in `poll`, `select` or `epoll_wait` with
//! descriptor 0 among its descriptors. The same holds for a program started by the cell if its
//! descriptor 0 is the same pipe.

use std::os::unix::fs::FileExt;
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
        std::fs::read_to_string(task.join("syscall"))
            .is_ok_and(|text| Call::parse(&text).is_some_and(|call| call.reads_input(process)))
    })
}

fn tasks(process: &Path) -> impl Iterator<Item = PathBuf> {
    std::fs::read_dir(process.join("task"))
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
}

/// A system call that a thread is blocked in, with its first two arguments.
struct Call {
    number: i64,
    arguments: [u64; 2],
}

impl Call {
    /// Parses the number and the hexadecimal arguments.
    fn parse(line: &str) -> Option<Self> {
        let mut words = line.split_whitespace();
        let number = words.next()?.parse().ok()?;
        let mut argument = || u64::from_str_radix(words.next()?.strip_prefix("0x")?, 16).ok();
        Some(Self { number, arguments: [argument()?, argument()?] })
    }

    /// Whether the thread of `process` reads descriptor 0 or waits until it can be read.
    fn reads_input(&self, process: &Path) -> bool {
        let [first, second] = self.arguments;
        match self.number {
            libc::SYS_read | libc::SYS_readv => first == 0,
            libc::SYS_poll | libc::SYS_ppoll => {
                memory(process, first, POLL_ENTRY * second.min(MAX_POLLED) as usize)
                    .is_some_and(|entries| entries.chunks_exact(POLL_ENTRY).any(polls_input))
            }
            libc::SYS_select | libc::SYS_pselect6 => {
                first > 0
                    && memory(process, second, 1)
                        .is_some_and(|set| set.first().is_some_and(|byte| byte & 1 == 1))
            }
            libc::SYS_epoll_wait | libc::SYS_epoll_pwait => {
                let watched =
                    std::fs::read_to_string(process.join("fdinfo").join(first.to_string()));
                watched.is_ok_and(|text| text.lines().any(watches_input))
            }
            _ => false,
        }
    }
}

/// The size of an entry of `poll`: the descriptor, the events, the results.
const POLL_ENTRY: usize = 8;
/// Maximum number of entries of `poll` to check.
const MAX_POLLED: u64 = 64;

/// Whether an entry of `poll` asks for input from descriptor 0.
fn polls_input(entry: &[u8]) -> bool {
    let [a, b, c, d, low, high, ..] = *entry else { return false };
    let events = i16::from_ne_bytes([low, high]);
    i32::from_ne_bytes([a, b, c, d]) == 0 && events & libc::POLLIN != 0
}

/// Whether a line about an epoll instance names descriptor 0.
fn watches_input(line: &str) -> bool {
    let mut words = line.split_whitespace();
    words.next() == Some("tfd:") && words.next() == Some("0")
}

/// Memory of a process, read through the file system, so that an address that is no longer valid
/// has no effect.
fn memory(process: &Path, address: u64, length: usize) -> Option<Vec<u8>> {
    let mut bytes = vec![0; length];
    let file = std::fs::File::open(process.join("mem")).ok()?;
    file.read_exact_at(&mut bytes, address).ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn only_a_read_of_descriptor_0_counts() {
        let reads_input = |line: &str| {
            Call::parse(line).is_some_and(|call| call.reads_input(Path::new("/proc/self")))
        };
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
    fn a_program_that_polls_its_input_is_detected() {
        for wait in [
            "select.select([0], [], [])",
            "p = select.poll(); p.register(0, select.POLLIN); p.poll()",
            "p = select.epoll(); p.register(0, select.EPOLLIN); p.poll()",
        ] {
            let mut command = Command::new("python3");
            let command = command.args(["-c", &format!("import select; {wait}")]);
            let mut program = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
            let process = Path::new("/proc").join(program.id().to_string());
            let begin = std::time::Instant::now();
            while !any_thread_reads(&process) {
                assert!(begin.elapsed().as_secs() < 60, "`{wait}` is not detected");
                std::thread::yield_now();
            }
            program.kill().unwrap();
            program.wait().unwrap();
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
