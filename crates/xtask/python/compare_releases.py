"""Compare the files of two runs of `cargo xtask release`: `compare_releases.py OLD NEW`.

Prints a line for each file that differs, for a wheel also the members that differ, by the checksums
in its RECORD. Both runs must be of the same commit, which the source archives decide.
"""

import sys
import zipfile
from pathlib import Path

CHECKSUMS = "SHA256SUMS"


def checksums(folder):
    """Return the checksum of each file of a release."""
    lines = (folder / CHECKSUMS).read_text(encoding="utf-8").splitlines()
    return {name: digest for digest, name in (line.split(maxsplit=1) for line in lines)}


def members(wheel):
    """Return the line of RECORD for each member of a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        [record] = [name for name in archive.namelist() if name.endswith(".dist-info/RECORD")]
        lines = archive.read(record).decode().splitlines()
    return {line.split(",")[0]: line for line in lines}


def differences(old, new):
    """Return the keys whose values differ, in order."""
    return sorted(key for key in old.keys() | new.keys() if old.get(key) != new.get(key))


def main(old, new):
    """Print the comparison."""
    before, after = checksums(old), checksums(new)
    if any(name.endswith(".tar.gz") for name in differences(before, after)):
        print("  the previous run was of another commit, so nothing is compared")
        return
    different = differences(before, after)
    for name in different:
        print(f"  DIFFERS from the previous run: {name}")
        if name.endswith(".whl") and (old / name).exists() and (new / name).exists():
            for member in differences(members(old / name), members(new / name)):
                print(f"    {member}")
    if not different:
        print(f"  all {len(after)} files are equal to those of the previous run")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
