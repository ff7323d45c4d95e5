//! The server over real sockets, with a scripted interpreter.

mod invalid_requests;
mod script;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use graft_frontend::OutputBudget;
use graft_testkit::{Channel, ConnectionFile, Frontend};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::{History, KernelConfig, Server};
use script::Script;

/// A kernel that runs on its own threads.
struct TestKernel {
    file: ConnectionFile,
    runtime: Option<Runtime>,
    has_ended: Arc<AtomicBool>,
}

fn config() -> KernelConfig {
    let script = Script::default();
    KernelConfig {
        interrupt: script.interrupt.clone(),
        interpreter: Arc::new(script),
        budget: OutputBudget::default(),
        history: History::in_memory(),
    }
}

impl TestKernel {
    fn start(file: ConnectionFile) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let path = file.path();
        let has_ended = Arc::new(AtomicBool::new(false));
        let ended = has_ended.clone();
        runtime.spawn(async move {
            Server::bind(&path).await.unwrap().run(config()).await;
            ended.store(true, Ordering::SeqCst);
        });
        Self { file, runtime: Some(runtime), has_ended }
    }

    fn frontend(&self) -> Frontend {
        Frontend::connect(&self.file)
    }

    fn wait_for_end(&self) {
        while !self.has_ended.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for TestKernel {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn kernel() -> TestKernel {
    TestKernel::start(ConnectionFile::ipc("secret"))
}

fn execute(code: &str) -> Value {
    json!({ "code": code })
}

#[test]
fn kernel_info_is_answered_on_shell_and_control_over_tcp() {
    let kernel = TestKernel::start(ConnectionFile::tcp("secret"));
    let mut frontend = kernel.frontend();
    for channel in [Channel::Shell, Channel::Control] {
        let reply = frontend.ask(channel, "kernel_info_request", json!({}));
        assert_eq!(reply.content["implementation"], "script");
        assert_eq!(reply.content["language_info"]["name"], "words");
        assert_eq!(reply.content["language_info"]["pygments_lexer"], "text");
        assert_eq!(reply.content["supported_features"], json!([]));
        assert_eq!(reply.content["status"], "ok");
    }
}

#[test]
fn starting_comes_once_after_the_welcome_and_before_any_busy() {
    let kernel = kernel();
    let mut frontend = Frontend::connect_silently(&kernel.file);
    assert_eq!(frontend.published().kind(), "iopub_welcome");
    let mut seen = vec![];
    frontend.ask(Channel::Shell, "kernel_info_request", json!({}));
    while let Some(message) = frontend.published_within(Duration::from_millis(250)) {
        seen.extend(message.content["execution_state"].as_str().map(str::to_owned));
    }
    assert_eq!(seen, ["starting"]);
}

#[test]
fn an_unsigned_connection_works() {
    let kernel = TestKernel::start(ConnectionFile::ipc(""));
    assert_eq!(kernel.frontend().execute("print a").status(), "ok");
}

#[test]
fn a_client_that_connects_before_the_server_runs_is_welcomed() {
    let file = ConnectionFile::ipc("secret");
    let runtime = Runtime::new().unwrap();
    let server = runtime.block_on(Server::bind(&file.path())).unwrap();
    let mut frontend = Frontend::connect_silently(&file);
    // Time for the operating system to accept the connection.
    std::thread::sleep(Duration::from_millis(100));
    runtime.spawn(server.run(config()));
    assert_eq!(frontend.published().kind(), "iopub_welcome");
    frontend.skip_greetings();
}

#[test]
fn a_cell_has_its_messages_in_order_and_counts_from_one() {
    let kernel = kernel();
    let mut frontend = kernel.frontend();
    let cell = frontend.execute("print a\nshow b\nvalue 7");
    assert!(cell.announced);
    assert_eq!(cell.kinds(), ["stream", "display_data", "execute_result"]);
    assert_eq!(cell.stream("stdout"), "a\n");
    assert_eq!(cell.outputs[2].content["execution_count"], 1);
    assert_eq!(cell.reply.content["execution_count"], 1);
    assert_eq!(cell.reply.content["user_expressions"], json!({}));
    assert_eq!(frontend.execute("value 8").reply.content["execution_count"], 2);
}

#[test]
fn silent_cells_show_and_count_nothing() {
    let kernel = kernel();
    let mut frontend = kernel.frontend();
    let cell = frontend.execute_with(json!({ "code": "print a\nvalue 1", "silent": true }));
    assert_eq!((cell.kinds().len(), cell.announced, cell.status()), (0, false, "ok"));
    let unstored = frontend.execute_with(json!({ "code": "print b", "store_history": false }));
    assert_eq!(unstored.stream("stdout"), "b\n");
    assert_eq!(frontend.execute("").reply.content["execution_count"], 0);
    assert_eq!(frontend.execute("print c").reply.content["execution_count"], 1);
    let history = frontend.ask(
        Channel::Shell,
        "history_request",
        json!({ "hist_access_type": "tail", "n": 9 }),
    );
    assert_eq!(history.content["history"], json!([[1, 1, "print c"]]));
}

#[test]
fn an_error_is_the_same_in_reply_and_broadcast() {
    let kernel = kernel();
    let mut frontend = kernel.frontend();
    let cell = frontend.execute("fail broken");
    assert_eq!(cell.kinds(), ["error"]);
    for key in ["ename", "evalue", "traceback"] {
        assert_eq!(cell.outputs[0].content[key], cell.reply.content[key]);
    }
    assert_eq!((cell.status(), &cell.reply.content["evalue"]), ("error", &json!("broken")));
}

#[test]
fn an_error_aborts_queued_cells_but_no_later_ones() {
    let kernel = kernel();
    let mut frontend = kernel.frontend();
    let ids: Vec<String> = ["fail x", "print never"]
        .map(|code| frontend.request(Channel::Shell, "execute_request", execute(code)))
        .into();
    assert_eq!(frontend.finish(&ids[0]).status(), "error");
    let aborted = frontend.finish(&ids[1]);
    assert_eq!((aborted.status(), aborted.kinds().len()), ("error", 0));
    assert_eq!(aborted.reply.content["ename"], "Aborted");
    assert!(
        aborted.reply.content.get("execution_count").is_none(),
        "a cell that did not run has no execution count: {}",
        aborted.reply.content
    );
    let after = frontend.execute("print after");
    assert_eq!(
        (after.stream("stdout").as_str(), &after.reply.content["execution_count"]),
        ("after\n", &json!(2))
    );
}

#[test]
fn without_stop_on_error_the_queue_continues() {
    let kernel = kernel();
    let mut frontend = kernel.frontend();
    let first = frontend.request(
        Channel::Shell,
        "execute_request",
        json!({ "code": "fail x", "stop_on_error": false }),
    );
    let second = frontend.request(Channel::Shell, "execute_request", execute("print on"));
    assert_eq!(frontend.finish(&first).status(), "error");
    assert_eq!(frontend.finish(&second).stream("stdout"), "on\n");
}

#[test]
fn a_panic_of_the_interpreter_is_an_error_of_the_cell() {
    let kernel = kernel();
    let mut frontend = kernel.frontend();
    let cell = frontend.execute("panic");
    assert_eq!((cell.status(), cell.kinds()), ("error", vec!["error"]));
    assert_eq!(frontend.execute("print alive").stream("stdout"), "alive\n");
}

#[test]
fn requests_are_answered_while_a_cell_runs_and_an_interrupt_stops_it() {
    let kernel = kernel();
    let mut frontend = kernel.frontend();
    let id = frontend.request(Channel::Shell, "execute_request", execute("wait"));
    while frontend.published_under(&id).kind() != "stream" {}
    frontend.ask(Channel::Control, "kernel_info_request", json!({}));
    assert_eq!(frontend.published_under(&id).content["execution_state"], "busy");
    let reply =
        frontend.ask(Channel::Shell, "complete_request", json!({ "code": "len", "cursor_pos": 3 }));
    assert_eq!(reply.content["matches"], json!(["length"]));
    assert_eq!(frontend.published_under(&id).content["execution_state"], "busy");
    let interrupt = frontend.request(Channel::Control, "interrupt_request", json!({}));
    assert_eq!(frontend.receive(Channel::Control).kind(), "interrupt_reply");
    let reply = frontend.receive(Channel::Shell);
    assert_eq!((reply.parent_id(), &reply.content["ename"]), (id.as_str(), &json!("Interrupted")));
    while frontend.published_under(&id).content["execution_state"] != "idle" {}
    while frontend.published_under(&interrupt).content["execution_state"] != "idle" {}
    frontend.skip_greetings();
}

#[test]
fn shutdown_and_restart_are_answered_before_the_exit() {
    for (channel, restart) in
        [(Channel::Control, false), (Channel::Control, true), (Channel::Shell, false)]
    {
        let kernel = kernel();
        let mut frontend = kernel.frontend();
        let id = frontend.request(channel, "shutdown_request", json!({ "restart": restart }));
        assert_eq!(
            frontend.receive(channel).content,
            json!({ "status": "ok", "restart": restart })
        );
        let kinds: Vec<String> =
            (0..3).map(|_| frontend.published_under(&id).kind().to_owned()).collect();
        assert_eq!(kinds, ["status", "shutdown_reply", "status"]);
        kernel.wait_for_end();
        let left: Vec<_> = std::fs::read_dir(kernel.file.folder())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(left, ["connection.json"], "sockets of the ipc transport are removed");
    }
}

#[test]
fn the_heartbeat_echoes_bytes() {
    let kernel = kernel();
    let mut frontend = kernel.frontend();
    for bytes in [&b"ping"[..], &[0, 255, 1], &b"x".repeat(5000)] {
        assert_eq!(frontend.beat(bytes), bytes);
    }
}

#[test]
fn input_is_requested_on_stdin_unless_the_client_does_not_allow_it() {
    let kernel = kernel();
    let mut frontend = kernel.frontend();
    let id = frontend.request(
        Channel::Shell,
        "execute_request",
        json!({ "code": "secret who?", "allow_stdin": true }),
    );
    let request = frontend.receive(Channel::Stdin);
    assert_eq!(request.content, json!({ "prompt": "who?", "password": true }));
    assert_eq!(request.parent_id(), id);
    frontend.request(Channel::Stdin, "input_reply", json!({ "value": "Ada", "status": "ok" }));
    assert_eq!(frontend.finish(&id).stream("stdout"), "got Ada\n");
    assert_eq!(frontend.execute("ask who?").status(), "error");
}

#[test]
fn comms_of_unknown_targets_are_closed() {
    let kernel = kernel();
    let mut frontend = kernel.frontend();
    let id = frontend.request(
        Channel::Shell,
        "comm_open",
        json!({ "comm_id": "c1", "target_name": "jupyter.widget" }),
    );
    let kinds: Vec<_> = (0..3).map(|_| frontend.published_under(&id)).collect();
    assert_eq!((kinds[1].kind(), &kinds[1].content["comm_id"]), ("comm_close", &json!("c1")));
    assert_eq!(
        frontend.ask(Channel::Shell, "comm_info_request", json!({})).content,
        json!({ "status": "ok", "comms": {} })
    );
}

#[test]
fn cursors_are_code_points() {
    let kernel = kernel();
    let mut frontend = kernel.frontend();
    let code = "e\u{301}😀.len";
    let reply =
        frontend.ask(Channel::Shell, "complete_request", json!({ "code": code, "cursor_pos": 7 }));
    assert_eq!(
        (&reply.content["cursor_start"], &reply.content["cursor_end"]),
        (&json!(4), &json!(7))
    );
    assert_eq!(reply.content["metadata"]["_jupyter_types_experimental"][0]["text"], "length");
    // The protocol's default cursor is the end of the code.
    for content in [
        json!({ "code": code, "cursor_pos": 7, "detail_level": 1 }),
        json!({ "code": code, "cursor_pos": 99, "detail_level": 1 }),
        json!({ "code": code, "detail_level": 1 }),
    ] {
        let reply = frontend.ask(Channel::Shell, "inspect_request", content);
        assert_eq!(
            (&reply.content["found"], &reply.content["data"]["text/plain"]),
            (&json!(true), &json!("cursor 7, detail 1"))
        );
    }
    let nothing = frontend.ask(Channel::Shell, "inspect_request", json!({ "code": "" }));
    assert_eq!((&nothing.content["found"], &nothing.content["data"]), (&json!(false), &json!({})));
}

#[test]
fn completeness_has_its_states() {
    let kernel = kernel();
    let mut frontend = kernel.frontend();
    for (code, expected) in [
        ("print a", json!({ "status": "complete" })),
        ("fn f() {", json!({ "status": "incomplete", "indent": "    " })),
        ("}", json!({ "status": "invalid" })),
        ("?", json!({ "status": "unknown" })),
    ] {
        let reply = frontend.ask(Channel::Shell, "is_complete_request", json!({ "code": code }));
        assert_eq!(reply.content, expected, "{code}");
    }
}

#[test]
fn the_pager_is_a_payload() {
    let kernel = kernel();
    let mut frontend = kernel.frontend();
    let page = frontend.execute("page help");
    assert_eq!(
        page.reply.content["payload"],
        json!([{ "source": "page", "data": { "text/plain": "help" }, "start": 0 }])
    );
    assert_eq!(page.outputs.len(), 0);
}

#[test]
fn user_expressions_are_evaluated_after_a_successful_cell() {
    let kernel = kernel();
    let mut frontend = kernel.frontend();
    let expressions = json!({ "good": "show a\nvalue 2", "bad": "fail broken" });
    let cell = frontend.execute_with(json!({ "code": "", "user_expressions": expressions }));
    assert_eq!(cell.kinds().len(), 0, "expressions publish nothing");
    let values = &cell.reply.content["user_expressions"];
    assert_eq!(
        values["good"],
        json!({ "status": "ok", "data": { "text/plain": "2" }, "metadata": {} })
    );
    assert_eq!(
        (&values["bad"]["status"], &values["bad"]["evalue"]),
        (&json!("error"), &json!("broken"))
    );
    let failed = frontend.execute_with(json!({ "code": "fail", "user_expressions": expressions }));
    assert_eq!(failed.reply.content["user_expressions"], json!({}));
}

#[test]
fn large_output_is_complete() {
    let kernel = kernel();
    let mut frontend = kernel.frontend();
    let line = format!("print {}\n", "é".repeat(500));
    let cell = frontend.execute(&line.repeat(500));
    assert_eq!(cell.stream("stdout").len(), 500 * 1001);
    assert!(cell.outputs.len() < 50, "{} messages", cell.outputs.len());
}

#[test]
fn the_error_for_a_taken_port_names_the_channel() {
    let file = ConnectionFile::tcp("k");
    let runtime = Runtime::new().unwrap();
    let error = runtime.block_on(async {
        let _first = Server::bind(&file.path()).await.unwrap();
        Server::bind(&file.path()).await.err().unwrap()
    });
    assert!(error.to_string().contains("shell"), "{error}");
}
