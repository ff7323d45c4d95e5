"""The figures of `cargo xtask bench`: this kernel and comparable kernels, measured through the same client in one run."""

import argparse
import contextlib
import json
import pathlib
import shutil
import statistics
import time

import psutil

from graft_testing import PREFIX, Kernel, Places, kill

# Number of repetitions for figures that vary between runs.
TIMES = 7
# Number of kernels in the classroom test, and the memory of its machine in MiB.
CLASS = 10
MACHINE = 16 * 1024

TENSOR = {
    "graft": "use graft::candle::{Device, Tensor};\nlet t = Tensor::zeros((2, 3), graft::candle::DType::F32, &Device::Cpu)?;\nprintln!(\"{:?}\", t.dims());",
    "evcxr_jupyter": ':dep candle-core = "0.11"\nuse candle_core::{Device, Tensor};\nlet t = Tensor::zeros((2, 3), candle_core::DType::F32, &Device::Cpu)?;\nprintln!("{:?}", t.dims());',
}
DIMS = 'println!("{:?}", t.dims());'
PRINT = {"ipykernel": "for _ in range(10_000): print('x' * 999)", "graft": 'for _ in 0..10_000 { println!("{}", "x".repeat(999)); }'}
PRINT["evcxr_jupyter"] = PRINT["graft"]
SLEEP = {"ipykernel": "import time; time.sleep(6)", "graft": "std::thread::sleep(std::time::Duration::from_secs(6));"}
SLEEP["evcxr_jupyter"] = SLEEP["graft"]
TRAINING = "%model load tiny\n%data load which-book\n%lora attach r=4\n%train steps=100000 eval_every=0"

PEERS = ["graft", "ipykernel", "evcxr_jupyter"]
ROWS = {
    "info": "launch → kernel_info reply, s",
    "load": "launch → `%model load tiny` answered, s",
    "tensor": "launch → first Rust cell with a Tensor, s",
    "magic": "round trip of a magic (`%status`) or a cell (`1`), ms",
    "trivial": "warm Rust cell `1`, s",
    "let": "warm Rust cell `let x = 1;`, s",
    "dims": "warm Rust cell `t.dims()`, s",
    "complete": "completion, idle, ms",
    "busy": "completion while a cell runs, ms",
    "print": "10 MB of stdout, s",
    "interrupt": "stop button → idle, a training or a sleep, s",
    "killed": "session killed → next magic or cell answered, s",
    "idle": "memory idle, MiB (PSS, host and child)",
    "rust": "memory with Rust, MiB",
    "candle": "memory with Rust and a Tensor, MiB",
}


def timed(work):
    began = time.monotonic()
    work()
    return time.monotonic() - began


def median(work, times=TIMES):
    return statistics.median(timed(work) for _ in range(times))


def memory(*kernels):
    """Proportional set size of the kernels and of all their child processes, in MiB."""
    family = [process for kernel in kernels for process in [kernel.process, *kernel.process.children(recursive=True)]]
    return sum(process.memory_full_info().pss for process in family) / 2**20


def starts(name):
    seconds = []
    for _ in range(TIMES):
        with Kernel(name=name) as kernel:
            seconds.append(kernel.ready_after)
    return statistics.median(seconds)


def shared(name, peer, figures):
    """The measurements that are the same for all kernels, in a kernel that has run a cell."""
    figures["info"] = starts(name)
    with Kernel(name=name) as kernel:
        kernel.rest(2)
        figures["idle"] = memory(kernel)
        cell = "let one = 1;" if peer != "ipykernel" else "one = 1"
        kernel.run(cell, timeout=600)
        word = "std::ve" if peer != "ipykernel" else "imp"
        for _ in range(3):
            kernel.complete(word)
        figures["complete"] = 1000 * median(lambda: kernel.complete(word))
        figures["print"] = statistics.median(timed(lambda: kernel.run(PRINT[peer], timeout=600)) for _ in range(3))
        if peer != "ipykernel":
            kernel.run("1")
            figures["trivial"] = median(lambda: kernel.run("1"))
            figures["let"] = median(lambda: kernel.run("let x = 1;"))
            figures["rust"] = memory(kernel)
        running = kernel.start(SLEEP[peer])
        kernel.rest(1.5)
        question = "%trai" if peer == "graft" else word
        figures["busy"] = 1000 * timed(lambda: kernel.complete(question))
        running.wait()


def stop(kernel, cell, begun):
    cell.wait_for(begun)
    return timed(lambda: (kernel.interrupt(), cell.wait()))


def measure_graft(figures):
    shared("graft", "graft", figures)
    seconds = []
    for _ in range(TIMES):
        with Kernel(name="graft") as kernel:
            kernel.run("%model load tiny")
            seconds.append(time.monotonic() - kernel.began)
    figures["load"] = statistics.median(seconds)
    with Kernel(name="graft") as kernel:
        kernel.run("%status")
        figures["magic"] = 1000 * median(lambda: kernel.run("%status"), 50)
        figures["interrupt"] = statistics.median(stop(kernel, kernel.start(TRAINING), lambda cell: len(cell.displays) > 2 and len(cell.displays[-1].versions) > 2) for _ in range(TIMES))

        def replaced():
            kill(kernel.child())
            while kernel.start("%status").wait().status != "ok":
                pass

        figures["killed"] = median(replaced)
    seconds = []
    for _ in range(3):
        with Kernel(name="graft") as kernel:
            kernel.run(TENSOR["graft"], timeout=600)
            seconds.append(time.monotonic() - kernel.began)
            figures["dims"] = median(lambda: kernel.run(DIMS))
            figures["candle"] = memory(kernel)
    figures["tensor"] = statistics.median(seconds)


def measure_ipykernel(figures):
    shared("python3", "ipykernel", figures)
    with Kernel(name="python3") as kernel:
        figures["magic"] = 1000 * median(lambda: kernel.run("1"), 50)
        seconds = []
        for _ in range(TIMES):
            cell = kernel.start("print('begun', flush=True)\nimport time\ntime.sleep(60)")
            seconds.append(stop(kernel, cell, lambda cell: "begun" in cell.stdout))
        figures["interrupt"] = statistics.median(seconds)

        def replaced():
            kernel.manager.restart_kernel(now=True)
            kernel.client.wait_for_ready(timeout=60)
            kernel.run("1")

        figures["killed"] = median(replaced)


@contextlib.contextmanager
def evcxr_spec(binary):
    """The original evcxr kernel, installed under a separate kernel spec."""
    spec = PREFIX / "share" / "jupyter" / "kernels" / "bench-evcxr"
    spec.mkdir(parents=True, exist_ok=True)
    argv = [str(binary), "--control_file", "{connection_file}"]
    (spec / "kernel.json").write_text(json.dumps({"argv": argv, "display_name": "evcxr", "language": "rust", "interrupt_mode": "message"}))
    try:
        yield "bench-evcxr"
    finally:
        shutil.rmtree(spec)


def measure_evcxr(figures, binary):
    with evcxr_spec(binary) as name:
        shared(name, "evcxr_jupyter", figures)
        with Kernel(name=name) as kernel:
            kernel.run(TENSOR["evcxr_jupyter"], timeout=1800)
            figures["tensor"] = time.monotonic() - kernel.began
            figures["dims"] = median(lambda: kernel.run(DIMS))
            figures["candle"] = memory(kernel)


def a_class():
    """Ten kernels at once, in each mode: start time, memory, and how many of them fit on a machine with 16 GB."""
    print(f"\n| {CLASS} kernels at once | all answered after, s | memory each, MiB (PSS) | kernels on 16 GB |\n|---|---:|---:|---:|")
    modes = [("magics: a model loaded, a LoRA attached", ["%model load tiny", "%lora attach r=8"]), ("with a Rust cell that holds a Tensor", ["%model load tiny", TENSOR["graft"]])]
    for name, cells in modes:
        with contextlib.ExitStack() as stack:
            began = time.monotonic()
            kernels = [stack.enter_context(Kernel(places=stack.enter_context(Places()), name="graft")) for _ in range(CLASS)]
            for code in cells:
                running = [kernel.start(code) for kernel in kernels]
                for cell in running:
                    cell.wait(1200).ok()
            seconds = time.monotonic() - began
            time.sleep(3)
            each = memory(*kernels) / CLASS
            print(f"| {name} | {seconds:.1f} | {each:.0f} | {int(MACHINE / each)} |")


def cell(figures, peer, row):
    value = figures[peer].get(row)
    return "—" if value is None else f"{value:.3g}" if value < 1000 else f"{value:.0f}"


def ratio(figures, row):
    """Graft's figure divided by that of the best other kernel: below 1, Graft is the best."""
    others = [figures[peer][row] for peer in PEERS[1:] if row in figures[peer]]
    return f"{figures['graft'][row] / min(others):.2f}" if others and row in figures["graft"] else "—"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--evcxr", type=pathlib.Path, help="binary of evcxr_jupyter, when it is to be measured")
    options = parser.parse_args()
    figures = {peer: {} for peer in PEERS}
    measure_graft(figures["graft"])
    measure_ipykernel(figures["ipykernel"])
    if options.evcxr:
        measure_evcxr(figures["evcxr_jupyter"], options.evcxr)
    print(f"on {psutil.cpu_count()} cores, load {psutil.getloadavg()[0]:.1f}; medians of {TIMES} unless they take minutes\n")
    print("| what | " + " | ".join(PEERS) + " | graft / best peer |\n|---|---:|---:|---:|---:|")
    for row, words in ROWS.items():
        print(f"| {words} | " + " | ".join(cell(figures, peer, row) for peer in PEERS) + f" | {ratio(figures, row)} |")
    a_class()


if __name__ == "__main__":
    main()
