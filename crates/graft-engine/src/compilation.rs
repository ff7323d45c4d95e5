//! Interrupts a compilation that this process has started. The variables of earlier cells are not
//! affected.

use graft_prebuilt::process;

/// Interrupts every cargo and rustc started by this process; cargo ends its compilers.
pub(crate) fn interrupt() {
    let is_compiler = |pid: &u32| matches!(name(*pid).as_deref(), Some("cargo" | "rustc"));
    for pid in children().into_iter().filter(is_compiler) {
        process::signal(pid, libc::SIGINT);
    }
}

/// The unreaped child processes of all threads of this process.
fn children() -> Vec<u32> {
    let Ok(tasks) = std::fs::read_dir("/proc/self/task") else { return Vec::new() };
    let lists = tasks
        .flatten()
        .filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok());
    lists
        .flat_map(|list| {
            list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<u32>>()
        })
        .collect()
}

fn name(pid: u32) -> Option<String> {
    Some(std::fs::read_to_string(format!("/proc/{pid}/comm")).ok()?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_process_is_found_until_it_is_reaped() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        assert!(children().contains(&child.id()));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!children().contains(&child.id()));
    }
}
