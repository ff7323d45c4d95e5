"""Headless Chromium, controlled through the part of the DevTools protocol that the tests need."""

import base64
import itertools
import json
import shutil
import subprocess
import time
import urllib.request

import websocket


class Browser:
    """One page. `run` evaluates JavaScript in it and returns the value; it awaits a promise."""

    def __init__(self, places):
        program = next(filter(None, map(shutil.which, ["chromium", "chromium-browser", "google-chrome"])))
        profile = places.folder("chromium")
        options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--window-size=1280,1000"]
        ports = ["--remote-debugging-port=0", "--remote-allow-origins=*", f"--user-data-dir={profile}"]
        self.log = open(places.root / "chromium.log", "w")
        self.process = subprocess.Popen([program, *options, *ports, "about:blank"], env=places.environment(), stdout=self.log, stderr=self.log)
        port = self.port(profile / "DevToolsActivePort")
        pages = json.load(urllib.request.urlopen(f"http://127.0.0.1:{port}/json", timeout=10))
        self.socket = websocket.create_connection(next(it for it in pages if it["type"] == "page")["webSocketDebuggerUrl"], timeout=60)
        self.numbers = itertools.count(1)

    def port(self, path):
        for _ in range(600):
            if path.is_file() and path.read_text().strip():
                return path.read_text().split()[0]
            assert self.process.poll() is None, f"Chromium exited with {self.process.returncode}"
            time.sleep(0.1)
        raise AssertionError("Chromium did not start")

    def call(self, method, **parameters):
        """Sends one command of the protocol and returns its result; ignores events that arrive in between."""
        number = next(self.numbers)
        self.socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            answer = json.loads(self.socket.recv())
            if answer.get("id") == number:
                assert "error" not in answer, answer
                return answer["result"]

    def open(self, url):
        self.call("Page.navigate", url=url)

    def run(self, script):
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def comes(self, condition, timeout):
        """Whether an expression becomes true on the page; an expression that throws counts as not yet true."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            if self.run(f"(() => {{ try {{ return !!({condition}); }} catch (e) {{ return false; }} }})()"):
                return True
            time.sleep(0.2)
        return False

    def until(self, condition, timeout):
        """Waits until an expression is true on the page."""
        if self.comes(condition, timeout):
            return
        seen = self.run("document.body.innerText.slice(-3000)")
        raise AssertionError(f"waited {timeout} s in vain for {condition}\non the page:\n{seen}")

    def key(self, name, shift=False):
        """Presses a real key, which triggers the keyboard shortcuts of the page."""
        code = {"Enter": 13, "Tab": 9}[name]
        for kind in ["rawKeyDown", "keyUp"]:
            self.call("Input.dispatchKeyEvent", type=kind, key=name, code=name, windowsVirtualKeyCode=code, modifiers=8 if shift else 0)

    def click(self, selector):
        """Clicks with the left button in the middle of the first visible element."""
        script = f"""(() => {{ for (const it of document.querySelectorAll({json.dumps(selector)})) {{ const box = it.getBoundingClientRect();
            if (box.width > 0 && box.height > 0) return [box.x + box.width / 2, box.y + box.height / 2]; }} }})()"""
        x, y = self.run(script)
        for kind in ["mousePressed", "mouseReleased"]:
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def picture(self, path):
        """Saves what a user sees now as a PNG."""
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()
        self.process.terminate()
        self.process.wait(20)
        self.log.close()
