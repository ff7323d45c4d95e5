//! The memory that this process may still use, and the order in which the system ends processes
//! when there is none.

use std::path::Path;

/// The memory that is available to this process: that of the machine, or that of its control group
/// if it is less. `u64::MAX` if the system does not report it.
pub(crate) fn available() -> u64 {
    let text = |path: &Path| std::fs::read_to_string(path).ok();
    let machine = text(Path::new("/proc/meminfo")).and_then(|info| machine_bytes(&info));
    let own = text(Path::new("/proc/self/cgroup"));
    let groups = own.as_deref().and_then(group_of).unwrap_or_default();
    let group = Path::new(&groups).ancestors().filter_map(|path| {
        let folder = Path::new("/sys/fs/cgroup").join(path.strip_prefix("/").unwrap_or(path));
        let number = |name: &str| text(&folder.join(name))?.trim().parse::<u64>().ok();
        let cached = text(&folder.join("memory.stat")).and_then(|stat| cached_bytes(&stat));
        let used = number("memory.current")?.saturating_sub(cached.unwrap_or_default());
        Some(number("memory.max")?.saturating_sub(used))
    });
    machine.into_iter().chain(group).min().unwrap_or(u64::MAX)
}

/// Asks the system to end this process before others when memory runs out.
pub(crate) fn prefer_to_kill_this_process() {
    let _ = std::fs::write("/proc/self/oom_score_adj", "800");
}

/// `MemAvailable` in bytes.
fn machine_bytes(info: &str) -> Option<u64> {
    let line = info.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? << 10)
}

/// The cached files that a control group gives up when it needs memory.
fn cached_bytes(stat: &str) -> Option<u64> {
    stat.lines().find_map(|line| line.strip_prefix("inactive_file "))?.trim().parse().ok()
}

/// The path of the control group, version 2.
fn group_of(groups: &str) -> Option<String> {
    groups.lines().find_map(|line| line.strip_prefix("0::")).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_of_the_system_are_read() {
        let info = "MemTotal:       16000000 kB\nMemAvailable:    2048 kB\n";
        assert_eq!(machine_bytes(info), Some(2 << 20));
        assert_eq!(machine_bytes("MemTotal: 1 kB"), None);
        assert_eq!(cached_bytes("anon 5\ninactive_file 4096\nactive_file 7\n"), Some(4096));
        assert_eq!(group_of("12:cpu:/x\n0::/user.slice/a\n").as_deref(), Some("/user.slice/a"));
    }

    #[test]
    fn some_memory_is_available_here() {
        assert!(available() > 1 << 20);
    }
}
