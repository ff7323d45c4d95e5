//! Tests of the supervisor with shell scripts as children.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Instant;

use super::*;
use graft_frontend::OutputBudget;
use graft_prebuilt::{BuildInfo, Layout, PrebuiltLibrary};

const TIMEOUT: Duration = Duration::from_secs(20);

/// A supervisor whose children run `script`, which is stored in the returned folder.
fn supervisor(script: &str) -> (tempfile::TempDir, Arc<Supervisor>) {
    let folder = tempfile::tempdir().unwrap();
    let executable = folder.path().join("child");
    std::fs::write(&executable, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&executable, std::fs::Permissions::from_mode(0o755)).unwrap();
    let (output, _) = tokio::sync::mpsc::unbounded_channel();
    let shared = Arc::new(SharedState::new(output, OutputBudget::default()));
    let share = crate::Share::default();
    let command = ChildCommand { prebuilt: prebuilt(folder.path()), executable, share };
    let supervisor = Supervisor::start(shared, command, ChildEnvironment::default());
    (folder, supervisor)
}

fn prebuilt(folder: &Path) -> PrebuiltLibrary {
    let info = serde_json::from_value::<BuildInfo>(
        serde_json::json!({ "identity": "test", "sources": "", "rustc": "" }),
    )
    .unwrap();
    PrebuiltLibrary { layout: Layout::new(folder.join("template")), info }
}

fn wait(what: &str, mut done: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !done() {
        assert!(begin.elapsed() < TIMEOUT, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn is_alive(supervisor: &Supervisor) -> bool {
    lock(&supervisor.state).live.is_some()
}

#[test]
fn children_killed_while_they_start_do_not_end_the_session() {
    let (_folder, supervisor) = supervisor("exec sleep 1000");
    for number in 1..=10 {
        wait("no new child was started", || {
            supervisor.generation() == number && is_alive(&supervisor)
        });
        supervisor.kill(Cause::Interrupt);
    }
    wait("no new child was started", || supervisor.generation() == 11 && is_alive(&supervisor));
    assert_eq!(lock(&supervisor.state).ended, None);
    supervisor.kill(Cause::Shutdown);
    supervisor.wait_gone(TIMEOUT);
}

#[test]
fn after_repeated_early_exits_the_session_fails_with_a_reason() {
    for (script, reason) in
        [("exit 3", "exit status 3"), ("echo no library >&2\nexit 98", "no library")]
    {
        let (_folder, supervisor) = supervisor(script);
        wait("no permanent failure", || lock(&supervisor.state).ended.is_some());
        let ended = lock(&supervisor.state).ended.clone().unwrap();
        assert!(ended.ends_with(reason), "{ended}");
        assert_eq!(supervisor.generation(), 3);
    }
}

#[test]
fn an_acknowledgement_of_an_earlier_interrupt_does_not_count_for_new_work() {
    let (_folder, supervisor) = supervisor("exec sleep 1000");
    let seen = |number| {
        supervisor.receive(graft_protocol::FromChild::InterruptSeen {
            number,
            job: Some("training".to_owned()),
        })
    };
    supervisor.interrupt();
    supervisor.forget_interrupts();
    seen(1);
    assert!(!supervisor.is_acknowledged(), "it concerns earlier work");
    supervisor.interrupt();
    seen(2);
    assert!(supervisor.is_acknowledged());
    supervisor.kill(Cause::Shutdown);
    supervisor.wait_gone(TIMEOUT);
}
