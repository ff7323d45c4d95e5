//! A process with resource limits.
#![allow(unsafe_code)]

use std::process::{Command as Process, Stdio};

use graft_protocol::Command;
use graft_spec::Settings;

use crate::test_session::TestSession;

/// Environment variable that is set in the limited process.
const INSIDE: &str = "GRAFT_TEST_LIMITED";

/// Runs one test of this binary again, under `ulimit`.
fn limited(test: &str, limits: &str) -> std::process::Output {
    let script = format!("{limits}; exec timeout 60 \"$0\" --exact {test} --nocapture");
    Process::new("sh")
        .args(["-c", &script])
        .arg(std::env::current_exe().unwrap())
        .env(INSIDE, "1")
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

#[test]
fn a_command_whose_threads_cannot_start_fails_and_does_not_hang() {
    if std::env::var_os(INSIDE).is_some() {
        let test = TestSession::new();
        // SAFETY: this process runs one test, and the session's thread has no command yet.
        unsafe { std::env::set_var("RAYON_NUM_THREADS", "64") };
        for _ in 0..2 {
            let failure = test
                .run(Command::ModelLoad {
                    source: test.model_folder(),
                    settings: Settings::default(),
                })
                .unwrap_err();
            assert!(
                failure.code == "session::no_threads" && failure.hint.unwrap().contains("ulimit"),
                "{}",
                failure.message
            );
        }
        return;
    }
    // About a dozen of these stacks fit into four gigabytes of address space. The rest, too small
    // for another one, is enough for small allocations.
    let limits = "export RUST_MIN_STACK=268435456; ulimit -v 4000000";
    let output =
        limited("limits::a_command_whose_threads_cannot_start_fails_and_does_not_hang", limits);
    let (out, error) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(
        output.status.success() && out.contains("1 passed"),
        "{:?}\n{out}\n{error}",
        output.status
    );
}
