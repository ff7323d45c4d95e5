"""Every request of the protocol, with the answers that a client gets."""

import time

from graft_testing import ANSWER, Cell, Kernel


def statuses(kernel, msg_id):
    """The states that iopub published for one request, up to the last one."""
    states = []
    end = time.monotonic() + ANSWER
    while states[-1:] != ["idle"] and time.monotonic() < end:
        message = kernel.client.get_iopub_msg(timeout=ANSWER)
        if message["parent_header"].get("msg_id") == msg_id and message["msg_type"] == "status":
            states.append(message["content"]["execution_state"])
    return states


def test_every_request_is_between_busy_and_idle(kernel):
    session, client = kernel.client.session, kernel.client
    shell = [
        ("kernel_info_request", {}), ("complete_request", {"code": "%tr", "cursor_pos": 3}), ("inspect_request", {"code": "%train", "cursor_pos": 3, "detail_level": 0}),
        ("is_complete_request", {"code": "1"}), ("history_request", {"hist_access_type": "tail", "n": 1, "output": False, "raw": True}), ("comm_info_request", {}),
        ("execute_request", {"code": "%seed"}),
    ]
    for channel, requests in [(client.shell_channel, shell), (client.control_channel, [("kernel_info_request", {}), ("interrupt_request", {})])]:
        for kind, content in requests:
            msg_id = session.send(channel.socket, kind, content)["header"]["msg_id"]
            reply = channel.get_msg(timeout=ANSWER)
            assert reply["msg_type"] == kind.replace("request", "reply"), reply
            assert reply["parent_header"]["msg_id"] == msg_id and reply["content"]["status"] in ("ok", "complete"), reply
            assert statuses(kernel, msg_id) == ["busy", "idle"], kind


def test_silent_cells_leave_no_trace(kernel):
    cell = kernel.run("%seed 5", silent=True)
    assert [message["msg_type"] for message in cell.messages] == ["status", "status"], cell.messages
    kernel.run("%seed 6", store_history=False)
    kernel.run("%seed 7")
    told = kernel.ask(lambda: kernel.client.history(hist_access_type="tail", n=5, output=False, raw=True))["history"]
    assert [entry[2] for entry in told] == ["%seed 7"], told
    assert "7" in kernel.run("%seed").text


def test_expressions_come_with_the_reply(kernel):
    """Their results go into the reply and not onto the page, and a failing expression affects neither the cell nor the other expressions."""
    cell = kernel.warm().run("let n = 6;", user_expressions={"product": "n * 7", "wrong": "nothing + 1", "magic": "%seed"})
    values = cell.reply["user_expressions"]
    assert values["product"]["status"] == "ok" and values["product"]["data"]["text/plain"] == "42", values
    assert values["wrong"]["status"] == "error" and "nothing" in "".join(values["wrong"]["traceback"]), values
    assert "text/plain" in values["magic"]["data"], values
    assert not cell.displays and not cell.error, cell.messages
    failed = kernel.start("broken(", user_expressions={"n": "n"}).wait()
    assert failed.status == "error" and failed.reply["user_expressions"] == {}


def test_comms_that_nobody_knows_are_closed(kernel):
    msg_id = kernel.client.session.send(kernel.client.shell_channel.socket, "comm_open", {"comm_id": "a1", "target_name": "nobody", "data": {}})["header"]["msg_id"]
    end = time.monotonic() + ANSWER
    while time.monotonic() < end:
        message = kernel.client.get_iopub_msg(timeout=ANSWER)
        if message["msg_type"] == "comm_close":
            assert message["content"]["comm_id"] == "a1" and message["parent_header"]["msg_id"] == msg_id
            break
    for kind in ["comm_msg", "comm_close", "comm_open_from_the_future"]:
        kernel.client.session.send(kernel.client.shell_channel.socket, kind, {"comm_id": "a1", "data": {}})
    assert kernel.ask(kernel.client.comm_info)["comms"] == {}


def test_history_outlives_the_kernel(places):
    with Kernel(places) as kernel:
        kernel.run("%seed 11")
        kernel.run("%seed 12")
        kernel.run("%seed 11")
        kernel.manager.restart_kernel()
        kernel.client.wait_for_ready(timeout=ANSWER)
        kernel.run("%seed 13")
        history = lambda **wanted: [entry[1:] for entry in kernel.ask(lambda: kernel.client.history(raw=True, output=False, **wanted))["history"]]
        assert history(hist_access_type="tail", n=3) == [[2, "%seed 12"], [3, "%seed 11"], [1, "%seed 13"]]
        assert history(hist_access_type="search", pattern="%seed 1[12]", unique=True) == [[2, "%seed 12"], [3, "%seed 11"]]
        assert history(hist_access_type="range", session=-1, start=1, stop=3) == [[1, "%seed 11"], [2, "%seed 12"]]
        assert history(hist_access_type="range", session=0) == [[1, "%seed 13"]]
    with Kernel(places, env={"GRAFT_HISTORY": "off"}) as kernel:
        kernel.run("%seed 14")
        told = kernel.ask(lambda: kernel.client.history(hist_access_type="tail", n=9, output=False, raw=True))["history"]
        assert [entry[2] for entry in told] == ["%seed 14"], told


def test_a_cell_is_complete_incomplete_invalid_or_unknown(kernel):
    judged = lambda code: kernel.ask(lambda: kernel.client.is_complete(code))
    assert judged("let x = 1;")["status"] == "complete"
    assert judged("fn f() {") == {"status": "incomplete", "indent": "    "}
    assert judged("fn f() { ]")["status"] == "invalid"
    assert judged("!echo 'open")["status"] == "unknown"


def test_help_goes_to_the_pager_and_files_into_the_cell(kernel):
    cell = kernel.run("%lora?")
    assert "lora_alpha" in cell.page and not cell.displays
    assert [part["source"] for part in cell.reply["payload"]] == ["page"] and "text/html" in cell.reply["payload"][0]["data"]
    (kernel.places.work / "cell.rs").write_text("let from_file = 1;\n")
    payload = kernel.run("%load cell.rs").reply["payload"]
    assert payload == [{"source": "set_next_input", "text": "let from_file = 1;\n", "replace": True}], payload


def test_a_cell_can_ask_the_user(kernel):
    """A line and a password; if no frontend can answer, the cell reports that and ends."""
    kernel.run(':dep evcxr_input = "1"', timeout=600)
    for call, hidden in [("get_string", False), ("get_password", True)]:
        code = f'let typed = evcxr_input::{call}("Name? ");\nprintln!("hello {{typed}}");'
        cell = Cell(kernel, code, kernel.client.execute(code, allow_stdin=True))
        kernel.cells[cell.msg_id] = cell
        question = kernel.client.get_stdin_msg(timeout=300)
        assert question["content"] == {"prompt": "Name? ", "password": hidden}, question
        kernel.client.input("Ada é 🦀")
        assert cell.wait().ok().stdout.strip() == "hello Ada é 🦀"
    kernel.fail('evcxr_input::get_string("Name? ");', "StdinNotAvailable", "not available here")
    assert kernel.run("1 + 1").text.strip() == "2"


def test_displays_change_and_output_is_cleared(kernel):
    cell = kernel.warm().run('let shown = lab().display_html("<b>one</b>");\nshown.update(&graft::Markdown("**two**".into()));')
    assert [sorted(version) for version in cell.displays[0].versions] == [["text/html", "text/plain"], ["text/markdown", "text/plain"]]
    later = kernel.run('let mut table = Table::new("scores", &["name", "#loss"]);\ntable.row(&["base", "1.5"]);\nshown.update(&table);')
    assert not later.displays and "base" in cell.displays[0].data["text/html"]
    cell = kernel.run('println!("gone");\nlab().clear_output();\nprintln!("kept");')
    assert cell.stdout == "kept\n", cell.messages
    cell = kernel.run('lab().clear_output_on_next();')
    assert [message["content"] for message in cell.messages if message["msg_type"] == "clear_output"] == [{"wait": True}]


def test_streams_come_as_they_are_written(kernel):
    """A progress bar without line breaks is updated while the cell runs, and each stream keeps its order."""
    kernel.warm()
    cell = kernel.start(
        'use std::io::Write;\nfor i in 0..8 { print!("\\r{} of 8", i + 1); std::io::stdout().flush()?; std::thread::sleep(std::time::Duration::from_millis(250)); }\n'
        'eprintln!("warned");\nlab().display_html("<i>end</i>");\nprintln!("after");'
    )
    cell.wait_for(lambda cell: "2 of 8" in cell.stdout)
    assert not cell.idle and "8 of 8" not in cell.stdout, "the progress bar appeared only at the end"
    cell.wait().ok()
    assert cell.stdout == "".join(f"\r{i} of 8" for i in range(1, 9)) + "after\n"
    assert cell.stderr == "warned\n"
    order = [message["msg_type"] if message["msg_type"] != "stream" else message["content"]["text"][-6:] for message in cell.messages]
    assert order.index("display_data") < order.index("after\n"), order
