"""The image for JupyterHub on Kubernetes: the steps of its Dockerfile, executed in a new Debian root folder, because a test machine has no container engine."""

import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import tempfile
import types

import pytest

from graft_testing import ROOT
from test_students import SCRIPT, text_of

IMAGE = ROOT / "docs" / "src" / "class"
CERTIFICATES = pathlib.Path("/etc/ssl/certs/ca-certificates.crt")
INSTRUCTIONS = {"FROM", "ARG", "ENV", "RUN", "COPY", "USER", "WORKDIR", "EXPOSE", "CMD"}


def instructions(text):
    """The instructions of a Dockerfile without line continuations, as pairs of a word and its arguments."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [line.split(maxsplit=1) for line in lines]


def test_every_instruction_of_the_dockerfile_is_one_that_the_image_test_executes():
    found = instructions((IMAGE / "Dockerfile").read_text())
    assert {word for word, _ in found} <= INSTRUCTIONS
    assert found[0] == ["FROM", "debian:bookworm-slim"]
    assert ["USER", "1000"] in found, "students must not be root"


@pytest.mark.parametrize("rust", ["none", "1.95.0"])
def test_the_script_for_the_littlest_jupyterhub(tmp_path, rust):
    """Its commands, with programs that only record them, because the hub needs a machine of its own with systemd."""
    hub, log = tmp_path / "tljh", tmp_path / "log"
    programs = {"pip": hub / "user" / "bin", "tljh-config": tmp_path, "apt-get": tmp_path, "curl": tmp_path}
    for name, folder in programs.items():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f'#!/bin/sh\necho "{name} $*" >> {log}\n')
        (folder / name).chmod(0o755)
    settings = hub / "config" / "jupyterhub_config.d"
    settings.mkdir(parents=True)
    variables = {"PATH": f"{tmp_path}:/usr/bin:/bin", "TLJH": str(hub), "RUST": rust}
    done = subprocess.run(["sh", str(IMAGE / "tljh.sh"), "a.whl", "b.whl"], env=variables, capture_output=True, text=True)
    assert done.returncode == 0, done
    lines = log.read_text().splitlines()
    assert lines[0] == "pip install a.whl b.whl" and lines[-1] == "tljh-config reload", lines
    memory = {"none": "512M", "1.95.0": "1G"}[rust]
    assert f"tljh-config set limits.memory {memory}" in lines, lines
    written = list(settings.iterdir())
    assert [path.name for path in written] == ([] if rust == "none" else ["graft.py"])
    for path in written:
        configured = types.SimpleNamespace(Spawner=types.SimpleNamespace())
        exec(path.read_text(), {"c": configured})
        assert configured.Spawner.environment["PATH"].startswith(f"{hub}/user/bin:/opt/cargo/bin:")
    refused = subprocess.run(["sh", str(IMAGE / "tljh.sh")], env=variables, capture_output=True, text=True)
    assert refused.returncode != 0 and "usage: sudo sh tljh.sh WHEEL..." in refused.stderr, refused


def the_wheels():
    """The folder with the wheels: GRAFT_WHEELS, or the one of `cargo xtask wheel`."""
    folder = pathlib.Path(os.environ.get("GRAFT_WHEELS") or ROOT / "target" / "wheels")
    if not list(folder.glob("graft_kernel-*.whl")):
        pytest.skip(f"there is no wheel in {folder}: cargo xtask wheel")
    return folder


class Image:
    """A Debian root folder in which the instructions of a Dockerfile are executed."""

    def __init__(self, folder, arguments):
        self.root, self.given = folder, arguments
        self.arguments, self.environment, self.user, self.folder, self.command = {}, {}, "0", "/", None

    def bootstrap(self):
        sources = pathlib.Path("/etc/apt/sources.list.d/debian.sources")
        mirror = re.search(r"^URIs: *(\S+)", sources.read_text(), re.M) if sources.exists() else None
        mirror = mirror.group(1) if mirror else "http://deb.debian.org/debian"
        done = subprocess.run(["debootstrap", "--variant=minbase", "bookworm", str(self.root), mirror], capture_output=True, text=True)
        if done.returncode != 0:
            pytest.skip(f"debootstrap failed: {done.stdout.strip().splitlines()[-1:]}")
        # Name resolution, package index and certificates of this machine, as a container engine would provide them.
        for path in ["/etc/resolv.conf", "/etc/hosts", "/etc/pip.conf"]:
            if pathlib.Path(path).exists():
                shutil.copy(path, self.root / path[1:])
        if CERTIFICATES.exists():
            shutil.copy(CERTIFICATES, self.root / "etc" / "host-certificates.crt")

    def run(self, command, **variables):
        """Runs a shell command in the root folder, in a mount namespace of its own."""
        variables = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", **self.arguments, **self.environment, **variables}
        inherited = {name: value for name, value in os.environ.items() if name.startswith("PIP_") and name != "PIP_FIND_LINKS" or name.lower().endswith("_proxy")}
        if (self.root / "etc" / "host-certificates.crt").exists():
            inherited["PIP_CERT"] = "/etc/host-certificates.crt"
        words = [f"{name}={value}" for name, value in {**inherited, **variables}.items()]
        mounts = 'mount -t proc proc "$0/proc" && mount --rbind /dev "$0/dev" && exec chroot "$@"'
        inside = f"cd {shlex.quote(self.folder)} && {command}"
        ids = ["--userspec", f"{self.user}:{self.user}", str(self.root), "/usr/bin/env", "-i", *words, "sh", "-c", inside]
        return subprocess.run(["unshare", "--mount", "sh", "-c", mounts, str(self.root), *ids], capture_output=True, text=True, timeout=1800)

    def build(self, text, context):
        for word, rest in instructions(text):
            if word == "FROM":
                self.bootstrap()
            elif word == "ARG":
                name, value = rest.split("=", 1)
                self.arguments[name] = self.given.get(name, value)
            elif word == "ENV":
                self.environment.update(pair.split("=", 1) for pair in shlex.split(rest))
            elif word == "COPY":
                source, target = rest.split()
                (self.root / target[1:]).mkdir(parents=True, exist_ok=True)
                for path in context.glob(source):
                    shutil.copy(path, self.root / target[1:])
            elif word == "USER":
                self.user = rest
            elif word == "WORKDIR":
                self.folder = rest
            elif word == "CMD":
                self.command = json.loads(rest)
            elif word == "RUN":
                done = self.run(rest)
                assert done.returncode == 0, f"{rest}\n{done.stdout}\n{done.stderr}"
        self.environment["HOME"] = "/home/jovyan"


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_the_steps_of_the_dockerfile_make_an_image_in_which_the_first_lesson_runs():
    if os.geteuid() != 0:
        pytest.skip("only root can create a Debian root folder")
    if shutil.which("debootstrap") is None:
        pytest.skip("debootstrap is missing: sudo apt install debootstrap")
    wheels = the_wheels()
    rust = os.environ.get("GRAFT_IMAGE_RUST", "none")
    with tempfile.TemporaryDirectory(prefix="graft-image-") as folder:
        # Users other than root must be able to enter it.
        pathlib.Path(folder).chmod(0o755)
        image = Image(pathlib.Path(folder), {"RUST": rust})
        image.build((IMAGE / "Dockerfile").read_text(), wheels)

        user = image.run("id -u")
        assert user.stdout == "1000\n", user.stderr
        started = image.run(f"{image.command[0]} --version")
        assert started.returncode == 0, started.stderr
        listed = json.loads(image.run("jupyter kernelspec list --json").stdout)
        assert "graft" in listed["kernelspecs"], listed
        copied = image.run("graft notebooks tutorials")
        assert copied.returncode == 0 and "copied" in copied.stdout, copied.stderr
        lesson = [*(["let x = 20; x + 1"] if rust != "none" else []), "%model load tiny\n%data load which-book", "%lora attach r=2", "%train steps=20 batch=2 max_length=48 eval_every=0", "%runs"]
        done = image.run(f"python -c {shlex.quote(SCRIPT)} {shlex.quote(json.dumps(lesson))}")
        assert done.returncode == 0, done.stderr
        assert "lora-001" in text_of(json.loads(done.stdout)[-1])
        doctor = image.run("graft doctor")
        assert doctor.returncode == 0 and "FAIL" not in doctor.stdout, doctor.stdout
