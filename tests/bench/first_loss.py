"""Seconds from `pip install` to the loss of the first training step: `first_loss.py WHEELS [--torch DIR] [--rounds N]`.

WHEELS is the folder of Graft's wheels. Each round makes a fresh virtual environment, installs from local files and trains a LoRA of rank 8 for one
step: with Graft on the embedded model, once with magics and once from a Rust cell; with PyTorch and HF PEFT on a model of the same shape. DIR holds
what `pip download --dest DIR torch transformers peft` has fetched. The network is not part of the times; the sizes of the files are printed instead.
The compiler for Rust cells must be installed.
"""

import argparse
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
PEER = ROOT / "crates" / "graft-bench" / "peers" / "peft.py"
PREPARE = "%seed 7\n%model load tiny\n%data load which-book\n%lora attach r=8\n"
TRAIN = "%train steps=1 batch=8 eval_every=0\n"
MAGICS = PREPARE + TRAIN
RUST = PREPARE + '// %%\nlab().on_step(|event| {\n    println!("loss of step {}: {:.3}", event.step(), event.loss());\n})?;\n// %%\n' + TRAIN


def graft(program):
    """The command of a run in the terminal."""
    return lambda environment: subprocess.run([environment / "bin" / "graft", "run", "-"], input=program, text=True, capture_output=True, env=variables(environment))


def torch(environment):
    words = ["--shape", "tiny", "--work", "lora", "--rows", "8", "--tokens", "128", "--rank", "8", "--steps", "1"]
    # As a file, the script would hide the package of its own name.
    return subprocess.run([environment / "bin" / "python", "-c", PEER.read_text(), *words], text=True, capture_output=True)


def variables(environment):
    """Private caches, so that each round is a first start."""
    scratch = environment.parent
    return {**os.environ, "XDG_CACHE_HOME": str(scratch / "cache"), "XDG_DATA_HOME": str(scratch / "data"), "GRAFT_RUNS": str(scratch / "runs")}


def measured(packages, folder, step):
    """The seconds of the installation and of the first step, in a fresh environment."""
    with tempfile.TemporaryDirectory(prefix="first-loss-") as scratch:
        environment = pathlib.Path(scratch) / "venv"
        subprocess.run([sys.executable, "-m", "venv", environment], check=True)
        install = [environment / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-cache-dir", "--no-index", "--find-links", folder]
        began = time.monotonic()
        subprocess.run([*install, *packages], check=True)
        installed = time.monotonic()
        done = step(environment)
        ended = time.monotonic()
        if done.returncode != 0 or "loss" not in done.stdout:
            sys.exit(f"{packages}: {done.stdout}\n{done.stderr}")
        return installed - began, ended - installed


def megabytes(folder, pattern):
    return sum(path.stat().st_size for path in folder.glob(pattern)) / 1e6


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("wheels", type=pathlib.Path)
    parser.add_argument("--torch", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    rows = {
        "Graft, magics": (["graft-kernel"], arguments.wheels, "graft_kernel-*.whl", graft(MAGICS)),
        "Graft, a Rust cell": (["graft-kernel[rust]"], arguments.wheels, "graft_kernel*.whl", graft(RUST)),
    }
    if arguments.torch:
        rows["torch, transformers, peft"] = (["torch", "transformers", "peft"], arguments.torch, "*", torch)
    print("| | download, MB | pip install, s | first loss after it, s | together, s |\n|---|---:|---:|---:|---:|")
    for name, (packages, folder, pattern, step) in rows.items():
        # The rounds of one row follow each other; the first one also reads the files from the disk.
        rounds = [measured(packages, folder, step) for _ in range(arguments.rounds)]
        install, first = (statistics.median(column) for column in zip(*rounds, strict=True))
        print(f"| {name} | {megabytes(folder, pattern):,.0f} | {install:.1f} | {first:.1f} | {install + first:.1f} |", flush=True)


if __name__ == "__main__":
    main()
