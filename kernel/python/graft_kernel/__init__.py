"""Graft, a Jupyter kernel for Rust with parameter-efficient fine-tuning built in.

The kernel is the program ``graft``. This package finds it for ``python -m graft_kernel``.
"""

import importlib.metadata
import os
import shutil
import sysconfig
from pathlib import Path

DISTRIBUTION = "graft-kernel"


def candidates():
    """Yield the paths at which an installer may have put the program, the likely ones first."""
    try:
        for file in importlib.metadata.files(DISTRIBUTION) or []:
            if file.name == "graft" and file.parent.name in {"bin", "scripts"}:
                yield Path(file.locate())
    except importlib.metadata.PackageNotFoundError:
        pass
    # `pip install --target DIR` moves the files after it has listed them.
    yield Path(__file__).resolve().parents[1] / "bin" / "graft"
    yield Path(sysconfig.get_path("scripts")) / "graft"
    found = shutil.which("graft")
    if found:
        yield Path(found)


def program():
    """Return the path of the program ``graft`` that belongs to this package."""
    for path in candidates():
        if path.is_file() and os.access(path, os.X_OK):
            return path.resolve()
    raise FileNotFoundError(
        "the program `graft` is missing: reinstall the wheel with"
        " `pip install --force-reinstall --no-deps graft_kernel-VERSION.whl`"
    )
