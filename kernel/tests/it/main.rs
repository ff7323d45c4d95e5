//! The program as Jupyter starts it, on a machine without a Rust toolchain and without a prebuilt
//! library: sockets, messages and magics must work even there.

#![allow(clippy::unwrap_used)]

mod zmq_client;

use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use graft_testkit::{Channel, ConnectionFile, Frontend};
use serde_json::json;

/// A kernel process, killed if the test leaves it.
struct Kernel {
    process: Child,
    file: ConnectionFile,
    _home: tempfile::TempDir,
}

impl Kernel {
    fn start(file: ConnectionFile) -> Self {
        let home = tempfile::tempdir().unwrap();
        let process = graft(home.path()).args(["kernel", "-f"]).arg(file.path()).spawn().unwrap();
        Self { process, file, _home: home }
    }

    fn wait(&mut self) -> std::process::ExitStatus {
        let begin = Instant::now();
        loop {
            if let Some(status) = self.process.try_wait().unwrap() {
                return status;
            }
            assert!(begin.elapsed() < Duration::from_secs(20), "the kernel does not end");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Kernel {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The program in an empty home, with nothing on PATH but a shell.
fn graft(home: &std::path::Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_graft"));
    let bin = home.join("bin");
    std::fs::create_dir_all(&bin).unwrap();
    // There already when the test runs the program twice.
    let _ = std::os::unix::fs::symlink("/bin/sh", bin.join("sh"));
    command
        .env_clear()
        .env("HOME", home)
        .env("PATH", &bin)
        .current_dir(home)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

fn output(arguments: &[&str], home: &std::path::Path) -> Output {
    graft(home).args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).output().unwrap()
}

#[test]
fn sockets_answer_and_magics_work_where_no_session_can_start() {
    let mut kernel = Kernel::start(ConnectionFile::ipc("key"));
    let mut frontend = Frontend::connect(&kernel.file);
    assert_eq!(
        frontend.ask(Channel::Control, "kernel_info_request", json!({})).content["implementation"],
        "graft"
    );
    let list = frontend.execute("%lsmagic");
    assert_eq!((list.status(), list.kinds()), ("ok", vec!["display_data"]));
    assert_eq!(frontend.execute("!echo hi").stream("stdout"), "hi\n");
    let status = frontend.execute("%status");
    assert_eq!(status.status(), "error");
    assert_eq!(status.stream("stderr"), "");
    frontend.request(Channel::Control, "shutdown_request", json!({ "restart": false }));
    assert_eq!(frontend.receive(Channel::Control).kind(), "shutdown_reply");
    frontend.skip_greetings();
    assert!(kernel.wait().success());
}

#[test]
fn a_kernel_told_to_terminate_ends_in_order() {
    let mut kernel = Kernel::start(ConnectionFile::ipc("key"));
    drop(Frontend::connect(&kernel.file));
    let told = Command::new("kill").arg(kernel.process.id().to_string()).status().unwrap();
    assert!(told.success());
    assert!(kernel.wait().success());
}

#[test]
fn a_damaged_connection_file_is_named_in_one_clear_error() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("connection.json");
    std::fs::write(&file, "{\"ip\": ").unwrap();
    let output = output(&["kernel", "-f", &file.display().to_string()], home.path());
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text.contains("connection.json") && text.contains("damaged") && text.contains("hint"),
        "{text}"
    );
}

#[test]
fn uninstall_takes_its_own_kernel_away_and_leaves_others_alone() {
    let home = tempfile::tempdir().unwrap();
    let kernels = home.path().join(".local/share/jupyter/kernels");
    for (name, spec) in [
        (
            "graft",
            r#"{"argv":["graft"],"display_name":"Rust (Graft)","language":"rust","metadata":{"graft":{"version":"0.1.0"}}}"#,
        ),
        ("rust", r#"{"argv":["evcxr_jupyter"],"display_name":"Rust","language":"rust"}"#),
    ] {
        std::fs::create_dir_all(kernels.join(name)).unwrap();
        std::fs::write(kernels.join(name).join("kernel.json"), spec).unwrap();
    }
    assert!(output(&["uninstall"], home.path()).status.success());
    assert!(output(&["uninstall", "--name", "rust"], home.path()).status.success());
    let left: Vec<_> =
        std::fs::read_dir(&kernels).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["rust"]);
}

#[test]
fn install_refuses_a_name_that_belongs_to_another_kernel() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("prefix/share/jupyter/kernels/rust");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(
        folder.join("kernel.json"),
        r#"{"argv":["evcxr_jupyter"],"display_name":"Rust","language":"rust"}"#,
    )
    .unwrap();
    let prefix = home.path().join("prefix").display().to_string();
    let output = output(&["install", "--prefix", &prefix, "--name", "rust"], home.path());
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && text.contains("another kernel"), "{text}");
    assert!(!home.path().join("prefix/bin").exists());
}
