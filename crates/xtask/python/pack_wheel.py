"""Pack an installed kernel into a wheel: `pack_wheel.py ROOT PREFIX OUTPUT TAG EPOCH [LEVEL]`.

ROOT is the checkout, PREFIX the folder into which `graft install --prefix` has installed, OUTPUT the
folder of the wheel, TAG its platform tag, EPOCH the modification time of its files and LEVEL the
effort of the compression (9). The same input gives the same bytes.

Source: https://packaging.python.org/en/latest/specifications/binary-distribution-format/
"""

import base64
import hashlib
import json
import os
import sys
import time
import tomllib
import zipfile
from pathlib import Path

NAME = "graft_kernel"
# Jupyter replaces `{resource_dir}` by the folder of kernel.json, which is in the same prefix as the
# program whether the wheel is in an environment, in the user's home or in a folder of `--target`.
PROGRAM = "{resource_dir}/../../../../bin/graft"
# Marks `share/graft` for `graft uninstall` and for the hint about damaged files.
MARKER = "share/graft/installed-by-pip"
PYTHON = ">=3.9"


class Wheel:
    """The archive and the list of its files."""

    def __init__(self, path, epoch, level):
        self.archive = zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=level)
        # Zip files cannot express times before 1980.
        self.time = time.gmtime(max(epoch, 315532800))[:6]
        self.record = []

    def add(self, name, content, mode=0o644):
        """Add one file."""
        info = zipfile.ZipInfo(name, self.time)
        info.external_attr = (0o100000 | mode) << 16
        info.compress_type = zipfile.ZIP_DEFLATED
        info.create_system = 3
        self.archive.writestr(info, content)
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        self.record.append(f"{name},sha256={digest},{len(content)}")

    def add_folder(self, folder, prefix, skip=lambda path: False):
        """Add the files of a folder, in the order of their names."""
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            name = path.relative_to(folder)
            if not skip(name):
                self.add(f"{prefix}/{name.as_posix()}", path.read_bytes())

    def close(self, dist_info):
        """Write the list of files, which is the last one."""
        name = f"{dist_info}/RECORD"
        self.record.append(f"{name},,\n")
        info = zipfile.ZipInfo(name, self.time)
        info.external_attr = 0o100644 << 16
        info.compress_type = zipfile.ZIP_DEFLATED
        self.archive.writestr(info, "\n".join(self.record))
        self.archive.close()


def metadata(root, version):
    """Return the file METADATA: the description of the package and the text of the README."""
    fields = [
        "Metadata-Version: 2.4",
        "Name: graft-kernel",
        f"Version: {version}",
        "Summary: A Jupyter kernel for Rust with parameter-efficient fine-tuning built in",
        "License-Expression: MIT OR Apache-2.0",
        "License-File: LICENSE-APACHE",
        "License-File: LICENSE-MIT",
        "Classifier: Framework :: Jupyter",
        "Classifier: Operating System :: POSIX :: Linux",
        "Classifier: Programming Language :: Rust",
        f"Requires-Python: {PYTHON}",
        "Description-Content-Type: text/markdown",
    ]
    return "\n".join(fields) + "\n\n" + (root / "README.md").read_text(encoding="utf-8")


def kernelspec(prefix):
    """Return kernel.json with a program that is found wherever the wheel is installed."""
    text = (prefix / "share/jupyter/kernels/graft/kernel.json").read_text(encoding="utf-8")
    spec = json.loads(text)
    spec["argv"][0] = PROGRAM
    spec["metadata"]["graft"]["installer"] = "pip"
    return json.dumps(spec, indent=2) + "\n"


def is_of_the_build(path):
    """Tell whether sessions do without a file: the lock, cargo's target folder and the sources.

    The program contains the sources too, and builds the library of another compiler from them.
    """
    return path.parts[0] in {"target", "lock"} or path.parts[1:2] == ("sources",)


def data_files(wheel, prefix, data):
    """Add what pip copies to the prefix: program, kernelspec and prebuilt library.

    The program contains the tutorials; `graft notebooks` writes them.
    """
    wheel.add(f"{data}/scripts/graft", (prefix / "bin/graft").read_bytes(), 0o755)
    kernels = f"{data}/data/share/jupyter/kernels/graft"
    wheel.add_folder(prefix / "share/jupyter/kernels/graft", kernels, lambda path: path.name == "kernel.json")
    wheel.add(f"{kernels}/kernel.json", kernelspec(prefix).encode())
    share = f"{data}/data"
    wheel.add_folder(prefix / "share/graft/templates", f"{share}/share/graft/templates", is_of_the_build)
    wheel.add(f"{share}/{MARKER}", b"")


def main(root, prefix, output, tag, epoch, level=9):
    """Write the wheel and print its path."""
    manifest = tomllib.loads((root / "Cargo.toml").read_text(encoding="utf-8"))
    version = manifest["workspace"]["package"]["version"]
    dist_info = f"{NAME}-{version}.dist-info"
    output.mkdir(parents=True, exist_ok=True)
    path = output / f"{NAME}-{version}-py3-none-{tag}.whl"
    temporary = path.with_suffix(".new")
    wheel = Wheel(temporary, epoch, level)
    package = root / "kernel/python" / NAME
    extra = {"__pycache__", "entry_points.txt"}
    wheel.add_folder(package, NAME, lambda path: not extra.isdisjoint(path.parts))
    data_files(wheel, prefix, f"{NAME}-{version}.data")
    wheel.add(f"{dist_info}/METADATA", metadata(root, version).encode())
    generator = f"Wheel-Version: 1.0\nGenerator: graft-xtask {version}\n"
    wheel.add(f"{dist_info}/WHEEL", f"{generator}Root-Is-Purelib: false\nTag: py3-none-{tag}\n".encode())
    for name in ("LICENSE-APACHE", "LICENSE-MIT"):
        wheel.add(f"{dist_info}/licenses/{name}", (root / name).read_bytes())
    entry_points = package / "entry_points.txt"
    if entry_points.exists():
        wheel.add(f"{dist_info}/entry_points.txt", entry_points.read_bytes())
    wheel.close(dist_info)
    os.replace(temporary, path)
    print(path)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]), sys.argv[4], *map(int, sys.argv[5:]))
