"""A real Jupyter client with a short API: start a kernel, run cells, and check what a user would see.

    with Kernel() as kernel:
        cell = kernel.run("%model load tiny")
        assert "tiny" in cell.text

Everything that a kernel writes outside its prefix goes to a private folder (`Places`), so that a test can check what is left over.
"""

import os
import pathlib
import queue
import re
import shutil
import signal
import subprocess
import tempfile
import time

import psutil
from jupyter_client import KernelManager
from jupyter_client.kernelspec import KernelSpecManager

ROOT = pathlib.Path(__file__).resolve().parents[2]
PREFIX = pathlib.Path(os.environ.get("GRAFT_TEST_PREFIX") or ROOT / "target" / "graft-test")
GRAFT = PREFIX / "bin" / "graft"
KERNEL_NAME = os.environ.get("GRAFT_TEST_KERNEL", "graft")
LONG = bool(os.environ.get("GRAFT_TEST_LONG"))
ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")

# The first Rust cell starts evcxr and compiles, which takes long on a busy machine with two cores.
PATIENCE = 300
# For answers that are immediate on an idle machine. `cargo xtask bench` measures how fast they are.
ANSWER = 120


class Places:
    """Folders for one test: home, caches, a runtime directory and a working directory. All are removed at the end."""

    def __init__(self):
        scratch = PREFIX / "scratch"
        scratch.mkdir(parents=True, exist_ok=True)
        # Next to the template, so that sessions can hard-link to it. The sockets are in another directory, because the path of a socket must be short.
        self.root = pathlib.Path(tempfile.mkdtemp(dir=scratch))
        self.runtime = pathlib.Path(tempfile.mkdtemp(prefix="graft-"))
        self.work = self.folder("work")

    def folder(self, name):
        path = self.root / name
        path.mkdir(parents=True, exist_ok=True)
        return path

    def environment(self, **more):
        home = pathlib.Path.home()
        environment = dict(os.environ)
        for name in [name for name in environment if name.startswith(("JUPYTER", "GRAFT_", "EVCXR"))]:
            del environment[name]
        environment.update(
            CARGO_HOME=environment.get("CARGO_HOME") or str(home / ".cargo"),
            RUSTUP_HOME=environment.get("RUSTUP_HOME") or str(home / ".rustup"),
            HOME=str(self.folder("home")),
            XDG_CACHE_HOME=str(self.folder("cache")),
            XDG_CONFIG_HOME=str(self.folder("config")),
            XDG_DATA_HOME=str(self.folder("data")),
            XDG_STATE_HOME=str(self.folder("state")),
            XDG_RUNTIME_DIR=str(self.runtime),
            JUPYTER_CONFIG_DIR=str(self.folder("jupyter-config")),
            JUPYTER_DATA_DIR=str(self.folder("jupyter-data")),
            JUPYTER_RUNTIME_DIR=str(self.folder("jupyter-runtime")),
            IPYTHONDIR=str(self.folder("ipython")),
            PATH=f"{PREFIX / 'bin'}:{environment['PATH']}",
        )
        environment.update(more)
        return environment

    def remove(self):
        shutil.rmtree(self.root, ignore_errors=True)
        shutil.rmtree(self.runtime, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.remove()


class Display:
    """One output of a cell; `versions` holds the MIME bundles that it has shown, the current one last."""

    def __init__(self, kind, content):
        self.kind = kind
        self.display_id = content.get("transient", {}).get("display_id")
        self.versions = [content["data"]]

    @property
    def data(self):
        return self.versions[-1]


class Cell:
    """The result of one execute request, as far as it has arrived."""

    def __init__(self, kernel, code, msg_id):
        self.kernel, self.code, self.msg_id = kernel, code, msg_id
        self.pieces, self.stderr = [], ""
        self.displays, self.messages = [], []
        self.error = self.reply = None
        self.idle = False

    def take(self, message):
        """Adds one iopub message of this cell."""
        self.messages.append(message)
        kind, content = message["msg_type"], message["content"]
        if kind == "stream":
            if content["name"] == "stdout":
                self.pieces.append(content["text"])
            else:
                self.stderr += content["text"]
        elif kind in ("display_data", "execute_result"):
            self.displays.append(Display(kind, content))
        elif kind == "update_display_data":
            for display in self.kernel.displays_named(content.get("transient", {}).get("display_id")):
                display.versions.append(content["data"])
        elif kind == "clear_output":
            self.displays, self.pieces = [], []
        elif kind == "error":
            self.error = content
        elif kind == "status" and content["execution_state"] == "idle":
            self.idle = True

    @property
    def stdout(self):
        # Joined on access: appending each message to one string would take seconds for a hundred megabytes.
        if len(self.pieces) > 1:
            self.pieces = ["".join(self.pieces)]
        return "".join(self.pieces)

    @property
    def status(self):
        return self.reply["status"] if self.reply else None

    @property
    def text(self):
        """Stdout and the plain text of every display, without colors: what a user sees."""
        plain = [display.data.get("text/plain", "") for display in self.displays]
        return ANSI.sub("", "\n".join([self.stdout, *plain]))

    @property
    def html(self):
        return "\n".join(display.data.get("text/html", "") for display in self.displays)

    @property
    def page(self):
        """The text that the reply asks the frontend to show in a pager."""
        payload = (self.reply or {}).get("payload", [])
        return "\n".join(part["data"].get("text/plain", "") for part in payload if part["source"] == "page")

    @property
    def failure(self):
        """Name, message and traceback of the error, without colors."""
        if not self.error:
            return ""
        return ANSI.sub("", "\n".join([self.error["ename"], self.error["evalue"], *self.error["traceback"]]))

    def ok(self):
        """Fails with all available details unless the cell succeeded."""
        if self.status != "ok":
            raise AssertionError(f"the cell failed:\n{self.code}\n--- {self.failure}\n--- stdout\n{self.text}\n--- stderr\n{self.stderr}")
        return self

    def fails_with(self, *patterns):
        """Checks that the cell failed, that reply and iopub agree, and that each pattern is in the message that the user sees."""
        assert self.status == "error", f"this cell should have failed:\n{self.code}\n---\n{self.text}"
        assert self.error, "the reply reports an error, but no error was shown"
        for key in ("ename", "evalue", "traceback"):
            assert self.reply[key] == self.error[key], f"{key} differs between reply and iopub"
        for pattern in patterns:
            assert re.search(pattern, self.failure, re.I | re.S), f"{pattern!r} is not in\n{self.failure}"
        return self

    def wait(self, timeout=PATIENCE):
        """Waits until the reply and the idle status have arrived."""
        return self.kernel.until(lambda: self.reply is not None and self.idle, timeout, self) and self

    def wait_for(self, predicate, timeout=PATIENCE):
        """Waits until a condition is true for the output so far."""
        return self.kernel.until(lambda: predicate(self), timeout, self) and self


class Kernel:
    """A kernel started from its installed spec, and a client for it."""

    def __init__(self, places=None, name=None, env=None, cwd=None, transport="tcp", prefix=PREFIX):
        self.own_places = places is None
        self.places = places or Places()
        self.environment = self.places.environment(**(env or {}))
        specs = KernelSpecManager(kernel_dirs=[str(pathlib.Path(prefix) / "share" / "jupyter" / "kernels")])
        self.manager = KernelManager(kernel_name=name or KERNEL_NAME, kernel_spec_manager=specs, transport=transport)
        self.manager.connection_file = str(self.places.folder("jupyter-runtime") / f"kernel-{time.monotonic_ns()}.json")
        if transport == "ipc":
            # The path of a socket must be short.
            self.manager.ip = str(self.places.runtime / "k")
        self.log = open(self.places.root / f"kernel-{time.monotonic_ns()}.log", "w+")
        self.cells = {}
        self.began = time.monotonic()
        self.manager.start_kernel(env=self.environment, cwd=str(cwd or self.places.work), stdout=self.log, stderr=subprocess.STDOUT)
        self.client = self.manager.client()
        self.client.start_channels()
        try:
            self.client.wait_for_ready(timeout=ANSWER)
        except RuntimeError as error:
            raise AssertionError(f"the kernel did not answer: {error}\n{self.logged()}") from error
        self.ready_after = time.monotonic() - self.began

    def warm(self):
        """Starts Rust, so that its start message is not part of a later cell."""
        self.run("let warm = 1;")
        return self

    def run(self, code, timeout=PATIENCE, **options):
        """Runs a cell to the end; the cell must succeed."""
        return self.start(code, **options).wait(timeout).ok()

    def fail(self, code, *patterns, timeout=PATIENCE):
        """Runs a cell that must fail; its message must match each pattern."""
        return self.start(code).wait(timeout).fails_with(*patterns)

    def start(self, code, **options):
        """Sends a cell and returns at once."""
        cell = Cell(self, code, None)
        cell.msg_id = self.client.execute(code, allow_stdin=False, **options)
        self.cells[cell.msg_id] = cell
        return cell

    def until(self, predicate, timeout, cell=None):
        """Receives messages until a condition is true."""
        end = time.monotonic() + timeout
        while not predicate():
            if time.monotonic() > end:
                seen = f"{cell.code}\n--- so far\n{cell.text}\n{cell.stderr}\n{cell.failure}" if cell else ""
                raise AssertionError(f"waited {timeout} s in vain\n{seen}\n--- log\n{self.logged()}")
            if not self.manager.is_alive():
                raise AssertionError(f"the kernel died\n{self.logged()}")
            self.take()
        return True

    def take(self):
        """Receives the messages that have arrived, and waits a moment for them."""
        try:
            message = self.client.get_iopub_msg(timeout=0.05)
            cell = self.cells.get(message["parent_header"].get("msg_id"))
            if cell:
                cell.take(message)
        except queue.Empty:
            pass
        try:
            while True:
                reply = self.client.get_shell_msg(timeout=0)
                cell = self.cells.get(reply["parent_header"].get("msg_id"))
                if cell and reply["msg_type"] == "execute_reply":
                    cell.reply = reply["content"]
        except queue.Empty:
            pass

    def displays_named(self, display_id):
        """All displays with that id, in any cell: an update changes all of them."""
        return [display for cell in self.cells.values() for display in cell.displays if display.display_id == display_id]

    def rest(self, seconds):
        """Receives messages for some time."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.take()

    def ask(self, request, timeout=ANSWER):
        """Sends a request through a method of the client, such as `client.complete`, and returns the content of its reply."""
        msg_id = request()
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            try:
                reply = self.client.get_shell_msg(timeout=0.2)
            except queue.Empty:
                continue
            if reply["parent_header"].get("msg_id") == msg_id:
                return reply["content"]
            cell = self.cells.get(reply["parent_header"].get("msg_id"))
            if cell:
                cell.reply = reply["content"]
        raise AssertionError("no reply")

    def complete(self, code, cursor=None):
        return self.ask(lambda: self.client.complete(code, len(code) if cursor is None else cursor))

    def inspect(self, code, cursor=None, detail=0):
        return self.ask(lambda: self.client.inspect(code, len(code) if cursor is None else cursor, detail))

    def interrupt(self):
        """Interrupts the kernel, as the stop button does."""
        self.manager.interrupt_kernel()

    @property
    def process(self):
        return psutil.Process(self.manager.provisioner.pid)

    def child(self, timeout=ANSWER):
        """The process that holds the session: the newest `graft child` that the host started."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            found = [it for it in self.process.children(recursive=True) if is_child(it)]
            if found:
                return max(found, key=lambda it: it.create_time())
            time.sleep(0.05)
        raise AssertionError("the host has no child")

    def logged(self):
        """What the kernel wrote to the terminal. A JupyterLab user sees this only in the log of the server."""
        self.log.flush()
        self.log.seek(0)
        return self.log.read()

    def shutdown(self):
        """Asks the kernel to shut down, as closing the notebook does, and waits until it has exited."""
        self.client.stop_channels()
        if self.manager.has_kernel:
            self.manager.shutdown_kernel()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.shutdown()
        self.log.close()
        if self.own_places:
            self.places.remove()


def is_child(process):
    try:
        words = process.cmdline()
    except psutil.Error:
        return False
    return len(words) > 1 and words[1] == "child"


def graft(*words, places, check=True, timeout=PATIENCE, **options):
    """Runs the kernel binary as in a terminal and returns the completed process, with its output as text."""
    done = subprocess.run(
        [str(GRAFT), *map(str, words)], env=places.environment(), cwd=options.pop("cwd", places.work),
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout, **options,
    )
    if check and done.returncode != 0:
        raise AssertionError(f"graft {' '.join(map(str, words))} ended with {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done


def gone(pid, timeout=ANSWER):
    """Whether a process ends within the given time; a zombie counts as ended."""
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.1)
    return False


def kill(process):
    os.kill(process.pid, signal.SIGKILL)


def number(pattern, text):
    """Returns the first group of a pattern as a number; it may contain thousands separators."""
    found = re.search(pattern, text, re.I | re.S)
    assert found, f"{pattern!r} is not in\n{text}"
    return float(found.group(1).replace(",", "").replace("\u202f", "").replace("\u2009", ""))
