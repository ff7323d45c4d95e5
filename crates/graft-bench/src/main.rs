//! `graft-bench train` measures training beside its peers; `graft-bench step` is one contender alone. `cargo xtask bench train` calls it.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::{Parser, Subcommand};
use graft_bench::contender::Contender;
use graft_bench::rounds::{self, Plan};
use graft_bench::workload::Shape;
use graft_bench::{Result, table};

/// Measures training.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Clone, Subcommand)]
enum Task {
    /// All contenders in turn, and a table.
    Train {
        /// Sizes of model and batch; without it both, one after the other.
        #[arg(long)]
        shape: Option<Shape>,
        /// How often each contender starts.
        #[arg(long, default_value_t = 2)]
        rounds: usize,
        /// Steps of each start.
        #[arg(long, default_value_t = 10)]
        steps: usize,
        /// Steps of each start that do not count.
        #[arg(long, default_value_t = 2)]
        warm_up: usize,
        /// A Python with torch, transformers and peft, which joins in.
        #[arg(long)]
        python: Option<PathBuf>,
    },
    /// One contender; its figures as JSON.
    Step {
        /// Which.
        contender: Contender,
        /// Sizes of model and batch.
        #[arg(long)]
        shape: Shape,
        /// Steps.
        #[arg(long)]
        steps: usize,
    },
}

/// Backward passes walk long graphs of operations recursively.
const STACK: usize = 64 << 20;

fn main() -> ExitCode {
    let began = Instant::now();
    let task = Arguments::parse().task;
    // Peers run as their users run them; only Graft tunes the process.
    let is_graft = matches!(task, Task::Step { contender: Contender::Graft, .. });
    if is_graft {
        graft_nn::tune_process();
    }
    let work = move || if is_graft { graft_nn::Device::Cpu.with_context(|| perform(task, began)) } else { perform(task, began) };
    let job = std::thread::Builder::new().stack_size(STACK).spawn(work);
    match job.expect("invariant: a process may start a thread").join().expect("invariant: the contenders do not panic") {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}", graft_protocol::Failure::from_hint(&error));
            ExitCode::FAILURE
        }
    }
}

fn perform(task: Task, began: Instant) -> Result<()> {
    match task {
        Task::Step { contender, shape, steps } => {
            let figures = contender.run(shape, steps, began)?;
            println!("{}", serde_json::to_string(&figures).expect("invariant: figures are plain data"));
        }
        Task::Train { shape, rounds, steps, warm_up, python } => {
            let shapes = shape.map_or_else(|| vec![Shape::Tiny, Shape::D768], |shape| vec![shape]);
            for shape in shapes {
                let plan = Plan { shape, rounds, steps, warm_up, python: python.clone() };
                let measured = rounds::run(&plan, &mut |line| eprintln!("  {line}"))?;
                println!("\n{}\n", table::markdown(&plan, &measured));
            }
        }
    }
    Ok(())
}
