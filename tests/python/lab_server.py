"""A JupyterLab server of the test environment, for one test."""

import json
import os
import socket
import subprocess
import time
import urllib.error
import urllib.request

from graft_testing import PREFIX

TOKEN = "for-tests-only"


class Lab:
    """JupyterLab (or another page of the same server) on a folder; `url` returns the address of a notebook in it."""

    def __init__(self, places, folder, program="jupyter-lab"):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.path = places.root / "lab.log"
        self.log = open(self.path, "w")
        words = [
            str(PREFIX / "bin" / program), "--no-browser", "--ServerApp.ip=127.0.0.1", f"--ServerApp.port={self.port}",
            f"--IdentityProvider.token={TOKEN}", f"--ServerApp.root_dir={folder}", "--LabApp.expose_app_in_browser=True",
            "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
        ]
        settings = places.folder("jupyter-config/lab/user-settings/@jupyterlab/apputils-extension")
        (settings / "notification.jupyterlab-settings").write_text('{"fetchNews": "false"}')
        if os.geteuid() == 0:
            words.append("--allow-root")
        self.process = subprocess.Popen(words, env=places.environment(), cwd=folder, stdout=self.log, stderr=self.log)
        self.wait()

    def wait(self):
        for _ in range(600):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}/api?token={TOKEN}", timeout=5)
                return
            except (urllib.error.URLError, OSError):
                assert self.process.poll() is None, self.path.read_text()
                time.sleep(0.1)
        raise AssertionError(f"JupyterLab did not start\n{self.path.read_text()}")

    def url(self, notebook):
        return f"http://127.0.0.1:{self.port}/lab/tree/{notebook}?token={TOKEN}"

    def begin(self, notebook):
        """Starts Graft for a notebook, so that a page opened afterwards connects to it and does not have to choose a kernel.

        A page that loads slowly chooses a kernel before it has read the kernel name of the notebook, and picks Python.
        """
        session = {"path": notebook, "name": notebook, "type": "notebook", "kernel": {"name": "graft"}}
        headers = {"Authorization": f"token {TOKEN}", "Content-Type": "application/json"}
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/api/sessions", json.dumps(session).encode(), headers)
        with urllib.request.urlopen(request, timeout=60) as answer:
            assert json.load(answer)["kernel"]["name"] == "graft"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self.log.close()
