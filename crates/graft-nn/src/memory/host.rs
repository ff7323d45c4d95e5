//! Main memory.

use sysinfo::{MemoryRefreshKind, Process, ProcessRefreshKind, ProcessesToUpdate, System};

use crate::process::release_freed_memory;

/// Bytes that this process can still allocate.
pub(super) fn left() -> Option<u64> {
    // Otherwise the memory of a finished training run would count as used, and the next run of the
    // same size would not fit.
    release_freed_memory();
    let process = sysinfo::get_current_pid().ok()?;
    let mut system = System::new().ok()?;
    system.refresh_memory_specifics(MemoryRefreshKind::nothing().with_ram());
    system.refresh_processes_specifics(
        ProcessesToUpdate::Some(&[process]),
        false,
        ProcessRefreshKind::nothing(),
    );
    // The page cache of the group counts as used memory but is reclaimed on demand, so only the
    // resident memory of its processes is subtracted.
    let group = system.process(process).and_then(Process::cgroup_limits);
    let within_group = group.map_or(u64::MAX, |group| group.total_memory.saturating_sub(group.rss));
    let available = system.available_memory();
    (available > 0).then(|| available.min(within_group).min(within_process()))
}

/// Bytes left within the process's limits of address space and data segment (`ulimit -v` and
/// `ulimit -d`).
fn within_process() -> u64 {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let within =
        |limit: &str, used: &str| Some(soft_limit(&limits, limit)?.saturating_sub(resident(used)?));
    let space = within("Max address space", "VmSize:");
    let data = within("Max data size", "VmData:");
    space.unwrap_or(u64::MAX).min(data.unwrap_or(u64::MAX))
}

/// The soft limit `name` in `/proc/self/limits`; `None` if it is unlimited.
fn soft_limit(limits: &str, name: &str) -> Option<u64> {
    limits.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().next()?.parse().ok()
}

/// Resets the peak counter and returns the resident memory now.
pub(super) fn start() -> Option<u64> {
    release_freed_memory();
    // proc(5): 5 resets the peak resident set size to the current one.
    std::fs::write("/proc/self/clear_refs", "5").ok()?;
    resident("VmRSS:")
}

/// Peak resident memory since [`start`].
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
    fn a_limit_of_the_process_is_read_and_unlimited_is_none() {
        let limits = "Limit Soft Limit Hard Limit Units\nMax data size             unlimited            unlimited            bytes\n\
            Max address space         629145600            unlimited            bytes\n";
        assert_eq!(soft_limit(limits, "Max address space"), Some(629_145_600));
        assert_eq!(soft_limit(limits, "Max data size"), None);
    }
}
