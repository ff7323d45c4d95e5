"""A student's account on a shared machine: no Rust, no network, a home folder that cannot be written, and the files of the installation readable only."""

import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import uuid

import pytest

from graft_testing import GRAFT, PATIENCE, PREFIX

LESSON = ["%model load tiny\n%data load which-book", "%lora attach r=2", "%train steps=20 batch=2 max_length=48 eval_every=0", "%runs", "!whoami"]

# Executes the cells with nbclient and prints the outputs as JSON.
SCRIPT = """
import json, sys
import nbformat
from nbclient import NotebookClient

cells = [nbformat.v4.new_code_cell(cell) for cell in json.loads(sys.argv[1])]
notebook = nbformat.v4.new_notebook(cells=cells)
NotebookClient(notebook, timeout=300, kernel_name="graft").execute()
print(json.dumps([cell.outputs for cell in notebook.cells]))
"""


class Student:
    """An account without administrator rights whose home folder belongs to root. Its programs have no network and no Rust."""

    def __init__(self, places):
        self.name = f"graft-{uuid.uuid4().hex[:8]}"
        # Outside the test's own folder, which only root may enter.
        self.scratch = pathlib.Path(tempfile.mkdtemp(prefix="graft-student-"))
        self.scratch.chmod(0o755)
        self.home = self.scratch / "home"
        self.home.mkdir(mode=0o555)
        self.runtime = self.scratch / "runtime"
        subprocess.run(["useradd", "--no-create-home", "--home-dir", str(self.home), "--user-group", self.name], check=True, capture_output=True)
        self.runtime.mkdir(mode=0o700)
        shutil.chown(self.runtime, self.name, self.name)
        bare = self.scratch / "bare"
        bare.mkdir()
        for program in ["sh", "whoami"]:
            (bare / program).symlink_to(shutil.which(program))
        self.environment = {
            "HOME": str(self.home),
            "PATH": f"{PREFIX / 'bin'}:{bare}",
            # Jupyter writes its connection files below HOME unless it is told otherwise.
            "JUPYTER_RUNTIME_DIR": str(self.runtime),
            "JUPYTER_PATH": str(PREFIX / "share" / "jupyter"),
            "LANG": "C.UTF-8",
        }

    def python(self):
        """A Python that the student may start and that imports the packages of the test environment; None if there is none."""
        if self.run(PREFIX / "bin" / "python", "-c", "").returncode == 0:
            return PREFIX / "bin" / "python"
        # The environment was made from a Python in root's home folder. The system's own can use its packages if it has the same version.
        for packages in (PREFIX / "lib").glob("python3.*/site-packages"):
            system = shutil.which(packages.parent.name, path="/usr/bin:/usr/local/bin")
            self.environment["PYTHONPATH"] = str(packages)
            if system and self.run(system, "-c", "import nbclient").returncode == 0:
                return system
        return None

    def run(self, *words):
        """Runs a program as the student, in a network of its own that has only the loopback device."""
        offline = ["unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
        user = [shutil.which("setpriv"), "--reuid", self.name, "--regid", self.name, "--clear-groups", shutil.which("env"), "-i"]
        variables = [f"{name}={value}" for name, value in self.environment.items()]
        return subprocess.run([*offline, *user, *variables, *map(str, words)], cwd=self.home, capture_output=True, text=True, timeout=PATIENCE)

    def remove(self):
        subprocess.run(["userdel", self.name], check=True, capture_output=True)
        shutil.rmtree(self.scratch, ignore_errors=True)


@pytest.fixture
def student(places):
    if os.geteuid() != 0:
        pytest.skip("only root can create the account of a student")
    if subprocess.run(["unshare", "--net", "ip", "link"], capture_output=True).returncode != 0:
        pytest.skip("this machine does not allow a process without network")
    student = Student(places)
    try:
        if student.run(GRAFT, "--version").returncode != 0:
            pytest.skip(f"{GRAFT} is in a folder that other accounts cannot enter")
        yield student
    finally:
        student.remove()


def text_of(outputs):
    plain = [output.get("text") or output.get("data", {}).get("text/plain") or "\n".join(output.get("traceback", [])) for output in outputs]
    return "\n".join(plain)


def test_the_first_lesson_runs_without_rust_network_or_a_writable_home(student):
    python = student.python()
    if python is None:
        pytest.skip("students cannot start the Python of the test environment")
    done = student.run(python, "-c", SCRIPT, json.dumps(LESSON))
    assert done.returncode == 0, done.stderr
    loaded, attached, trained, runs, name = [text_of(outputs) for outputs in json.loads(done.stdout)]
    assert "tiny" in loaded and "trainable" in attached.lower() + loaded, (loaded, attached)
    assert "lora-001" in trained + runs
    assert "memory" in trained and "GRAFT_RUNS" in trained, f"the student must learn where the run is stored:\n{trained}"
    assert name.strip() == student.name
    assert list(student.home.iterdir()) == []


def test_a_student_learns_from_the_doctor_what_works(student):
    """Missing Rust and a home that cannot be written are notes: magics work. Jupyter and the kernel are found."""
    done = student.run(GRAFT, "doctor")
    lines = {line[6:22].strip(): (line[:4].strip(), line[22:]) for line in done.stdout.splitlines()}
    assert lines["rustc"][0] == "note" and "magics work" in lines["rustc"][1]
    assert lines["cache"][0] == "note" and "XDG_CACHE_HOME" in lines["cache"][1], lines["cache"]
    if student.run(PREFIX / "bin" / "jupyter", "--version").returncode == 0:
        assert lines["jupyter"] == ("ok", f" {PREFIX / 'bin' / 'jupyter'}"), lines["jupyter"]
    else:
        assert lines["jupyter"][0] == "note" and "pip install jupyterlab" in lines["jupyter"][1], lines["jupyter"]
    assert str(PREFIX / "share/jupyter/kernels") in lines["kernel folders"][1]
    assert lines["kernel"][0] == "ok" and f"starts {GRAFT}" in lines["kernel"][1], lines["kernel"]
    assert done.returncode == 0, done.stdout


def test_a_student_copies_the_tutorials_or_learns_why_not(student):
    refused = student.run(GRAFT, "notebooks")
    assert refused.returncode == 1 and "cannot write `graft-notebooks`" in refused.stderr and "graft notebooks DIR" in refused.stderr, refused.stderr
    folder = student.runtime / "tutorials"
    copied = student.run(GRAFT, "notebooks", folder)
    assert copied.returncode == 0 and f"Next: graft lab {folder}" in copied.stdout, copied
    assert (folder / "01-first-adapter.ipynb").stat().st_uid != 0
