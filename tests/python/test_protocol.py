"""The Jupyter protocol, checked by its official test suite and by a misbehaving client."""

import json
import subprocess

import jupyter_kernel_test
import zmq

from graft_testing import ANSWER, GRAFT, KERNEL_NAME, Kernel, gone

# The suite waits 15 seconds for a reply, which is short while other tests compile at the same time.
jupyter_kernel_test.TIMEOUT = ANSWER
jupyter_kernel_test.KernelTests.execute_helper.__defaults__ = (ANSWER, False, True, True)
jupyter_kernel_test.KernelTests.history_helper.__defaults__ = (ANSWER,)


class Conformance(jupyter_kernel_test.KernelTests):
    """jupyter_kernel_test with every attribute that applies to this kernel, so that nothing is skipped."""

    nothing_is_skipped = True
    kernel_name = KERNEL_NAME
    language_name = "rust"
    file_extension = ".rs"
    code_hello_world = 'println!("hello, world");'
    code_stderr = 'eprintln!("to stderr");'
    completion_samples = [{"text": "%lor", "matches": {"%lora"}}, {"text": "%trai", "matches": {"%train", "%trainable_tokens"}}]
    complete_code_samples = ["let a = 1;", "%status", "1 + 1"]
    incomplete_code_samples = ["fn f() {", "let a = (1,"]
    code_page_something = "%lora?"
    code_generate_error = 'let a: i32 = "text";'
    code_execute_result = [{"code": "6 * 7", "result": "42", "mime": "text/plain"}]
    code_display_data = [{"code": "%lsmagic", "mime": "text/plain"}]
    code_history_pattern = "6*7"
    supported_history_operations = ("tail", "range", "search")
    code_inspect_sample = "%train"
    code_clear_output = "lab().clear_output();"

    @classmethod
    def setUpClass(cls):
        cls.kernel = Kernel()
        # The first Rust cell has to start evcxr. Another test measures that.
        cls.kernel.run("let warm = 1;")
        cls.km, cls.kc = cls.kernel.manager, cls.kernel.client

    @classmethod
    def tearDownClass(cls):
        cls.kernel.__exit__()


class Welcome(jupyter_kernel_test.IopubWelcomeTests):
    """The first message of a new subscription."""

    nothing_is_skipped = True
    kernel_name = KERNEL_NAME
    support_iopub_welcome = True

    @classmethod
    def setUpClass(cls):
        # The kernel is started, but its client does not listen yet: the suite opens the channels itself.
        cls.kernel = Kernel()
        cls.km, cls.kc = cls.kernel.manager, cls.kernel.manager.client()

    @classmethod
    def tearDownClass(cls):
        cls.kc.stop_channels()
        cls.kernel.__exit__()


def test_a_wrong_signature_is_dropped(kernel):
    """A message signed with another key gets no answer and has no effect."""
    stranger = kernel.manager.client()
    stranger.session.key = b"another key"
    stranger.start_channels()
    stranger.execute("%seed 99")
    kernel.rest(1.5)
    assert not stranger.shell_channel.msg_ready()
    stranger.stop_channels()
    assert "99" not in kernel.run("%seed").text


def test_garbage_on_the_socket_is_survived(kernel):
    """Frames that do not form a message."""
    info = kernel.manager.get_connection_info()
    context = zmq.Context()
    socket = context.socket(zmq.DEALER)
    socket.connect(f"tcp://{info['ip']}:{info['shell_port']}")
    for frames in ([b"x"], [b""], [b"<IDS|MSG>"], [b"<IDS|MSG>", b"", b"{", b"{}", b"{}", b"{}"], [b"\xff" * 100] * 9):
        socket.send_multipart(frames)
    kernel.rest(1)
    kernel.run("%status")
    context.destroy(linger=0)


def test_a_damaged_connection_file_is_named(places):
    """A truncated, empty, missing or wrongly typed file gives one line that names the file, and a non-zero exit code."""
    whole = json.dumps({"shell_port": 1})
    for name, text in [("cut.json", whole[:8]), ("empty.json", ""), ("wrong.json", "[1]"), ("missing.json", None)]:
        path = places.work / name
        if text is not None:
            path.write_text(text)
        done = subprocess.run([str(GRAFT), "kernel", "-f", str(path)], env=places.environment(), capture_output=True, text=True, timeout=ANSWER)
        assert done.returncode != 0 and name in done.stderr, (name, done.returncode, done.stderr)
        assert "panicked" not in done.stderr, done.stderr


def test_cursors_count_code_points(kernel):
    """Characters outside the basic multilingual plane and combining marks before the cursor do not shift the span."""
    for before in ["", "// 🦀 e\u0301\n"]:
        code = before + "%model lo"
        reply = kernel.complete(code)
        assert "load" in " ".join(reply["matches"]), reply
        assert reply["cursor_end"] == len(code) and reply["cursor_start"] == len(code) - 2, reply
        types = reply["metadata"]["_jupyter_types_experimental"]
        assert [it["text"] for it in types] == reply["matches"]


def test_completion_knows_keys_values_and_modules(kernel):
    assert any("lora_alpha" in it for it in kernel.complete("%lora attach lora_al")["matches"])
    assert any("cosine" in it for it in kernel.complete("%train schedule=co")["matches"])
    kernel.run("%model load tiny")
    assert any("q_proj" in it for it in kernel.complete("%lora attach target_modules=q_")["matches"])


def test_magics_are_explained(kernel):
    shown = kernel.inspect("%train steps=1", cursor=3)
    assert shown["found"] and "steps" in shown["data"]["text/plain"], shown
    assert "text/html" in shown["data"]
    assert "lora_alpha" in kernel.run("%lora -h").page
    assert "lora_alpha" in kernel.run("%lora?").page
    listed = kernel.run("%lsmagic").text
    for verb in ["%model", "%data", "%lora", "%prompt_tune", "%train", "%resume", "%eval", "%generate", "%compare", "%params", ":dep"]:
        assert verb in listed, f"{verb} is not in\n{listed}"


def test_questions_are_answered_while_training():
    """Completion, inspection and kernel_info do not wait for a cell."""
    from test_life import LONG_RUN, has_steps
    from test_main_job import ready

    with Kernel() as kernel:
        ready(kernel)
        cell = kernel.start(LONG_RUN).wait_for(has_steps(2))
        assert "%train" in kernel.complete("%tra")["matches"]
        assert kernel.inspect("%train", cursor=3)["found"]
        msg_id = kernel.client.session.send(kernel.client.control_channel.socket, "kernel_info_request")["header"]["msg_id"]
        reply = kernel.client.get_control_msg(timeout=ANSWER)
        assert reply["parent_header"]["msg_id"] == msg_id
        assert not cell.idle and cell.reply is None, "training had ended before the request was sent"
        kernel.interrupt()
        cell.wait(ANSWER)


def test_numbering_follows_the_specification(kernel):
    """The first cell has number 1; silent cells and cells that are not stored in the history do not count."""
    assert kernel.run("%seed").reply["execution_count"] == 1
    kernel.run("%seed", silent=True)
    kernel.run("%seed", store_history=False)
    assert kernel.run("%seed").reply["execution_count"] == 2


def test_a_shutdown_is_answered(kernel):
    process = kernel.process
    kernel.client.shutdown()
    assert kernel.client.get_control_msg(timeout=ANSWER)["msg_type"] == "shutdown_reply"
    assert gone(process.pid)
