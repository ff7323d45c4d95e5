"""The standard streams belong to the cells: their output is never interpreted as control data, and their input comes from the user."""

import shutil
import subprocess
import time

import pytest

from graft_testing import ANSWER, GRAFT, Cell, Kernel, Places

LINES = ["EVCXR_EXECUTION_COMPLETE", "EVCXR_PANIC_NOTIFICATION", "EVCXR_ERROR_OCCURRED", "EVCXR_VARIABLE_CHANGED_TYPE:kept", "EVCXR_END_CONTENT"]


def printing(lines):
    return "".join(f'println!("{line}");' for line in lines)


def test_a_cell_that_prints_control_lines_shifts_no_result(kernel):
    kernel.run("let kept = 41;")
    cell = kernel.run(printing(LINES) + 'print!("half EVCXR_EXECUTION_COMPLETE\\n"); let new = 1; 7')
    assert cell.stdout == "".join(f"{line}\n" for line in LINES) + "half EVCXR_EXECUTION_COMPLETE\n"
    assert cell.displays[-1].data["text/plain"] == "7"
    assert kernel.run("kept + new").displays[-1].data["text/plain"] == "42"


def test_what_another_process_and_raw_writes_print_is_text_too(kernel):
    cell = kernel.run(
        'std::process::Command::new("echo").arg("EVCXR_EXECUTION_COMPLETE").status().unwrap();\n'
        'use std::io::Write; use std::os::fd::FromRawFd;\n'
        'let mut raw = std::mem::ManuallyDrop::new(unsafe { std::fs::File::from_raw_fd(1) });\n'
        'raw.write_all(b"EVCXR_PANIC_NOTIFICATION\\nEVCXR_EXECUTION_COMPLETE\\n\\x1egraft-mark::7\\x1e\\n").unwrap();\n5'
    )
    assert cell.stdout == "EVCXR_EXECUTION_COMPLETE\nEVCXR_PANIC_NOTIFICATION\nEVCXR_EXECUTION_COMPLETE\n\x1egraft-mark::7\x1e\n", repr(cell.stdout)
    assert cell.displays[-1].data["text/plain"] == "5"
    assert kernel.run("1 + 1").displays[-1].data["text/plain"] == "2"


def test_content_that_is_never_ended_stays_in_its_cell(kernel):
    cell = kernel.warm().run('println!("EVCXR_BEGIN_CONTENT text/html\\nlost?");')
    assert cell.stdout == "EVCXR_BEGIN_CONTENT text/html\nlost?\n" and not cell.displays
    shown = kernel.run('println!("EVCXR_BEGIN_CONTENT text/html\\n<b>x</b>\\nEVCXR_END_CONTENT");')
    assert shown.displays[-1].data["text/html"] == "<b>x</b>" and shown.stdout == ""


def test_panics_errors_and_lost_variables_are_still_told_apart(kernel):
    kernel.run("let kept = 1;\n#[derive(Debug)] struct Kind(i32);")
    kernel.run("let of_kind = Kind(3);")
    kernel.fail('let new = 2; panic!("boom");', "Panic", "boom")
    kernel.fail("new", "CompileError|cannot find value")
    kernel.fail('let n: i32 = "x".parse()?;', "invalid digit")
    assert kernel.run("kept").displays[-1].data["text/plain"] == "1"
    kernel.start("#[derive(Debug)] struct Kind(i64);\nlet again = 1;").wait()
    assert kernel.run("kept + 1").displays[-1].data["text/plain"] == "2"


def asking(kernel, code):
    cell = Cell(kernel, code, kernel.client.execute(code, allow_stdin=True))
    kernel.cells[cell.msg_id] = cell
    return cell


READ = "let mut line = String::new();\nlet bytes = std::io::stdin().read_line(&mut line).unwrap();\nprintln!(\"{bytes} {line:?}\");"


def test_a_cell_reads_what_the_user_types_where_the_client_answers(kernel):
    kernel.warm()
    cell = asking(kernel, 'print!("Name? ");\n' + READ)
    question = kernel.client.get_stdin_msg(timeout=ANSWER)
    assert question["msg_type"] == "input_request" and question["content"]["password"] is False
    kernel.client.input("Ada é")
    assert cell.wait().ok().stdout == 'Name? 7 "Ada é\\n"\n'
    # A program that the cell starts reads the same input.
    cell = asking(kernel, 'std::process::Command::new("head").arg("-n1").status().unwrap();')
    kernel.client.get_stdin_msg(timeout=ANSWER)
    kernel.client.input("to head")
    assert cell.wait().ok().stdout == "to head\n"


def test_a_cell_that_reads_where_nobody_answers_gets_the_end_of_input(kernel):
    kernel.run("let before = 5;")
    began = time.monotonic()
    cell = kernel.run(READ)
    assert cell.stdout == '0 ""\n' and time.monotonic() - began < ANSWER
    assert "end of" in cell.text
    assert kernel.run(READ).stdout == '0 ""\n'
    assert kernel.run("before").displays[-1].data["text/plain"] == "5"


def test_a_cell_that_waits_for_a_line_is_stopped_and_loses_nothing(kernel):
    kernel.run("let before = 5;")
    child = kernel.child().pid
    cell = asking(kernel, READ)
    kernel.client.get_stdin_msg(timeout=ANSWER)
    kernel.interrupt()
    assert cell.wait(ANSWER).status == "error" and "interrupted while the cell waited" in cell.failure, cell.failure
    assert kernel.child().pid == child
    assert kernel.run("before").displays[-1].data["text/plain"] == "5"


def test_graft_run_reads_the_terminal(places):
    script = places.work / "read.rs"
    script.write_text(READ + "\n// %%\n" + READ + "\n// %%\n" + READ)
    done = subprocess.run(
        [str(GRAFT), "run", str(script)], env=places.environment(), cwd=places.work, input="first\nsecond\n", capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr
    assert [line for line in done.stdout.splitlines() if '"' in line] == ['6 "first\\n"', '7 "second\\n"', '0 ""'], done.stdout


@pytest.mark.parametrize("presses,pause", [(3, 0.0), (10, 0.02), (5, 0.3)])
def test_a_storm_of_presses_leaves_a_session(kernel, presses, pause):
    kernel.warm()
    for _ in range(5):
        cell = kernel.start('println!("in"); loop { std::thread::sleep(std::time::Duration::from_millis(20)); }')
        cell.wait_for(lambda it: "in" in it.stdout or it.status)
        for _ in range(presses):
            kernel.interrupt()
            kernel.rest(pause)
        kernel.rest(0.6)
        kernel.interrupt()
        assert cell.wait(ANSWER).status == "error"
        status = kernel.start("%status")
        for _ in range(presses):
            kernel.interrupt()
        status.wait(ANSWER)
    assert kernel.run("%seed").status == "ok"
    assert kernel.run("1 + 1").displays[-1].data["text/plain"] == "2"


def test_two_quick_presses_keep_the_session(kernel):
    kernel.run("%model load tiny\n%data load which-book\n%lora attach r=2")
    for _ in range(5):
        child = kernel.child().pid
        cell = kernel.start("%train steps=100000").wait_for(lambda it: len(it.displays) > 0)
        kernel.interrupt()
        kernel.interrupt()
        cell.wait(ANSWER)
        assert kernel.child().pid == child, "the session was killed"


@pytest.mark.skipif(shutil.which("rustup") is None, reason="only rustup obeys the file")
def test_a_toolchain_file_in_the_notebooks_folder_runs_nothing():
    with Places() as places:
        evil = places.work / "evil" / "bin"
        evil.mkdir(parents=True)
        for name in ["rustc", "cargo"]:
            (evil / name).write_text(f"#!/bin/sh\ntouch {places.work}/mark\nexit 1\n")
            (evil / name).chmod(0o755)
        (places.work / "rust-toolchain.toml").write_text(f'[toolchain]\npath = "{evil.parent}"\n')
        cargo = places.work / ".cargo"
        cargo.mkdir()
        (cargo / "config.toml").write_text(f'[build]\nrustc = "{evil}/rustc"\nrustc-wrapper = "{evil}/rustc"\n[target.x86_64-unknown-linux-gnu]\nlinker = "{evil}/rustc"\n')
        with Kernel(places) as kernel:
            assert kernel.run("%seed").text
            assert kernel.run("1 + 1").displays[-1].data["text/plain"] == "2"
            assert kernel.run('fn twice(x: i32) -> i32 { 2 * x }\ntwice(4)').displays[-1].data["text/plain"] == "8"
        assert not (places.work / "mark").exists()
