use std::io::BufRead;
use std::process::{Command, Stdio};

use graft_spec::Hint;

use super::*;

/// Names the folder that the process of [`holds_a_lock_until_it_is_killed`] locks.
const FOLDER: &str = "GRAFT_TEST_LOCKED_FOLDER";

#[test]
fn holds_a_lock_until_it_is_killed() {
    // Alone it has nothing to do: the test below starts it in a process of its own.
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let _lock = RunLock::take(Path::new(&folder), "lora-001").expect("locks");
    let mut out = std::io::stdout().lock();
    out.write_all(b"\nlocked\n").and_then(|()| out.flush()).expect("tells");
    std::thread::sleep(Duration::from_secs(60));
}

#[test]
fn a_run_that_another_process_trains_is_refused_until_that_process_exits() {
    let folder = tempfile::tempdir().expect("folder");
    let mut other = Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", "runs::lock::tests::holds_a_lock_until_it_is_killed", "--nocapture"])
        .env(FOLDER, folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .expect("starts");
    let lines = std::io::BufReader::new(other.stdout.take().expect("piped")).lines();
    assert!(
        lines.map_while(std::io::Result::ok).any(|line| line == "locked"),
        "the other process has locked it"
    );
    assert!(RunLock::is_held(folder.path()));
    let refused = RunLock::take(folder.path(), "lora-001").expect_err("held");
    let told = refused.to_string();
    assert!(
        told.starts_with(&format!("run `lora-001` is being trained by process {}", other.id())),
        "{told}"
    );
    assert!(
        refused.hint().is_some_and(|hint| hint.contains("%watch lora-001")),
        "{:?}",
        refused.hint()
    );
    other.kill().and_then(|()| other.wait()).expect("dies");
    assert!(!RunLock::is_held(folder.path()));
    RunLock::take(folder.path(), "lora-001").expect("the lock died with its process");
}

#[test]
fn two_sessions_of_one_process_exclude_each_other_and_dropping_releases() {
    let folder = tempfile::tempdir().expect("folder");
    let first = RunLock::take(folder.path(), "a").expect("locks");
    assert!(matches!(RunLock::take(folder.path(), "a"), Err(TrainError::InUse { .. })));
    drop(first);
    RunLock::take(folder.path(), "a").expect("is free");
}
