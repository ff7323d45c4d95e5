"""JupyterHub: several users with a server each, privacy between them, and runs that survive a stopped server."""

import os
import pathlib
import re
import stat
import subprocess
import time

import psutil
import pytest

from graft_testing import ANSWER, PREFIX, Places
from hub_server import ADMIN, Hub, Student

USERS = {"ada": 1, "ben": 2, "eva": 3}
SETUP = "%model load tiny\n%data load which-book"


@pytest.fixture(scope="module")
def hub():
    """A hub for all tests of this file, because it takes seconds to start."""
    with Places() as places, Hub(places, [*USERS, "dan"]) as hub:
        yield hub


def others_may(path):
    """Whether users other than the owner have any access to a file or folder."""
    return bool(path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO))


def test_each_of_three_users_runs_a_notebook_and_sees_only_their_own(hub):
    assert hub.log_in("ada", "wrong").status_code == 403
    students = [Student(hub, name) for name in USERS]
    for student in students:
        student.request_server()
    for student in students:
        hub.wait_for_server(student.name, "ready")
        steps = USERS[student.name] + 2
        student.upload("exercise.ipynb", [SETUP, f"%lora attach r={USERS[student.name]}", f"%train steps={steps} batch=2 max_length=48 eval_every=0", "%runs"])
    kernels = []
    for student in students:
        kernel, shown = student.run_notebook("exercise.ipynb")
        kernels.append(kernel)
        listed = shown[-1]
        assert "lora-001" in listed and "lora-002" not in listed, listed
        assert f"r {USERS[student.name]}" in " ".join(kernel.run("%runs show lora-001").split())
        runs = student.home / ".graft" / "runs"
        assert [run.name for run in runs.iterdir() if run.is_dir()] == ["lora-001"]
        assert len((runs / "lora-001" / "ledger.jsonl").read_text().splitlines()) > USERS[student.name]
    refused(students)
    private(students)
    for kernel in kernels:
        kernel.close()


def refused(students):
    """No user reaches the files or the kernels of another one through the hub."""
    for student in students:
        mine = {kernel["id"] for kernel in student.api("GET", "kernels").json()}
        assert len(mine) == 1
        for other in students:
            if other is not student:
                for path in ["contents/exercise.ipynb", "kernels", "contents/.graft/runs"]:
                    assert student.api("GET", path, other.name).status_code == 403
        names = {entry["name"] for entry in student.api("GET", "contents/").json()["content"]}
        assert names == {"exercise.ipynb"}


def private(students):
    """Connection files, and the folders of sockets and sessions, are closed to other accounts of the machine."""
    for student in students:
        connections = [path for path in student.home.rglob("kernel-*.json") if "runtime" in path.parts]
        assert connections and not any(others_may(path) for path in connections), connections
        sessions = student.home / ".cache" / "graft" / "sessions"
        assert list(sessions.iterdir()) and not others_may(student.home / ".cache" / "graft")
    hosts = [it for it in psutil.process_iter(["cmdline"]) if (it.info["cmdline"] or [""])[0] == str(PREFIX / "bin" / "graft") and "kernel" in it.info["cmdline"]]
    ours = [it for it in hosts if any(str(student.home) in " ".join(it.info["cmdline"]) for student in students)]
    assert len(ours) == len(students), ours
    for host in ours:
        for process in [host, *host.children(recursive=True)]:
            for link in process.net_connections(kind="unix"):
                # A socket without a name is shared by inheritance only.
                if link.laddr and link.laddr.startswith("/"):
                    assert not others_may_reach(pathlib.Path(link.laddr)), link.laddr
                else:
                    assert not link.laddr, f"{link.laddr} is an abstract socket, which every account can open"


def others_may_reach(path):
    """Whether another account can enter every folder above a socket and write to it."""
    return bool(path.stat().st_mode & stat.S_IWOTH) and all(folder.stat().st_mode & stat.S_IXOTH for folder in path.parents)


def test_a_run_in_the_background_survives_the_idle_culler(hub):
    """The culler stops the server in the middle of a training run; after the next login `%runs` shows the run and `%resume` continues it."""
    dan = Student(hub, "dan").start()
    dan.upload("long.ipynb", [SETUP, "%lora attach r=2", "%train bg=true steps=100000 batch=2 max_length=48 eval_every=0"])
    kernel, shown = dan.run_notebook("long.ipynb")
    assert "`lora-001` is training in the background" in shown[-1], shown[-1]
    ledger = dan.home / ".graft" / "runs" / "lora-001" / "ledger.jsonl"
    until(lambda: ledger.exists() and ledger.read_text().count('"step"') > 5)
    kernel.close()
    cull(hub, "dan")
    until(lambda: not kernels_of(dan))
    trained = ledger.read_text().count('"step"')

    dan.start()
    kernel = dan.open("long.ipynb")
    listed = kernel.run("%runs")
    assert re.search(r"lora-001.*(stopped|interrupted)", listed), listed
    kernel.run("%model load tiny")
    resumed = kernel.run(f"%resume lora-001 steps={trained + 3}")
    assert str(trained + 3) in resumed.replace(",", ""), (trained, resumed)
    assert ledger.read_text().count('"step"') >= trained + 3
    kernel.close()


def until(condition, timeout=ANSWER):
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.1)


def kernels_of(student):
    return [it for it in psutil.process_iter(["cmdline"]) if str(student.home) in " ".join(it.info["cmdline"] or [])]


def cull(hub, user):
    """Runs the idle culler, as a hub's service does, until it has stopped the server of the user."""
    words = [str(PREFIX / "bin" / "python"), "-m", "jupyterhub_idle_culler", "--timeout=1", "--cull-every=1", f"--url={hub.url}/hub/api"]
    culler = subprocess.Popen(words, env={**os.environ, "JUPYTERHUB_API_TOKEN": ADMIN}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        hub.wait_for_server(user, "stopped")
    finally:
        culler.terminate()
        culler.wait(30)
