"""Pack one wheel of an installed kernel: `pack_wheel.py ROOT PREFIX OUTPUT PART TAG EPOCH [LEVEL]`.

ROOT is the checkout, PREFIX the folder into which `graft install --prefix` has installed, OUTPUT the
folder of the wheel, PART its name in PARTS, TAG its platform tag, EPOCH the modification time of its
files and LEVEL the effort of the compression (9). The same input gives the same bytes.

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

# Jupyter replaces `{resource_dir}` by the folder of kernel.json, which is in the same prefix as the
# program whether the wheel is in an environment, in the user's home or in a folder of `--target`.
PROGRAM = "{resource_dir}/../../../../bin/graft"
PYTHON = ">=3.9"
# The wheels: the kernel, whose magics need nothing else, and in two halves what Rust cells need in
# addition. Metadata of crates compress badly, and as one wheel they would exceed 60 MB.
PARTS = {"kernel": "graft_kernel", "rust": "graft_kernel_rust", "crates": "graft_kernel_rust_crates"}
SUMMARIES = {
    "kernel": "A Jupyter kernel for Rust with parameter-efficient fine-tuning built in",
    "rust": "What the Graft kernel needs to compile Rust cells: macros, sources and metadata of crates",
    "crates": "What the Graft kernel needs to compile Rust cells: metadata of more crates",
}
# Files in `share/graft`. The first marks this folder for `graft uninstall` and for the hint about
# damaged files. As each wheel has one, pip removes the whole folder with the last wheel.
MARKERS = {
    "kernel": "installed-by-pip",
    "rust": "rust-installed-by-pip",
    "crates": "rust-crates-installed-by-pip",
}
# The first name of the second half of the crates.
SECOND_HALF = "libn"


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


def requirements(part, version):
    """Return the fields of METADATA that tie the wheels to each other, in the same version."""
    kernel, rust, crates = (f"{name.replace('_', '-')}=={version}" for name in PARTS.values())
    return {
        "kernel": ["Provides-Extra: rust", f'Requires-Dist: {rust}; extra == "rust"'],
        "rust": [f"Requires-Dist: {kernel}", f"Requires-Dist: {crates}"],
        "crates": [f"Requires-Dist: {kernel}"],
    }[part]


def metadata(root, part, version):
    """Return the file METADATA: the description of the package and the text of the README."""
    fields = [
        "Metadata-Version: 2.4",
        f"Name: {PARTS[part].replace('_', '-')}",
        f"Version: {version}",
        f"Summary: {SUMMARIES[part]}",
        "License-Expression: MIT OR Apache-2.0",
        "License-File: LICENSE-APACHE",
        "License-File: LICENSE-MIT",
        "Classifier: Framework :: Jupyter",
        "Classifier: Operating System :: POSIX :: Linux",
        "Classifier: Programming Language :: Rust",
        f"Requires-Python: {PYTHON}",
        *requirements(part, version),
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


def library(prefix):
    """Return the folder of the newest prebuilt library that is complete."""
    found = (prefix / "share/graft/templates").glob("*/template.json")
    newest = max(found, key=lambda path: path.stat().st_mtime, default=None)
    if newest is None:
        sys.exit(f"{prefix} contains no prebuilt library: graft install --prefix {prefix}")
    return newest.parent


def part_of(path):
    """Return the wheel that contains a file of the library, or None for a file of the build.

    The program contains the sources too, and builds the library of another compiler from them.
    """
    if path.parts[0] == "sources":
        # The library reads the embedded models and data sets there.
        return "kernel" if path.parts[1:2] == ("crates",) and path.parts[3:4] == ("assets",) else None
    is_loaded = path.parts[0] == "lib" and (path.name == "libgraft.so" or path.name.startswith("libstd-"))
    if is_loaded or path.parts[0] in {"session", "template.json"}:
        return "kernel"
    return "crates" if path.parts[:2] == ("lib", "deps") and path.name >= SECOND_HALF else "rust"


def add_kernel(wheel, root, prefix, data):
    """Add the Python package, the program and the kernelspec.

    The program contains the tutorials; `graft notebooks` writes them.
    """
    extra = {"__pycache__", "entry_points.txt"}
    package = root / "kernel/python" / PARTS["kernel"]
    wheel.add_folder(package, PARTS["kernel"], lambda path: not extra.isdisjoint(path.parts))
    wheel.add(f"{data}/scripts/graft", (prefix / "bin/graft").read_bytes(), 0o755)
    kernels = f"{data}/data/share/jupyter/kernels/graft"
    wheel.add_folder(prefix / "share/jupyter/kernels/graft", kernels, lambda path: path.name == "kernel.json")
    wheel.add(f"{kernels}/kernel.json", kernelspec(prefix).encode())


def add_library(wheel, prefix, part, data):
    """Add the files of the prebuilt library that pip copies to the prefix."""
    folder = library(prefix)
    installed = f"{data}/data/share/graft/templates/{folder.name}"
    wheel.add_folder(folder, installed, lambda path: part_of(path) != part)
    wheel.add(f"{data}/data/share/graft/{MARKERS[part]}", b"")


def main(root, prefix, output, part, tag, epoch, level=9):
    """Write the wheel and print its path."""
    manifest = tomllib.loads((root / "Cargo.toml").read_text(encoding="utf-8"))
    version = manifest["workspace"]["package"]["version"]
    stem = f"{PARTS[part]}-{version}"
    dist_info = f"{stem}.dist-info"
    output.mkdir(parents=True, exist_ok=True)
    path = output / f"{stem}-py3-none-{tag}.whl"
    temporary = path.with_suffix(".new")
    wheel = Wheel(temporary, epoch, level)
    if part == "kernel":
        add_kernel(wheel, root, prefix, f"{stem}.data")
        entry_points = root / "kernel/python" / PARTS["kernel"] / "entry_points.txt"
        wheel.add(f"{dist_info}/entry_points.txt", entry_points.read_bytes())
    add_library(wheel, prefix, part, f"{stem}.data")
    wheel.add(f"{dist_info}/METADATA", metadata(root, part, version).encode())
    generator = f"Wheel-Version: 1.0\nGenerator: graft-xtask {version}\n"
    wheel.add(f"{dist_info}/WHEEL", f"{generator}Root-Is-Purelib: false\nTag: py3-none-{tag}\n".encode())
    for name in ("LICENSE-APACHE", "LICENSE-MIT"):
        wheel.add(f"{dist_info}/licenses/{name}", (root / name).read_bytes())
    wheel.close(dist_info)
    os.replace(temporary, path)
    print(path)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]), *sys.argv[4:6], *map(int, sys.argv[6:]))
