"""The wire protocol: signatures, replayed messages, heartbeat, transports and shutdown."""

import time

import zmq

from graft_testing import ANSWER, Kernel, gone


def frames(kernel, content, kind="execute_request"):
    """Builds the frames of a signed request."""
    session = kernel.client.session
    return session.serialize(session.msg(kind, content))


def send(kernel, parts):
    kernel.client.shell_channel.socket.send_multipart(parts)


def answered(kernel, seconds=1.5):
    """Whether a shell reply arrives."""
    return kernel.client.shell_channel.socket.poll(int(seconds * 1000)) != 0


def test_the_signature_covers_exactly_four_frames(kernel):
    whole = frames(kernel, {"code": "%seed 41", "silent": False})
    send(kernel, [*whole, b"a buffer", b"another"])
    assert kernel.client.get_shell_msg(timeout=ANSWER)["content"]["status"] == "ok", "buffers are not signed"
    for index in range(2, 6):
        changed = list(frames(kernel, {"code": "%seed 42", "silent": False}))
        changed[index] = changed[index][:-1] + b" }"
        send(kernel, changed)
    assert not answered(kernel), "a changed frame was accepted"
    assert "41" in kernel.run("%seed").text


def test_a_replayed_message_does_no_harm(kernel):
    parts = frames(kernel, {"code": "%seed 43", "silent": False})
    for _ in range(3):
        send(kernel, parts)
    kernel.rest(1)
    assert "43" in kernel.run("%seed").text


def test_the_heartbeat_echoes(kernel):
    info = kernel.manager.get_connection_info()
    context = zmq.Context()
    socket = context.socket(zmq.REQ)
    socket.connect(f"tcp://{info['ip']}:{info['hb_port']}")
    # The heartbeat answers while the kernel is busy.
    cell = kernel.start("std::thread::sleep(std::time::Duration::from_secs(3));")
    for word in [b"ping", bytes(range(256)), b""]:
        socket.send(word)
        assert socket.poll(ANSWER * 1000) and socket.recv() == word
    cell.wait().ok()
    context.destroy(linger=0)


def test_a_restart_gives_a_new_session(kernel):
    kernel.run("%model load tiny")
    kernel.run("let kept = 1;")
    first = kernel.process.pid
    kernel.manager.restart_kernel()
    kernel.client.wait_for_ready(timeout=ANSWER)
    assert gone(first) and kernel.process.pid != first
    assert kernel.run("%seed").reply["execution_count"] == 1
    assert "none: `%model load" in kernel.run("%status").text
    kernel.fail("kept", "cannot find value")


def test_sockets_can_be_files():
    with Kernel(transport="ipc") as kernel:
        kernel.run("%model load tiny")
        assert kernel.warm().run("1 + 1").text.strip() == "2"


def test_starting_is_told_once_and_parents_are_kept(kernel):
    context = zmq.Context()
    info = kernel.manager.get_connection_info()
    socket = context.socket(zmq.SUB)
    socket.subscribe(b"")
    socket.connect(f"tcp://{info['ip']}:{info['iopub_port']}")
    time.sleep(0.5)
    cell = kernel.run("%seed")
    for message in cell.messages:
        assert message["parent_header"]["msg_id"] == cell.msg_id and message["parent_header"]["session"] == kernel.client.session.session
    topics = []
    while socket.poll(500):
        topics.append(socket.recv_multipart()[0].decode())
    assert "kernel.graft.iopub_welcome" in topics and "kernel.graft.status" in topics, topics
    context.destroy(linger=0)


def test_a_client_that_stops_reading_stalls_nobody(kernel):
    """The queue of the client is bounded: the cell ends, the other clients get all output, and the memory of the kernel stays bounded."""
    kernel.run("let line = \"x\".repeat(1 << 16);")
    context = zmq.Context()
    info = kernel.manager.get_connection_info()
    deaf = context.socket(zmq.SUB)
    deaf.setsockopt(zmq.RCVHWM, 1)
    deaf.setsockopt(zmq.RCVBUF, 1 << 14)
    deaf.subscribe(b"")
    deaf.connect(f"tcp://{info['ip']}:{info['iopub_port']}")
    time.sleep(0.5)
    before = kernel.process.memory_info().rss
    cell = kernel.run("for _ in 0..2400 { println!(\"{line}\"); }\nprintln!(\"the end\");")
    assert len(cell.stdout) == 2400 * ((1 << 16) + 1) + len("the end\n") and cell.stdout.endswith("the end\n"), cell.stdout[-200:]
    grown = (kernel.process.memory_info().rss - before) / 1e6
    assert grown < 300, f"{grown:.0f} MB"
    assert kernel.run("1 + 1").text.strip() == "2"
    context.destroy(linger=0)
