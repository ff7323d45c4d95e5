"""Write the crates that a release contains: `bill_of_materials.py ROOT OUTPUT EPOCH`.

The list comes from `cargo metadata`: the dependencies of the program and of the prebuilt library for
Linux on x86-64, without those that only tests and other platforms have.

Source: https://cyclonedx.org/docs/1.6/json/
"""

import json
import subprocess
import sys
import time
import tomllib
import uuid
from pathlib import Path

TARGET = "x86_64-unknown-linux-gnu"
# The program in the wheel and the library that Rust cells use.
ROOTS = {"graft-kernel", "graft"}


def read_metadata(root):
    """Return the packages and the resolved dependencies."""
    command = ["cargo", "metadata", "--locked", "--format-version", "1", "--filter-platform", TARGET]
    run = subprocess.run(command, cwd=root, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(run.stdout)


def checksums(root):
    """Return the SHA-256 of each package that Cargo.lock names."""
    lock = tomllib.loads((root / "Cargo.lock").read_text(encoding="utf-8"))
    packages = lock["package"]
    return {(it["name"], it["version"]): it["checksum"] for it in packages if "checksum" in it}


def reached(metadata):
    """Return the ids of ROOTS and of everything that they need at run time or to be built."""
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    names = {package["id"]: package["name"] for package in metadata["packages"]}
    waiting = [package for package, name in names.items() if name in ROOTS]
    found = set()
    while waiting:
        package = waiting.pop()
        if package in found:
            continue
        found.add(package)
        for dependency in nodes[package]["deps"]:
            if any(kind["kind"] != "dev" for kind in dependency["dep_kinds"]):
                waiting.append(dependency["pkg"])
    return found, nodes


def purl(package):
    """Return the package URL of a crate."""
    return f"pkg:cargo/{package['name']}@{package['version']}"


def component(package, sums):
    """Describe one crate."""
    described = {
        "type": "library",
        "bom-ref": purl(package),
        "name": package["name"],
        "version": package["version"],
        "purl": purl(package),
    }
    if package["license"]:
        # Old manifests separate alternatives by a slash.
        described["licenses"] = [{"expression": package["license"].replace("/", " OR ")}]
    checksum = sums.get((package["name"], package["version"]))
    if checksum:
        described["hashes"] = [{"alg": "SHA-256", "content": checksum}]
    return described


def main(root, output, epoch):
    """Write the file."""
    metadata = read_metadata(root)
    ids, nodes = reached(metadata)
    packages = {package["id"]: package for package in metadata["packages"]}
    chosen = sorted((packages[it] for it in ids), key=purl)
    sums = checksums(root)
    kernel = next(package for package in chosen if package["name"] == "graft-kernel")
    dependencies = [
        {
            "ref": purl(package),
            "dependsOn": sorted(
                {purl(packages[it["pkg"]]) for it in nodes[package["id"]]["deps"] if it["pkg"] in ids}
            ),
        }
        for package in chosen
    ]
    names = "\n".join(purl(package) for package in chosen)
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, names)}",
        "version": 1,
        "metadata": {
            "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(epoch)),
            "component": {**component(kernel, sums), "type": "application"},
        },
        "components": [component(package, sums) for package in chosen if package is not kernel],
        "dependencies": dependencies,
    }
    output.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    print(f"  {len(chosen)} crates")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
