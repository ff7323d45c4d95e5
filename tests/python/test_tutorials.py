"""`graft notebooks` and `graft lab`: the tutorials in a folder of the user, from any installation."""

import os
import shutil
import signal
import subprocess
import sys
import time

import requests

from graft_testing import ANSWER, GRAFT, ROOT, graft
from hub_server import free_ports

FIRST = "01-first-adapter.ipynb"


def test_the_tutorials_are_copied_and_changed_files_are_kept(places):
    """The commands that the replies suggest are typed, too."""
    copied = graft("notebooks", places=places).stdout
    folder = places.work / "graft-notebooks"
    assert "copied" in copied and "Next: graft lab" in copied
    for original in (ROOT / "notebooks").glob("*.ipynb"):
        assert (folder / original.name).read_bytes() == original.read_bytes()
    assert "is up to date" in graft("notebooks", places=places).stdout
    (folder / FIRST).write_text("mine")
    kept = graft("notebooks", "graft-notebooks", places=places).stdout
    assert f"kept {FIRST}, because you have changed it" in kept
    [rename] = [line.split(": ", 1)[1] for line in kept.splitlines() if ": mv " in line]
    subprocess.run(rename, shell=True, check=True, cwd=places.work)
    assert "copied 1 file into" in graft("notebooks", places=places).stdout
    assert (folder / FIRST).stat().st_size > 1000 and (folder / f"{FIRST}.mine").read_text() == "mine"


def test_the_tutorials_open_in_jupyterlab(places):
    [port] = free_ports(1)
    options = ["--no-browser", "--", f"--ServerApp.port={port}", "--IdentityProvider.token=for-tests-only"]
    log = open(places.root / "lab.log", "w+")
    lab = subprocess.Popen([str(GRAFT), "lab", "lessons", *options], env=places.environment(), cwd=places.work, stdout=log, stderr=log)

    def ask(path):
        return requests.get(f"http://127.0.0.1:{port}{path}", headers={"Authorization": "token for-tests-only"}, timeout=ANSWER)

    try:
        end = time.monotonic() + ANSWER
        while True:
            assert lab.poll() is None and time.monotonic() < end, (places.root / "lab.log").read_text()
            try:
                if ask("/api").ok:
                    break
            except requests.ConnectionError:
                time.sleep(0.2)
        assert "graft" in ask("/api/kernelspecs").json()["kernelspecs"]
        assert ask(f"/api/contents/{FIRST}").status_code == 200
        assert ask("/").url.endswith(f"/lab/tree/{FIRST}")
    finally:
        lab.send_signal(signal.SIGTERM)
        lab.wait(60)
        log.close()
    assert "opening `lessons` in JupyterLab" in (places.root / "lab.log").read_text()


def test_a_machine_without_jupyterlab_gets_the_line_that_installs_it(places):
    """Also where there is a Python without JupyterLab. Nothing is copied."""
    alone = places.folder("alone")
    os.link(GRAFT, alone / "graft")

    def refused():
        done = subprocess.run([str(alone / "graft"), "lab"], env=places.environment(PATH=str(alone)), cwd=places.work, capture_output=True, text=True)
        assert done.returncode == 1, done
        return done.stderr

    said = refused()
    assert "there is no python3 on PATH" in said and "python3 -m pip install jupyterlab" in said, said
    (alone / "python3").write_text(f"#!/bin/sh\nexec {sys.executable} -S -I \"$@\"\n")
    (alone / "python3").chmod(0o755)
    said = refused()
    assert f"`{alone / 'python3'}` cannot import `jupyterlab`" in said and f"{alone / 'python3'} -m pip install jupyterlab" in said, said
    assert not (places.work / "graft-notebooks").exists()


def test_an_installation_outside_jupyters_folders_says_how_to_make_it_visible(places):
    """The line that `graft doctor` suggests is typed, and Jupyter then lists the kernel."""
    prefix = places.folder("opt/graft")
    (prefix / "bin").mkdir()
    os.link(GRAFT, prefix / "bin" / "graft")
    shutil.copytree(GRAFT.parents[1] / "share/jupyter/kernels/graft", prefix / "share/jupyter/kernels/other")
    specs = prefix / "share/jupyter/kernels"
    (specs / "other").rename(specs / "graft")
    bare = places.folder("bare")
    (bare / "jupyter").write_text(f'#!/bin/sh\nexec {sys.executable} -c "import json; print(json.dumps(dict(data=[\\"/nowhere\\"])))"\n')
    (bare / "jupyter").chmod(0o755)
    environment = places.environment(PATH=f"{bare}:/usr/bin:/bin")
    said = subprocess.run([str(prefix / "bin/graft"), "doctor"], env=environment, cwd=places.work, capture_output=True, text=True).stdout
    [line] = [line for line in said.splitlines() if line[6:].startswith("kernel  ")]
    assert line.startswith("note") and f"{specs / 'graft'} is outside the kernel folders" in line, line
    export = line[line.index("export JUPYTER_PATH=") :]
    listed = subprocess.run(f"{export}; {GRAFT.parent / 'jupyter'} kernelspec list --json", shell=True, env=environment, capture_output=True, text=True)
    assert str(specs / "graft") in listed.stdout, listed
