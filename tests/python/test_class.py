"""`%class`: students write their results to a shared folder, and a teacher sees all of them."""

import concurrent.futures
import json
import os
import stat
import time

import pytest

from graft_testing import Kernel, Places, graft, number

STUDENTS = 10
# A few steps on a few examples: the results themselves do not matter here.
TRAIN = "%train steps=4 batch=2 eval_every=4 eval_examples=4 save_every=0"


@pytest.fixture
def folder(tmp_path):
    shared = tmp_path / "class"
    shared.mkdir()
    return shared


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def student(folder, index):
    """A whole session of one student, in a kernel of its own."""
    with Kernel(env={"GRAFT_CLASS": str(folder)}) as kernel:
        kernel.run(f"%model load tiny\n%data load which-book\n%class join student-{index} exercise=ranks\n%lora attach r={index + 1}")
        kernel.run(TRAIN)
        return kernel.run("%eval examples=8 base=false").text


def test_ten_kernels_write_at_once_and_the_teacher_sees_all(folder):
    with concurrent.futures.ThreadPoolExecutor(STUDENTS) as pool:
        list(pool.map(lambda index: student(folder, index), range(STUDENTS)))
    files = sorted(path.name for path in folder.iterdir())
    assert files == sorted(f"student-{index}.jsonl" for index in range(STUDENTS)), files
    for path in folder.iterdir():
        assert [record["kind"] for record in lines(path)] == ["joined", "run", "evaluation"], path.read_text()
        assert stat.S_IMODE(path.stat().st_mode) & 0o133 == 0
    with Kernel(env={"GRAFT_CLASS": str(folder)}) as teacher:
        cell = teacher.run("%class")
        assert "class, exercise ranks" in cell.text and f"{STUDENTS} of {STUDENTS} students with a result" in cell.text
        for index in range(STUDENTS):
            assert f"student-{index} " in cell.text or f"student-{index}\n" in cell.text, cell.text
        chart = cell.displays[-1].data
        assert "image/png" in chart or "image/svg+xml" in chart, chart.keys()
        assert "accuracy by trained parameters" in cell.text
        hidden = teacher.run("%class names=false").text
        assert "student-" not in hidden
        rows = sorted(line.split()[0:2] for line in hidden.splitlines() if "lora" in line and "test, 8" in line)
        again = sorted(line.split()[0:2] for line in teacher.run("%class names=false").text.splitlines() if "lora" in line and "test, 8" in line)
        assert rows == again and len(rows) == STUDENTS, hidden


def test_a_folder_that_vanishes_never_disturbs_training_and_loses_nothing(kernel, folder):
    kernel.run(f"%model load tiny\n%data load which-book\n%class join ada folder={folder}\n%lora attach r=2")
    kernel.run(TRAIN)
    away = folder.with_name("away")
    folder.rename(away)
    first = kernel.run(TRAIN)
    assert first.text.count("cannot be reached") == 1 and "training is not affected" in first.text, first.text
    assert "cannot be reached" not in kernel.run(TRAIN).text
    assert not folder.exists(), "the kernel has created the folder of an absent share"
    away.rename(folder)
    kernel.run(TRAIN)
    runs = [record["run"] for record in lines(folder / "ada.jsonl") if record["kind"] == "run"]
    assert runs == ["lora-001", "lora-002", "lora-003", "lora-004"], runs
    assert "left the class" in kernel.run("%class leave").text
    kernel.run(TRAIN)
    assert len(lines(folder / "ada.jsonl")) == 5
    kernel.fail("%class leave", "has not joined", "%class join NAME")


def test_results_kept_by_a_session_that_ended_are_written_by_the_next(places, folder):
    away = folder.with_name("away")
    with Kernel(places, env={"GRAFT_CLASS": str(folder)}) as kernel:
        kernel.run("%model load tiny\n%data load which-book\n%class join ada\n%lora attach r=2")
        folder.rename(away)
        kernel.run(TRAIN)
    away.rename(folder)
    with Kernel(places, env={"GRAFT_CLASS": str(folder)}) as kernel:
        kernel.run("%class join ada")
        kinds = [record["kind"] for record in lines(folder / "ada.jsonl")]
        assert kinds == ["joined", "run", "joined"], kinds


def test_a_hostile_file_costs_only_its_own_row(kernel, folder):
    good = {"kind": "run", "time": int(time.time()), "exercise": "1", "run": "lora-001", "method": "lora", "split": "validation", "trainable": 1000, "steps": 5, "accuracy": 0.5, "held_out_loss": 1.5}
    write = lambda name, *records: (folder / name).write_text("".join(json.dumps(record) + "\n" for record in records))
    write("ada.jsonl", good)
    write("bad.jsonl", {**good, "accuracy": 7})
    write("html.jsonl", {**good, "method": "<img src=x onerror=alert(1)>", "run": "\u001b[2J"})
    (folder / "large.jsonl").write_bytes(b"x" * (2 << 20))
    os.symlink("/etc/passwd", folder / "link.jsonl")
    os.mkfifo(folder / "pipe.jsonl")
    cell = kernel.run(f"%class folder={folder}")
    assert re_row("ada", cell.text) and "50.0 %" in cell.text
    for name, reason in [("bad", "accuracy is not between"), ("large", "larger than 1 MB"), ("link", "symbolic link"), ("pipe", "not a regular file")]:
        assert f"`{name}.jsonl`" in cell.text and reason in cell.text, cell.text
    assert "root:" not in cell.text and "<img" not in cell.html and "\x1b[2J" not in cell.text
    for name in ["../eve", "a/b", ".hidden", "-rf"]:
        kernel.fail(f'%class join "{name}" folder={folder}', "invalid name")
    kernel.fail("%class join ada folder=/absent/class", "cannot use the class folder", "mkdir|teacher")
    kernel.fail("%class", "folder of the class is unknown", "GRAFT_CLASS")


def re_row(name, text):
    return any(line.split()[:1] == [name] for line in text.splitlines())


def test_the_view_of_the_teacher_is_live_until_it_is_stopped(kernel, folder):
    cell = kernel.start(f"%class watch folder={folder}")
    cell.wait_for(lambda it: "no results yet" in it.html)
    record = {"kind": "run", "time": int(time.time()), "exercise": "", "run": "a", "method": "ia3", "trainable": 500, "steps": 1, "accuracy": 0.25, "held_out_loss": 2.0}
    (folder / "ada.jsonl").write_text(json.dumps(record) + "\n")
    cell.wait_for(lambda it: "25.0" in it.html, timeout=30)
    kernel.interrupt()
    cell.wait()
    assert "25.0 %" in cell.text and any("image/png" in display.data or "image/svg+xml" in display.data for display in cell.displays)
    assert "tiny" in kernel.run("%model load tiny").text


def test_a_comparison_and_rust_write_results_too(kernel, folder):
    kernel.run(f"%model load tiny\n%data load which-book\n%class join ada folder={folder}")
    kernel.run("%ablate lora r=1,2 steps=2 batch=2 examples=4 split=test")
    records = lines(folder / "ada.jsonl")
    assert [record["split"] for record in records if record["kind"] == "run"] == ["test", "test"], records
    cell = kernel.run("println!(\"{}\", lab().class(ClassView::new())?);\nlab().class_chart(ClassView::new())?")
    assert "ada" in cell.text and number(r"(\d+) of 1 student", cell.text) == 1
    rust = kernel.run("%class join ada exercise=2 --rust").text
    assert rust.strip() == 'lab().join_class(Some("ada"), ClassJoin::new().exercise("2"))?;'
    kernel.run(f"%env GRAFT_CLASS={folder}\n{rust}")
    assert lines(folder / "ada.jsonl")[-1]["exercise"] == "2"


def test_the_terminal_shows_the_class(folder):
    with Places() as places:
        script = places.work / "class.graft"
        record = {"kind": "run", "time": int(time.time()), "exercise": "", "run": "a", "method": "ia3", "trainable": 500, "steps": 1, "accuracy": 0.25, "held_out_loss": 2.0}
        (folder / "ada.jsonl").write_text(json.dumps(record) + "\n")
        script.write_text(f"%class folder={folder}\n")
        shown = graft("run", script, places=places).stdout
        assert "ada" in shown and "25.0 %" in shown and "accuracy by trained parameters" in shown
