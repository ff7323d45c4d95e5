//! `cargo xtask`: everything a person does with the checkout that is not plain cargo.
//!
//! It knows nothing of tensors or of evcxr, so that it is built and talking within seconds of a fresh clone; what is heavy it starts as a child
//! process and times. `cargo xtask help` lists the tasks.

mod bench;
mod check;
mod clean;
mod cuda;
mod goldens;
mod groups;
mod lab;
mod machine;
mod measure;
mod phases;
mod places;
mod pretrain;
mod problem;
mod python;
mod reuse;
mod runner;
mod shell;
mod test;
mod timings;

use std::process::ExitCode;

use problem::{Problem, Result};

/// One task: its name, how it is called, what it does, and the function behind it.
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
        summary: "build, install into target/graft-lab and open the notebooks; --run 01 executes one headless and prints its figures",
        run: lab::run,
    },
    Task {
        name: "test",
        usage: "test [PATTERN] [--long] [--peft]",
        summary: "install what the tests need and run every one of them, or those whose name contains PATTERN; --long adds soak and fuzz campaigns, --peft those against HF PEFT and AdapterHub themselves",
        run: test::run,
    },
    Task {
        name: "check",
        usage: "check",
        summary: "format, clippy and documentation, without running anything",
        run: check::run,
    },
    Task {
        name: "bench",
        usage: "bench [kernel] [--peers] | train [ARGS] | curves [ARGS] | methods [ARGS] | gpu [--arch LIST] [ARGS]",
        summary: "measure start-up, round trips and memory beside ipykernel (--peers adds evcxr_jupyter), or a LoRA step beside plain candle (train --help)",
        run: bench::run,
    },
    Task {
        name: "cuda-build",
        usage: "cuda-build [--arch 80,86,89,90,120] [--prefix FOLDER]",
        summary: "the kernel with a library for NVIDIA cards, into target/graft-cuda or FOLDER; needs no card to build",
        run: cuda::run,
    },
    Task {
        name: "pretrain",
        usage: "pretrain [ARGS]",
        summary: "make the embedded model again (hours); ARGS go to the recipe",
        run: pretrain::run,
    },
    Task {
        name: "goldens",
        usage: "goldens DIR [MODEL[/CASE]]",
        summary: "check every reference case of a folder laid out as tests/goldens and print a table",
        run: goldens::run,
    },
    Task {
        name: "measure",
        usage: "measure [DIR]...",
        summary: "sizes, documentation and panics of each crate, in figures",
        run: measure::run,
    },
    Task {
        name: "clean",
        usage: "clean",
        summary: "remove the environments, kernels and templates that lab and test made",
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
        None => Err(Problem::new(format!("there is no task `{name}`"))
            .hint("`cargo xtask help` lists them")),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) if problem.is_told() => ExitCode::FAILURE,
        Err(problem) => {
            eprintln!("\nxtask: {problem}");
            ExitCode::FAILURE
        }
    }
}

/// The page that `cargo xtask help` prints.
fn help() -> String {
    let mut page = String::from("cargo xtask TASK\n\n");
    for task in TASKS {
        page.push_str(&format!("  {:32} {}\n", task.usage, task.summary));
    }
    page
}

/// Refuses arguments that a task does not know.
fn refuse_unknown(task: &str, arguments: &[String], known: &[&str]) -> Result<()> {
    match arguments.iter().find(|argument| !known.contains(&argument.as_str())) {
        Some(other) => Err(Problem::new(format!("`{task}` does not take `{other}`"))
            .hint(format!("it takes: {}", known.join(" ")))),
        None => Ok(()),
    }
}
