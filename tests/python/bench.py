"""The figures of `cargo xtask bench`: this kernel and its peers, measured through the same client in one run."""

import argparse
import json
import pathlib
import shutil
import statistics
import time

import psutil
from graft_testing import PREFIX, Kernel

TENSOR_GRAFT = "use graft::candle::{Device, Tensor};\nlet t = Tensor::zeros((2, 3), graft::candle::DType::F32, &Device::Cpu)?;\nprintln!(\"{:?}\", t.dims());"
TENSOR_EVCXR = ':dep candle-core = "0.11"\nuse candle_core::{Device, Tensor};\nlet t = Tensor::zeros((2, 3), candle_core::DType::F32, &Device::Cpu)?;\nprintln!("{:?}", t.dims());'
DIMS = 'println!("{:?}", t.dims());'


def timed(work):
    began = time.monotonic()
    work()
    return time.monotonic() - began


def median_ms(kernel, code, times):
    """Median round trip of a cell, from sending it to its idle status."""
    kernel.run(code)
    return 1000 * statistics.median(timed(lambda: kernel.run(code)) for _ in range(times))


def memory_mib(kernel):
    """Proportional set size of the kernel and of everything it started."""
    family = [kernel.process, *kernel.process.children(recursive=True)]
    return sum(process.memory_full_info().pss for process in family) / 2**20


def starts(name, times=3):
    """Median seconds from launch to the reply to kernel_info."""
    seconds = []
    for _ in range(times):
        with Kernel(name=name) as kernel:
            seconds.append(kernel.ready_after)
    return statistics.median(seconds)


def measure_graft(rows):
    rows["launch → kernel_info reply, s"]["graft"] = starts("graft")
    with Kernel(name="graft") as kernel:
        kernel.run("%model load tiny")
        rows["launch → `%model load tiny` answered, s"]["graft"] = time.monotonic() - kernel.began
        rows["round trip of a magic (`%status`) or a cell (`1`), ms"]["graft"] = median_ms(kernel, "%status", 50)
    with Kernel(name="graft") as kernel:
        kernel.run("%status")
        kernel.rest(2)
        rows["memory idle, MiB (PSS, host and child)"]["graft"] = memory_mib(kernel)
    with Kernel(name="graft") as kernel:
        kernel.run(TENSOR_GRAFT, timeout=600)
        rows["launch → first Rust cell with a Tensor, s"]["graft"] = time.monotonic() - kernel.began
        rows["warm Rust cell `t.dims()`, s"]["graft"] = median_ms(kernel, DIMS, 7) / 1000
        rows["memory with Rust and a Tensor, MiB"]["graft"] = memory_mib(kernel)


def measure_ipykernel(rows):
    rows["launch → kernel_info reply, s"]["ipykernel"] = starts("python3")
    with Kernel(name="python3") as kernel:
        rows["round trip of a magic (`%status`) or a cell (`1`), ms"]["ipykernel"] = median_ms(kernel, "1", 50)
        kernel.rest(2)
        rows["memory idle, MiB (PSS, host and child)"]["ipykernel"] = memory_mib(kernel)


def measure_evcxr(rows, binary):
    """The stock kernel, from a spec of its own that this function makes and removes."""
    spec = PREFIX / "share" / "jupyter" / "kernels" / "bench-evcxr"
    spec.mkdir(parents=True, exist_ok=True)
    argv = [str(binary), "--control_file", "{connection_file}"]
    (spec / "kernel.json").write_text(json.dumps({"argv": argv, "display_name": "evcxr", "language": "rust", "interrupt_mode": "message"}))
    try:
        rows["launch → kernel_info reply, s"]["evcxr_jupyter"] = starts("bench-evcxr")
        with Kernel(name="bench-evcxr") as kernel:
            kernel.run("1 + 1", timeout=600)
            kernel.rest(2)
            rows["memory idle, MiB (PSS, host and child)"]["evcxr_jupyter"] = memory_mib(kernel)
        with Kernel(name="bench-evcxr") as kernel:
            kernel.run(TENSOR_EVCXR, timeout=1800)
            rows["launch → first Rust cell with a Tensor, s"]["evcxr_jupyter"] = time.monotonic() - kernel.began
            rows["warm Rust cell `t.dims()`, s"]["evcxr_jupyter"] = median_ms(kernel, DIMS, 7) / 1000
            rows["memory with Rust and a Tensor, MiB"]["evcxr_jupyter"] = memory_mib(kernel)
    finally:
        shutil.rmtree(spec)


ROWS = [
    "launch → kernel_info reply, s",
    "launch → `%model load tiny` answered, s",
    "launch → first Rust cell with a Tensor, s",
    "round trip of a magic (`%status`) or a cell (`1`), ms",
    "warm Rust cell `t.dims()`, s",
    "memory idle, MiB (PSS, host and child)",
    "memory with Rust and a Tensor, MiB",
]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--evcxr", type=pathlib.Path, help="binary of evcxr_jupyter, when it is to be measured")
    options = parser.parse_args()
    rows = {row: {} for row in ROWS}
    measure_graft(rows)
    measure_ipykernel(rows)
    if options.evcxr:
        measure_evcxr(rows, options.evcxr)
    peers = ["graft", "ipykernel", "evcxr_jupyter"]
    print(f"on {psutil.cpu_count()} cores, load {psutil.getloadavg()[0]:.1f}\n")
    print("| what | " + " | ".join(peers) + " |\n|---|---:|---:|---:|")
    for row, figures in rows.items():
        cells = [f"{figures[peer]:.2f}" if peer in figures else "—" for peer in peers]
        print(f"| {row} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
