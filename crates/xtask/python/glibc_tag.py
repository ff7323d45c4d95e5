"""Print the platform tag that is true for the symbols of a wheel: `glibc_tag.py WHEEL`.

auditwheel names the tag. Libraries that are in the wheel itself do not count: the program opens its
libstd by its path.
"""

import json
import subprocess
import sys
import zipfile
from pathlib import Path


def main(wheel):
    """Print the tag, or end with the libraries that a machine may not have."""
    command = [sys.executable, "-m", "auditwheel", "show", "--json", wheel]
    found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    if "error" in found:
        sys.exit(found["error"])
    included = {Path(name).name for name in zipfile.ZipFile(wheel).namelist()}
    missing = sorted(set(found["external_libs"]) - included)
    if missing:
        sys.exit(f"the wheel needs libraries that it does not contain: {', '.join(missing)}")
    print(found["sym_tag"])


if __name__ == "__main__":
    main(sys.argv[1])
