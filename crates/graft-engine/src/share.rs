//! The share of the machine that a kernel takes: threads, priority and memory.
//!
//! The settings are environment variables, which a teacher sets for a whole hub. JupyterHub's own
//! limits, `CPU_LIMIT` and `MEM_LIMIT`, are the defaults.

use std::time::Duration;

use crate::error::EngineError;
use crate::unix;

/// The number of threads that a kernel computes and compiles with.
pub const THREADS: &str = "GRAFT_THREADS";
/// The nice level of the session's process, from 0 to 19.
pub const NICE: &str = "GRAFT_NICE";
/// The memory of the session's process, such as `2GB`.
pub const MEMORY: &str = "GRAFT_MEMORY";

/// The nice level on a hub, where other users have kernels too. Compilers and notebooks answer
/// before a training run continues.
const NICE_ON_A_HUB: i32 = 5;
/// The variable of the thread pool; a value of the user's own replaces the hub's limit.
pub(crate) const RAYON: &str = "RAYON_NUM_THREADS";
/// The variables by which a hub and its spawner describe a user's server.
const HUB_VARIABLES: [&str; 2] = ["JUPYTERHUB_USER", "JUPYTERHUB_API_URL"];
/// When memory runs out, the system ends a session before the kernel and the Jupyter server, so
/// that the kernel can report it.
const OOM_SCORE: &str = "400";
/// Smallest memory limit with which a session starts.
const MIN_MEMORY: u64 = 256 << 20;
/// Address space that a session with a model reserves without using it: `VmData` less the resident
/// memory, as measured.
const RESERVED_BYTES: u64 = 2 << 30;
/// Address space of each thread's stack; `child_process` sets the same size.
const STACK_BYTES: u64 = 16 << 20;

/// The share of a kernel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Share {
    /// Number of threads; `None` for all cores that the system grants to the kernel.
    pub threads: Option<usize>,
    /// Nice level of the session's process.
    pub nice: i32,
    /// Memory of the session's process in bytes.
    pub memory_bytes: Option<u64>,
}

impl Share {
    /// Reads the settings from the environment.
    ///
    /// # Errors
    /// Returns an error that names the variable if its value is not valid.
    pub fn from_environment() -> Result<Self, EngineError> {
        Self::read(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
    }

    fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self, EngineError> {
        let is_on_a_hub = HUB_VARIABLES.iter().any(|name| variable(name).is_some());
        let threads = match variable(THREADS) {
            Some(text) => Some(threads(&text)?),
            None if is_on_a_hub && variable(RAYON).is_none() => {
                variable("CPU_LIMIT").and_then(|text| cores(&text))
            }
            None => None,
        };
        let nice = match variable(NICE) {
            Some(text) => nice(&text)?,
            None if is_on_a_hub => NICE_ON_A_HUB,
            None => 0,
        };
        let memory_bytes = match variable(MEMORY) {
            Some(text) => Some(memory(&text)?),
            None => variable("MEM_LIMIT")
                .filter(|_| is_on_a_hub)
                .and_then(|text| bytes(&text))
                .filter(|bytes| *bytes >= MIN_MEMORY),
        };
        Ok(Self { threads, nice, memory_bytes })
    }

    /// Applies priority and memory to a process of this user. A system that refuses leaves them
    /// unchanged.
    pub(crate) fn apply(&self, pid: u32) {
        let _ = std::fs::write(format!("/proc/{pid}/oom_score_adj"), OOM_SCORE);
        if self.nice > 0 {
            unix::set_nice(pid, self.nice);
        }
        if let Some(bytes) = self.memory_bytes {
            // The limit counts address space that is reserved and not used: that of libraries and
            // of the allocator, and the whole stacks of all threads.
            let threads = self.threads.unwrap_or_else(available_threads) as u64 + 4;
            unix::limit_data(pid, bytes.saturating_add(RESERVED_BYTES + threads * STACK_BYTES));
        }
    }

    /// The exit status of a process, with the limit that may be its cause.
    pub(crate) fn explain(&self, status: String) -> String {
        match self.memory_bytes {
            Some(bytes) if status.contains("aborted") => {
                let megabytes = bytes >> 20;
                format!("{status}; {MEMORY} or the hub limits its memory to {megabytes} MB")
            }
            _ => status,
        }
    }

    /// The threads as the value of an environment variable.
    pub(crate) fn threads_text(&self) -> Option<String> {
        self.threads.map(|threads| threads.to_string())
    }
}

/// The cores that the system grants to this process.
fn available_threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn threads(text: &str) -> Result<usize, EngineError> {
    let expected = "a whole number of at least 1, for example `2`";
    match text.trim().parse::<usize>() {
        Ok(count @ 1..=1024) => Ok(count),
        _ => Err(invalid(THREADS, text, expected)),
    }
}

fn nice(text: &str) -> Result<i32, EngineError> {
    match text.trim().parse::<i32>() {
        Ok(level @ 0..=19) => Ok(level),
        _ => Err(invalid(NICE, text, "a whole number from 0 to 19, for example `5`")),
    }
}

fn memory(text: &str) -> Result<u64, EngineError> {
    let expected = "at least `256MB`, for example `2GB`";
    bytes(text).filter(|bytes| *bytes >= MIN_MEMORY).ok_or_else(|| invalid(MEMORY, text, expected))
}

/// The whole cores in JupyterHub's limit, which may be a fraction.
fn cores(text: &str) -> Option<usize> {
    let cores = text.trim().parse::<f64>().ok().filter(|cores| *cores > 0.0 && *cores < 1024.0)?;
    Some(Duration::from_secs_f64(cores.ceil().max(1.0)).as_secs() as usize)
}

/// The bytes in a text such as `2GB`, `1.5 GiB`, `512M` or `1073741824`.
fn bytes(text: &str) -> Option<u64> {
    let text = text.trim();
    let end = text.find(|next: char| !next.is_ascii_digit() && next != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let factor = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1.0,
        "k" | "kb" | "kib" => 1024.0,
        "m" | "mb" | "mib" => 1024.0 * 1024.0,
        "g" | "gb" | "gib" => 1024.0 * 1024.0 * 1024.0,
        "t" | "tb" | "tib" => 1024.0 * 1024.0 * 1024.0 * 1024.0,
        _ => return None,
    };
    let bytes = number.parse::<f64>().ok()? * factor;
    (bytes.is_finite() && bytes < 9e18).then_some(bytes as u64)
}

fn invalid(name: &'static str, value: &str, expected: &'static str) -> EngineError {
    EngineError::Setting { name, value: value.to_owned(), expected }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Share, EngineError> {
        Share::read(|name| {
            variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn a_kernel_outside_a_hub_has_no_limits() {
        assert_eq!(read(&[("CPU_LIMIT", "2"), ("MEM_LIMIT", "1G")]).unwrap(), Share::default());
    }

    #[test]
    fn the_limits_of_a_hub_are_the_defaults_and_own_settings_win() {
        let hub = [("JUPYTERHUB_USER", "ada"), ("CPU_LIMIT", "1.5"), ("MEM_LIMIT", "1073741824")];
        let share = read(&hub).unwrap();
        assert_eq!((share.threads, share.nice, share.memory_bytes), (Some(2), 5, Some(1 << 30)));
        let own = [hub[0], hub[1], hub[2], (THREADS, "4"), (NICE, "0"), (MEMORY, "1.5 GB")];
        let share = read(&own).unwrap();
        assert_eq!(share, Share { threads: Some(4), nice: 0, memory_bytes: Some(3 << 29) });
    }

    #[test]
    fn a_value_that_is_not_valid_is_reported_with_an_example() {
        for (name, value) in [
            (THREADS, "0"),
            (THREADS, "all"),
            (NICE, "-5"),
            (NICE, "20"),
            (MEMORY, "1MB"),
            (MEMORY, "2 apples"),
        ] {
            let text = read(&[(name, value)]).unwrap_err().to_string();
            assert!(text.contains(name) && text.contains(value), "{text}");
            assert!(text.contains("for example"), "{text}");
        }
    }
}
