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
    system.refresh_processes_specifics(ProcessesToUpdate::Some(&[process]), false, ProcessRefreshKind::nothing());
    // Files that the group has read count as used by it, and are given up when memory is asked for: what its processes hold is what is taken.
    let group = system.process(process).and_then(Process::cgroup_limits);
    let within_group = group.map_or(u64::MAX, |group| group.total_memory.saturating_sub(group.rss));
    Some(system.available_memory()).filter(|available| *available > 0).map(|available| available.min(within_group))
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
