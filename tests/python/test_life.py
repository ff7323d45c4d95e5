"""Interrupts, killed processes and several kernels: what a user loses and what is kept."""

import re
import shutil
import subprocess

import psutil

from graft_testing import ANSWER, GRAFT, Kernel, Places, gone, kill, number
from test_main_job import ready

LONG_RUN = "%train steps=100000 batch=2 save_every=1"


def has_steps(count):
    """Whether the plot of a cell has reached that step."""
    return lambda cell: any(number(r"(\d+)", found) >= count for found in re.findall(r"step\s+([\d,]+)", cell.text, re.I))


def steps_shown(cell):
    """The steps that the display of a cell showed while it ran, in order."""
    shown = [bundle.get("text/plain", "") for display in cell.displays for bundle in display.versions]
    return [number(r"([\d,]+)", found) for text in shown for found in re.findall(r"^step [\d,]+/", text)]


def test_the_stop_button_keeps_everything(kernel):
    """The first press ends training at the next step; the model, the adapter and the curve are kept, and `%resume` continues the run."""
    ready(kernel)
    before = kernel.child().pid
    cell = kernel.start(LONG_RUN).wait_for(has_steps(3))
    kernel.interrupt()
    cell.wait(ANSWER)
    stopped = number(r"stopped at step ([\d,]+)", cell.text)
    assert "image/svg+xml" in max(cell.displays, key=lambda display: len(display.versions)).data, "the curve is gone"
    assert kernel.child().pid == before, "the child was killed"
    assert number(r"trainable params: ([\d,]+)", kernel.run("%params").text) > 0
    resumed = kernel.start("%resume").wait_for(lambda it: max(steps_shown(it), default=0) > stopped)
    kernel.interrupt()
    resumed.wait(ANSWER)
    assert min(steps_shown(resumed)) >= stopped, "it restarted instead of resuming"


def test_an_endless_rust_loop_is_ended(kernel):
    """The first press asks, and the second press kills; the message names the lost variables, and the kernel keeps running."""
    kernel.run("let precious = vec![1, 2, 3];")
    cell = kernel.start('println!("running");\nloop { std::thread::sleep(std::time::Duration::from_millis(50)); }')
    cell.wait_for(lambda it: "running" in it.stdout)
    kernel.interrupt()
    kernel.rest(1)
    assert not cell.idle, "one press must not kill at once"
    kernel.interrupt()
    cell.wait(ANSWER)
    assert cell.status == "error"
    seen = cell.failure + cell.text
    assert "precious" in seen, seen
    assert "2" in kernel.run("1 + 1").text
    assert "tiny" in kernel.run("%model load tiny").text


def test_one_press_is_enough_after_the_grace(kernel):
    """nbclient interrupts only once: after ten seconds without an answer, the child is killed."""
    cell = kernel.start('println!("running");\nloop { std::hint::spin_loop(); }').wait_for(lambda it: "running" in it.stdout)
    kernel.interrupt()
    cell.wait(ANSWER)
    assert cell.status == "error"
    assert "2" in kernel.run("1 + 1").text


def test_a_killed_child_is_replaced_and_its_run_resumed(kernel):
    """`kill -9` during training: the cell reports it, a new child answers at once, and `%resume` continues from the last checkpoint."""
    ready(kernel)
    cell = kernel.start(LONG_RUN).wait_for(has_steps(3))
    kernel.rest(3)
    old = kernel.child()
    kill(old)
    cell.wait(ANSWER)
    assert cell.status == "error", cell.text
    assert re.search(r"resume", cell.failure, re.I), cell.failure
    kernel.run("%status", timeout=ANSWER)
    assert kernel.child().pid != old.pid
    resumed = kernel.start("%resume").wait_for(has_steps(4))
    kernel.interrupt()
    resumed.wait(ANSWER)
    first = [number(r"(\d+)", step) for step in re.findall(r"step\s+([\d,]+)", resumed.text, re.I)]
    assert first and first[0] > 1, "it restarted instead of resuming"


def test_a_killed_child_leaves_rust_cells_working(kernel):
    kernel.run("let a = 1;")
    kill(kernel.child())
    kernel.rest(2)
    kernel.start("1 + 1").wait()
    assert "4" in kernel.run("2 + 2").text
    assert number(r"(\d+)", kernel.run("println!(\"{}\", lab().seed());").stdout) >= 0


def test_two_kernels_do_not_disturb_each_other():
    """Both start and compile at the same time, each with its own variables and its own session."""
    with Places() as places, Kernel(places) as one, Kernel(places) as two:
        cells = [(kernel, kernel.start(f"let mine = {value};\nprintln!(\"{{}}\", mine);")) for value, kernel in [(1, one), (2, two)]]
        for value, (_kernel, cell) in enumerate(cells, start=1):
            assert cell.wait().ok().stdout.strip() == str(value)
        one.run("%model load tiny")
        assert "tiny" in one.run("%status").text
        assert "tiny" not in two.run("%status").text.replace("%model load tiny", "")


def test_nothing_is_left_behind(places):
    """After a kernel has exited, none of its processes and no session directory remain."""
    with Kernel(places) as kernel:
        kernel.run("let a = 1;")
        family = [kernel.process, *kernel.process.children(recursive=True)]
        sessions = places.root / "cache" / "graft" / "sessions"
        assert any(sessions.iterdir()), "no session directory was created, so the test could not check that it is removed"
    for process in family:
        assert gone(process.pid), f"{process} is still running"
    assert not any(sessions.iterdir()), list(sessions.iterdir())
    assert not any(places.runtime.rglob("*.sock")), list(places.runtime.rglob("*"))


def test_a_killed_host_takes_its_child_along(places):
    """`kill -9` of the host, as on a machine that runs out of memory: the child exits, and the next kernel removes the session."""
    with Kernel(places) as kernel:
        kernel.run("%model load tiny")
        family = kernel.process.children(recursive=True)
        kill(kernel.process)
        for process in family:
            assert gone(process.pid), f"{process} is still running"
        kernel.client.stop_channels()
    with Kernel(places) as kernel:
        kernel.run("let a = 1;")
        sessions = [it for it in (places.root / "cache" / "graft" / "sessions").iterdir() if it.is_dir()]
        assert len(sessions) == 1, sessions


def test_a_library_of_another_compiler_is_noticed_and_rebuilt(places):
    """The prebuilt library does not match another compiler: `graft doctor` reports it, magics work, and the first Rust cell builds a new library and shows the progress."""
    compiler = shutil.which("rustc")
    shim = places.folder("compiler") / "rustc"
    shim.write_text(f"""#!/bin/sh
case "$*" in
    *-vV*) "{compiler}" "$@" | sed 's/^commit-hash: .*/commit-hash: another/' ;;
    *) exec "{compiler}" "$@" ;;
esac
""")
    shim.chmod(0o755)
    done = subprocess.run([GRAFT, "doctor"], env=other(places, shim), capture_output=True, text=True, timeout=ANSWER)
    compilers = next(line for line in done.stdout.splitlines() if line[6:].startswith("rustc "))
    assert compilers.startswith("note") and "first Rust cell builds it" in compilers, compilers
    with Kernel(places, env={"PATH": other(places, shim)["PATH"]}) as kernel:
        assert "tiny" in kernel.run("%model load tiny\n%status").text
        cell = kernel.start("1 + 1")
        shown = lambda it: any(re.search("building the library", bundle.get("text/plain", "")) for display in it.displays for bundle in display.versions)
        cell.wait_for(shown, ANSWER)


def other(places, shim):
    """An environment in which that compiler is first on the PATH."""
    environment = places.environment()
    return {**environment, "PATH": f"{shim.parent}:{environment['PATH']}"}


def test_memory_is_modest(kernel):
    """Host and child together, with magics only, need at most 100 MiB."""
    kernel.run("%status")
    kernel.rest(1)
    family = [kernel.process, *kernel.process.children(recursive=True)]
    mib = sum(psutil.Process(it.pid).memory_full_info().pss for it in family) / 2**20
    assert mib <= 100, f"{mib:.0f} MiB"


def test_inline_data_survives_an_interrupt(kernel):
    ready(kernel)
    shown = kernel.run("%data show n=4").text
    cell = kernel.start(LONG_RUN).wait_for(has_steps(2))
    kernel.interrupt()
    assert cell.wait(ANSWER).status == "error"
    assert "signals" in kernel.run("%status").text
    assert kernel.run("%data show n=4").text == shown
