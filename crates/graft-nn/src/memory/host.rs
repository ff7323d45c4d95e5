//! Main memory.

use sysinfo::{MemoryRefreshKind, Process, ProcessRefreshKind, ProcessesToUpdate, System};

use crate::process::give_freed_memory_back;

/// Bytes that the system could still give to this process.
pub(super) fn left() -> Option<u64> {
    // Else what the last training took would count as taken, and the next of the same size would not fit.
    give_freed_memory_back();
    let process = sysinfo::get_current_pid().ok()?;
    let mut system = System::new().ok()?;
    system.refresh_memory_specifics(MemoryRefreshKind::nothing().with_ram());
    system.refresh_processes_specifics(
        ProcessesToUpdate::Some(&[process]),
        false,
        ProcessRefreshKind::nothing(),
    );
    // Files that the group has read count as used by it, and are given up when memory is asked for: what its processes hold is what is taken.
    let group = system.process(process).and_then(Process::cgroup_limits);
    let within_group = group.map_or(u64::MAX, |group| group.total_memory.saturating_sub(group.rss));
    let available = system.available_memory();
    (available > 0).then(|| available.min(within_group).min(within_process()))
}

/// Bytes until the limits on the process's address space and data, which `ulimit -v` and `ulimit -d` set.
fn within_process() -> u64 {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let within = |limit: &str, taken: &str| {
        Some(soft_limit(&limits, limit)?.saturating_sub(resident(taken)?))
    };
    let (space, data) =
        (within("Max address space", "VmSize:"), within("Max data size", "VmData:"));
    space.unwrap_or(u64::MAX).min(data.unwrap_or(u64::MAX))
}

/// The soft limit of that name in `/proc/self/limits`; none where there is no limit.
fn soft_limit(limits: &str, name: &str) -> Option<u64> {
    limits.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().next()?.parse().ok()
}

/// Begins to watch for the most, and gives what is taken now.
pub(super) fn start() -> Option<u64> {
    give_freed_memory_back();
    // proc(5): 5 resets the peak resident set size to the current one.
    std::fs::write("/proc/self/clear_refs", "5").ok()?;
    resident("VmRSS:")
}

/// The most resident memory since [`start`].
pub(super) fn most() -> Option<u64> {
    resident("VmHWM:")
}

fn resident(field: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
}

#[cfg(test)]
mod tests {
    use super::soft_limit;

    #[test]
    fn a_limit_of_the_process_is_read_and_none_is_none() {
        let limits = "Limit Soft Limit Hard Limit Units\nMax data size             unlimited            unlimited            bytes\n\
            Max address space         629145600            unlimited            bytes\n";
        assert_eq!(soft_limit(limits, "Max address space"), Some(629_145_600));
        assert_eq!(soft_limit(limits, "Max data size"), None);
    }
}
