"""A real JupyterHub for one test: users log in by name and password, each gets a Jupyter server of their own, all through the hub's proxy."""

import fcntl
import json
import os
import shutil
import socket
import subprocess
import time
import uuid

import pytest
import requests
import websocket

from graft_testing import ANSI, ANSWER, PATIENCE, PREFIX, ROOT

PASSWORD = "for-tests-only"
ADMIN = "an-admin-token-for-tests-only"
PROXY = PREFIX / "hub-proxy"
REQUIREMENTS = ROOT / "crates" / "xtask" / "requirements" / "hub"

CONFIG = """
c = get_config()  # noqa
c.JupyterHub.bind_url = "http://127.0.0.1:{public}"
c.JupyterHub.hub_bind_url = "http://127.0.0.1:{hub}"
c.ConfigurableHTTPProxy.api_url = "http://127.0.0.1:{api}"
c.ConfigurableHTTPProxy.command = [{proxy!r}]
c.JupyterHub.db_url = "sqlite:///{root}/hub.sqlite"
c.JupyterHub.cookie_secret_file = "{root}/cookie_secret"
c.JupyterHub.authenticator_class = "dummy"
c.DummyAuthenticator.password = {password!r}
c.Authenticator.allowed_users = {users!r}
c.JupyterHub.spawner_class = "simple"
c.SimpleLocalProcessSpawner.home_dir_template = "{root}/homes/{{username}}"
c.Spawner.cmd = [{singleuser!r}]
c.Spawner.args = {arguments!r}
# The server without JupyterLab's pages, which no test opens, starts in half the time.
c.Spawner.environment = {{"JUPYTERHUB_SINGLEUSER_APP": "jupyter_server.serverapp.ServerApp"}}
c.JupyterHub.services = [{{"name": "test", "api_token": {admin!r}}}]
c.JupyterHub.load_roles = [{{"name": "test", "services": ["test"], "scopes": ["admin:users", "admin:servers", "list:users", "read:users:activity", "tokens"]}}]
"""


def installed_proxy():
    """Installs the hub's proxy, which is written for Node.js, and returns the program; the test is skipped where that is impossible."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("JupyterHub's proxy needs Node.js: sudo apt install nodejs npm")
    PROXY.mkdir(parents=True, exist_ok=True)
    program = PROXY / "node_modules" / ".bin" / "configurable-http-proxy"
    with open(PROXY / "lock", "w") as lock:
        # Tests run in several processes.
        fcntl.flock(lock, fcntl.LOCK_EX)
        wanted = (REQUIREMENTS / "package-lock.json").read_bytes()
        installed = PROXY / "package-lock.json"
        if not program.exists() or installed.read_bytes() != wanted:
            for name in ["package.json", "package-lock.json"]:
                shutil.copy(REQUIREMENTS / name, PROXY / name)
            done = subprocess.run(["npm", "ci", "--no-audit", "--no-fund"], cwd=PROXY, capture_output=True, text=True, timeout=240)
            if done.returncode != 0:
                installed.unlink()
                pytest.skip(f"JupyterHub's proxy could not be installed: {done.stderr.strip().splitlines()[:1]}")
    return program


def free_ports(count):
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


class Hub:
    """JupyterHub with the given users."""

    def __init__(self, places, users):
        proxy = installed_proxy()
        self.root = places.root
        self.public, hub, api = free_ports(3)
        self.url = f"http://127.0.0.1:{self.public}"
        config = places.root / "jupyterhub_config.py"
        config.write_text(CONFIG.format(
            public=self.public, hub=hub, api=api, proxy=str(proxy), root=places.root, password=PASSWORD, users=set(users), admin=ADMIN,
            singleuser=str(PREFIX / "bin" / "jupyterhub-singleuser"), arguments=["--allow-root"] if os.geteuid() == 0 else [],
        ))
        self.log_path = places.root / "hub.log"
        self.log = open(self.log_path, "w")
        environment = {name: value for name, value in places.environment().items() if not name.startswith(("JUPYTER_", "XDG_"))}
        words = [str(PREFIX / "bin" / "jupyterhub"), "--config", str(config)]
        self.process = subprocess.Popen(words, env=environment, cwd=places.root, stdout=self.log, stderr=self.log)
        self.wait()

    def wait(self):
        end = time.monotonic() + ANSWER
        while time.monotonic() < end:
            assert self.process.poll() is None, self.log_path.read_text()
            try:
                if requests.get(f"{self.url}/hub/api/", timeout=5).ok:
                    return
            except requests.RequestException:
                time.sleep(0.1)
        raise AssertionError(f"JupyterHub did not start\n{self.log_path.read_text()}")

    def home(self, user):
        return self.root / "homes" / user

    def ask(self, method, path, token=ADMIN, **options):
        return requests.request(method, f"{self.url}{path}", headers={"Authorization": f"token {token}"}, timeout=ANSWER, **options)

    def log_in(self, user, password=PASSWORD):
        """Logs in with name and password; returns a token of this user, or the refusal."""
        body = {"auth": {"username": user, "password": password}, "note": "test"}
        return requests.post(f"{self.url}/hub/api/users/{user}/tokens", json=body, timeout=ANSWER)

    def server_state(self, user):
        """`ready`, `pending` (starting or stopping) or `stopped`."""
        server = self.ask("GET", f"/hub/api/users/{user}").json()["servers"].get("")
        return "stopped" if server is None else "ready" if server["ready"] else "pending"

    def wait_for_server(self, user, state):
        end = time.monotonic() + ANSWER
        while self.server_state(user) != state:
            assert time.monotonic() < end, f"the server of {user} is not {state}\n{self.log_path.read_text()}"
            time.sleep(0.2)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self.log.close()


class Student:
    """A user of the hub with a running Jupyter server."""

    def __init__(self, hub, name):
        self.hub, self.name, self.home = hub, name, hub.home(name)
        answer = hub.log_in(name)
        assert answer.status_code in (200, 201), answer.text
        self.token = answer.json()["token"]

    def request_server(self):
        """Asks for the user's Jupyter server, as the button of the hub's page does; it starts in the background."""
        answer = self.hub.ask("POST", f"/hub/api/users/{self.name}/server", self.token)
        assert answer.status_code in (201, 202), answer.text

    def start(self):
        """Starts the user's Jupyter server."""
        self.request_server()
        self.hub.wait_for_server(self.name, "ready")
        return self

    def api(self, method, path, user=None, **options):
        """Asks the Jupyter server of this user, or tries that of another."""
        return self.hub.ask(method, f"/user/{user or self.name}/api/{path}", self.token, **options)

    def upload(self, name, cells):
        """Saves a notebook with these code cells through the server's contents API."""
        code = [{"cell_type": "code", "source": cell, "metadata": {}, "outputs": [], "execution_count": None} for cell in cells]
        kernelspec = {"name": "graft", "display_name": "Rust (Graft)", "language": "rust"}
        content = {"cells": code, "metadata": {"kernelspec": kernelspec}, "nbformat": 4, "nbformat_minor": 4}
        answer = self.api("PUT", f"contents/{name}", json={"type": "notebook", "format": "json", "content": content})
        assert answer.status_code in (200, 201), answer.text

    def open(self, name):
        """Opens a notebook: a session with its kernel. Returns the kernel."""
        session = {"path": name, "name": name, "type": "notebook", "kernel": {"name": "graft"}}
        answer = self.api("POST", "sessions", json=session)
        assert answer.status_code == 201, answer.text
        return HubKernel(self, answer.json()["kernel"]["id"])

    def run_notebook(self, name):
        """Reads a notebook from the server and runs its cells; returns the kernel and the text of each cell."""
        cells = self.api("GET", f"contents/{name}").json()["content"]["cells"]
        kernel = self.open(name)
        return kernel, [kernel.run(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


class HubKernel:
    """A kernel behind the hub's proxy, over the websocket that JupyterLab uses."""

    def __init__(self, student, kernel_id):
        url = f"ws://127.0.0.1:{student.hub.public}/user/{student.name}/api/kernels/{kernel_id}/channels"
        self.id = kernel_id
        self.socket = websocket.create_connection(url, header=[f"Authorization: token {student.token}"], timeout=PATIENCE)

    def run(self, code):
        """Runs a cell; returns what a user would see. The cell must succeed."""
        msg_id = uuid.uuid4().hex
        header = {"msg_id": msg_id, "msg_type": "execute_request", "username": "", "session": self.id, "date": "", "version": "5.3"}
        content = {"code": code, "silent": False, "store_history": True, "user_expressions": {}, "allow_stdin": False, "stop_on_error": True}
        message = {"channel": "shell", "header": header, "parent_header": {}, "metadata": {}, "content": content}
        self.socket.send(json.dumps(message))
        shown, status = [], None
        idle = False
        while not (idle and status):
            answer = json.loads(self.socket.recv())
            if answer["parent_header"].get("msg_id") != msg_id:
                continue
            kind, content = answer["msg_type"], answer["content"]
            if kind == "stream":
                shown.append(content["text"])
            elif kind in ("display_data", "execute_result"):
                shown.append(content["data"].get("text/plain", ""))
            elif kind == "error":
                shown.append("\n".join(content["traceback"]))
            elif kind == "execute_reply":
                status = content["status"]
            elif kind == "status" and content["execution_state"] == "idle":
                idle = True
        text = ANSI.sub("", "\n".join(shown))
        assert status == "ok", f"the cell failed:\n{code}\n---\n{text}"
        return text

    def close(self):
        """Closes the browser tab: the kernel keeps running."""
        self.socket.close()
