"""Unusual environments: ports in use, a read-only home, no compiler, and clients that disappear."""

import json
import socket
import subprocess
import time

from jupyter_client import BlockingKernelClient

from graft_testing import ANSWER, GRAFT, Kernel, Places, graft
from test_main_job import ready


def test_a_port_that_is_taken_is_named():
    with Places() as places, socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        info = {"ip": "127.0.0.1", "transport": "tcp", "key": "k", "signature_scheme": "hmac-sha256", "kernel_name": "graft"}
        info.update({f"{name}_port": taken.getsockname()[1] if name == "iopub" else 0 for name in ["shell", "iopub", "stdin", "control", "hb"]})
        path = places.work / "connection.json"
        path.write_text(json.dumps(info))
        done = subprocess.run([str(GRAFT), "kernel", "-f", str(path)], env=places.environment(), capture_output=True, text=True, timeout=ANSWER)
        assert done.returncode == 1 and "iopub" in done.stderr and str(info["iopub_port"]) in done.stderr and "restart the kernel" in done.stderr, done.stderr


def test_a_home_that_cannot_be_written():
    """The kernel and magics still work: the cache goes to the temporary directory, and the history stays in memory."""
    with Kernel(env={name: "/proc/nowhere" for name in ["HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CONFIG_HOME"]}) as kernel:
        kernel.run("%model load tiny")
        kernel.run("%lora attach r=2")
        assert kernel.run("1 + 1").text.strip().endswith("2")
        told = kernel.ask(lambda: kernel.client.history(hist_access_type="tail", n=1, output=False, raw=True))["history"]
        assert [entry[2] for entry in told] == ["1 + 1"]


def test_no_folder_that_can_be_written():
    """Neither home, temporary directory nor notebook folder: the cell says which variable to set, and the kernel goes on."""
    nowhere = {name: "/proc/nowhere" for name in ["HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CONFIG_HOME", "TMPDIR"]}
    with Kernel(env=nowhere, cwd="/proc") as kernel:
        kernel.fail("%model load tiny", "/proc/nowhere", "XDG_CACHE_HOME")
        assert "%train" in kernel.run("%lsmagic").text


def test_no_compiler_on_the_path(places):
    """Every magic works, and a Rust cell reports in one line what to install."""
    bare = places.folder("bare")
    (bare / "sh").symlink_to("/bin/sh")
    with Kernel(places, env={"PATH": str(bare), "RUSTUP_HOME": "/nowhere", "CARGO_HOME": "/nowhere"}) as kernel:
        ready(kernel)
        kernel.run("%train steps=2 batch=2")
        kernel.fail("1 + 1", "RustMissing", "rustup.rs")
        assert "tiny" in kernel.run("%status").text


def test_sources_that_are_nowhere():
    """A RUST_SRC_PATH that does not exist is ignored if other sources are available."""
    with Kernel(env={"RUST_SRC_PATH": "/nowhere"}) as kernel:
        assert kernel.run("let v = vec![1, 2];\nv.len()").text.strip().endswith("2")


def test_a_full_disk_at_the_start(places):
    """There is no space for the session folder: the kernel answers with an error that says what to do."""
    tiny = places.folder("tiny")
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", str(tiny)], capture_output=True).returncode == 0
    if not mounted:
        print("no permission to mount: the full disk is not tried")
        return
    try:
        (tiny / "filler").write_bytes(b"x" * 4096)
        with Kernel(places, env={"XDG_CACHE_HOME": str(tiny), "XDG_DATA_HOME": str(tiny), "TMPDIR": str(tiny)}) as kernel:
            kernel.fail("%model load tiny", "session.s folder|no space|free disk space", "XDG_CACHE_HOME")
            assert kernel.run("%lsmagic").text
    finally:
        subprocess.run(["umount", "-l", str(tiny)], check=True)


def test_a_full_disk_while_installing(places):
    """An installation that runs out of space leaves no files."""
    tiny = places.folder("tiny")
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(tiny)], capture_output=True).returncode != 0:
        print("no permission to mount: the full disk is not tried")
        return
    try:
        prefix = tiny / "prefix"
        done = graft("install", "--prefix", prefix, places=places, check=False)
        assert done.returncode != 0 and "free disk space" in done.stderr, (done.stdout, done.stderr)
        assert not (prefix / "share" / "jupyter").exists() and not (prefix / "bin" / "graft").exists()
    finally:
        subprocess.run(["umount", "-l", str(tiny)], check=True)


def test_a_client_that_vanishes_in_the_middle_of_a_cell(kernel):
    """The training run continues, and another client can use the kernel."""
    ready(kernel)
    vanishing = kernel.manager.client()
    vanishing.start_channels()
    vanishing.wait_for_ready(timeout=ANSWER)
    vanishing.execute("%train steps=40 batch=2 eval_every=0")
    time.sleep(0.3)
    vanishing.stop_channels()
    assert "lora-001" in kernel.run("%status").text
    assert kernel.run("%eval examples=4").text


def test_a_request_before_any_subscriber(places):
    """VS Code sends the first request before it subscribes to iopub, and must still get the idle status."""
    runtime = places.folder("jupyter-runtime")
    with Kernel(places) as donor:
        info = dict(donor.manager.get_connection_info())
    info["key"] = info["key"].decode()
    path = runtime / "early.json"
    path.write_text(json.dumps(info))
    process = subprocess.Popen([str(GRAFT), "kernel", "-f", str(path)], env=places.environment(), cwd=places.work)
    try:
        client = BlockingKernelClient(connection_file=str(path))
        client.load_connection_file()
        # Connect shell first, and iopub only after the request was sent.
        client.shell_channel.start()
        msg_id = client.execute("%seed")
        client.iopub_channel.start()
        states, end = [], time.monotonic() + ANSWER
        while "idle" not in states and time.monotonic() < end:
            message = client.get_iopub_msg(timeout=ANSWER)
            if message["parent_header"].get("msg_id") == msg_id and message["msg_type"] == "status":
                states.append(message["content"]["execution_state"])
        assert states[-1] == "idle", states
        client.stop_channels()
    finally:
        process.terminate()
        process.wait(30)
