"""The binary in a terminal: `graft run`, `install`, `uninstall`, `clean`, `doctor`."""

import json
import re

from graft_testing import PREFIX, ROOT, graft

JOB = """%seed 7
%model load tiny
%lora attach r=4
%params
%generate "red means" max_new_tokens=4
"""


def test_a_file_runs_as_a_notebook_does(places):
    (places.work / "job.graft").write_text(JOB)
    done = graft("run", "job.graft", places=places)
    assert "trainable params:" in done.stdout, done.stdout
    assert "<table" not in done.stdout and "<svg" not in done.stdout
    assert "\x1b[90m" not in done.stdout, "bright black is not readable on dark terminals"


def test_a_file_can_train(places):
    (places.work / "job.graft").write_text(JOB + "\n" + "%data load which-book\n%train steps=3 batch=1 max_length=64 eval_every=0\n")
    done = graft("run", "job.graft", places=places)
    assert re.search("loss", done.stdout + done.stderr, re.I), done.stdout
    assert any((places.work / ".graft" / "runs").iterdir())


def test_a_failing_file_ends_with_another_code(places):
    (places.work / "job.graft").write_text("%model load tiny\n%lora atach\n%status\n")
    done = graft("run", "job.graft", places=places, check=False)
    assert done.returncode != 0
    assert "attach" in done.stdout + done.stderr
    assert graft("run", "missing.graft", places=places, check=False).returncode != 0


def test_install_and_uninstall_leave_nothing(places):
    """Installs and uninstalls a kernel spec under another name; evcxr's spec `rust` is never changed."""
    prefix = places.folder("prefix")
    foreign = prefix / "share" / "jupyter" / "kernels" / "rust"
    foreign.mkdir(parents=True)
    (prefix / "bin").mkdir()
    (foreign / "kernel.json").write_text("{}")
    before = sorted(path.relative_to(prefix) for path in prefix.rglob("*"))
    # With what the first installation compiled, so that only the library itself is linked again.
    compiled = ROOT / "target"
    graft(
        "install", "--prefix", prefix, "--name", "graft-second", "--build-dir", compiled, places=places, timeout=900
    )
    spec = json.loads((prefix / "share" / "jupyter" / "kernels" / "graft-second" / "kernel.json").read_text())
    assert spec["language"] == "rust" and spec["interrupt_mode"] == "message"
    assert spec["argv"][0].startswith("/") and "{connection_file}" in " ".join(spec["argv"])
    graft("uninstall", "--prefix", prefix, "--name", "graft-second", places=places)
    after = sorted(path.relative_to(prefix) for path in prefix.rglob("*"))
    assert after == before, set(after) - set(before)


def test_the_installed_spec_says_what_it_is():
    spec = json.loads((PREFIX / "share" / "jupyter" / "kernels" / "graft" / "kernel.json").read_text())
    assert spec["display_name"] == "Rust (Graft)" and spec["language"] == "rust"


def test_clean_removes_what_use_left(places):
    # What a killed kernel leaves: an owner file without a lock, next to its compiled cells.
    sessions = places.folder("cache/graft/sessions/old")
    (sessions / "owner").write_text("")
    (sessions / "cell").mkdir()
    graft("clean", places=places)
    assert not sessions.exists()


def test_the_doctor_names_what_it_finds(places):
    done = graft("doctor", places=places, check=False)
    for word in ["rustc", "prebuilt library", "sources|rust-src"]:
        assert re.search(word, done.stdout, re.I), f"{word!r} is not in\n{done.stdout}\n{done.stderr}"


def test_the_doctor_names_what_a_gpu_lacks(places):
    """Without a GPU, every failing line of `graft doctor --gpu` says what to do."""
    done = graft("doctor", "--gpu", places=places, check=False)
    assert "driver" in done.stdout and "cargo xtask cuda-build" in done.stdout, done.stdout
    if "libcuda.so.1 is not on this machine" in done.stdout:
        assert done.returncode == 1 and "580" in done.stdout, done.stdout


def test_a_wrong_command_line_is_refused(places):
    done = graft("instal", places=places, check=False)
    assert done.returncode != 0 and "install" in done.stderr
