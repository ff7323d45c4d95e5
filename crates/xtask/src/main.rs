//! `cargo xtask`: the development tasks that go beyond plain cargo commands.
//!
//! This program depends on neither the tensor crates nor evcxr, so it is built within seconds in a
//! fresh clone. It runs long work as child processes and times them. `cargo xtask help` lists the
//! tasks.

mod bench;
mod check;
mod clean;
mod cuda;
mod goldens;
mod groups;
mod lab;
mod machine;
mod measure;
mod paths;
mod phases;
mod pretrain;
mod problem;
mod python;
mod release;
mod reuse;
mod runner;
mod shell;
mod test;
mod timings;
mod wheel;

use std::process::ExitCode;

use problem::{Problem, Result};

/// One task: its name, usage, summary and function.
struct Task {
    name: &'static str,
    usage: &'static str,
    summary: &'static str,
    run: fn(&[String]) -> Result<()>,
}

const TASKS: &[Task] = &[
    Task {
        name: "lab",
        usage: "lab [--no-browser] [--run NN]",
        summary: "build the kernel, install it into target/graft-lab and open the notebooks; --run 01 executes one headless and prints its outputs",
        run: lab::run,
    },
    Task {
        name: "test",
        usage: "test [PATTERN] [--long] [--peft]",
        summary: "run all tests, or those whose name contains PATTERN, and install what they need; --long adds soak and fuzz tests, --peft adds tests against HF PEFT and AdapterHub",
        run: test::run,
    },
    Task {
        name: "check",
        usage: "check",
        summary: "check format, clippy and documentation",
        run: check::run,
    },
    Task {
        name: "bench",
        usage: "bench [kernel] [--peers] | train [ARGS] | curves [ARGS] | methods [ARGS] | gpu [--arch LIST] [ARGS]",
        summary: "compare start-up, round trips and memory with ipykernel (--peers adds evcxr_jupyter), or a LoRA step with plain candle (train --help)",
        run: bench::run,
    },
    Task {
        name: "cuda-build",
        usage: "cuda-build [--arch 80,86,89,90,120] [--prefix FOLDER]",
        summary: "install the kernel with a library for NVIDIA GPUs into target/graft-cuda or FOLDER; building needs no GPU",
        run: cuda::run,
    },
    Task {
        name: "wheel",
        usage: "wheel [--output DIR] [--from PREFIX]",
        summary: "pack the optimized kernel, its prebuilt library and the notebooks as Python wheels in target/wheels or DIR; --from packs the kernel installed in PREFIX",
        run: wheel::run,
    },
    Task {
        name: "release",
        usage: "release",
        summary: "write the files of a release into target/release-files: wheels, source archive, bill of materials, notes and checksums; publishes nothing",
        run: release::run,
    },
    Task {
        name: "pretrain",
        usage: "pretrain [ARGS]",
        summary: "train the embedded model again, which takes hours; ARGS are passed to the recipe",
        run: pretrain::run,
    },
    Task {
        name: "goldens",
        usage: "goldens DIR [MODEL[/CASE]]",
        summary: "check every reference case in a folder with the layout of tests/goldens and print a table",
        run: goldens::run,
    },
    Task {
        name: "measure",
        usage: "measure [DIR]...",
        summary: "count code, documentation and panics in each crate",
        run: measure::run,
    },
    Task {
        name: "clean",
        usage: "clean",
        summary: "remove the environments, kernels and prebuilt libraries that lab and test created",
        run: clean::run,
    },
];

fn main() -> ExitCode {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.is_empty() || matches!(arguments[0].as_str(), "help" | "--help" | "-h") {
        print!("{}", help());
        return ExitCode::SUCCESS;
    }
    let name = arguments.remove(0);
    let outcome = match TASKS.iter().find(|task| task.name == name) {
        Some(task) => (task.run)(&arguments),
        None => Err(Problem::new(format!("unknown task `{name}`"))
            .hint("`cargo xtask help` lists the tasks")),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) if problem.is_reported() => ExitCode::FAILURE,
        Err(problem) => {
            eprintln!("\nxtask: {problem}");
            ExitCode::FAILURE
        }
    }
}

/// Builds the page that `cargo xtask help` prints.
fn help() -> String {
    let mut page = String::from("cargo xtask TASK\n\n");
    for task in TASKS {
        page.push_str(&format!("  {:32} {}\n", task.usage, task.summary));
    }
    page
}

/// Rejects arguments that a task does not accept.
fn refuse_unknown(task: &str, arguments: &[String], known: &[&str]) -> Result<()> {
    match arguments.iter().find(|argument| !known.contains(&argument.as_str())) {
        Some(other) => Err(Problem::new(format!("`{task}` does not take `{other}`"))
            .hint(format!("it takes: {}", known.join(" ")))),
        None => Ok(()),
    }
}
