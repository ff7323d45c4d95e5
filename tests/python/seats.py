"""How many kernels fit on a machine: memory per kernel and seconds until the first cell, for several kernels that start at once.

    GRAFT_TEST_PREFIX=PREFIX PREFIX/bin/python tests/python/seats.py 1 8 30
"""

import argparse
import contextlib
import os
import time

import psutil

from bench import TENSOR, memory
from graft_testing import Kernel, Places

GIB = 1024

MODES = {
    "magics: a model loaded, a LoRA attached": ["%model load tiny", "%lora attach r=8"],
    "first Rust cell": ["let x = vec![1, 2, 3];\nx.iter().sum::<i32>()"],
    "Rust with a Tensor": ["%model load tiny", TENSOR["graft"]],
}


def seats(count, cells):
    """Runs the cells in `count` kernels at once. Returns the seconds until all have answered, and MiB per kernel."""
    with contextlib.ExitStack() as stack:
        began = time.monotonic()
        kernels = [stack.enter_context(Kernel(places=stack.enter_context(Places()), name="graft")) for _ in range(count)]
        for code in cells:
            for cell in [kernel.start(code) for kernel in kernels]:
                cell.wait(1800).ok()
        seconds = time.monotonic() - began
        time.sleep(3)
        return seconds, memory(*kernels) / count


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("counts", type=int, nargs="*", default=[1, 8], help="numbers of kernels (default: 1 8)")
    parser.add_argument("--mode", choices=["magics", "first", "tensor"], action="append", help="only these modes")
    options = parser.parse_args()
    chosen = dict(zip(["magics", "first", "tensor"], MODES.items(), strict=True))
    print(f"{os.cpu_count()} cores, load {psutil.getloadavg()[0]:.1f} at the start\n")
    print("| mode | kernels | all answered after, s | MiB per kernel (PSS) | kernels per GiB |\n|---|---:|---:|---:|---:|")
    for short in options.mode or chosen:
        name, cells = chosen[short]
        for count in options.counts:
            seconds, each = seats(count, cells)
            print(f"| {name} | {count} | {seconds:.1f} | {each:.0f} | {GIB / each:.1f} |", flush=True)


if __name__ == "__main__":
    main()
