//! `graft-bench`: benchmarks of training, called by `cargo xtask bench`.
//!
//! * `train` compares Graft with other backends, `curves` varies the sizes, `methods` compares
//!   fine-tuning methods, `gpu` measures a step on a GPU.
//! * `step` and `method` run a single measurement in this process.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::{Parser, Subcommand};
use graft_bench::backend::Backend;
use graft_bench::curves::{self, Sweep};
use graft_bench::schedule::{self, Limits, Plan};
use graft_bench::workload::{Place, Scene, Shape, Work};
use graft_bench::{BenchError, Result, gpu, methods, products, table};

/// Benchmarks of training.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Clone, Subcommand)]
enum Task {
    /// Compare all backends.
    Train {
        /// Sizes of model and batch (default: all that the work is measured on).
        #[arg(long)]
        shape: Option<Shape>,
        /// What is trained (default: each).
        #[arg(long)]
        work: Option<Work>,
        /// Write the summary to this Markdown file.
        #[arg(long)]
        out: Option<PathBuf>,
        /// Number of starts of each backend.
        #[arg(long, default_value_t = 2)]
        rounds: usize,
        /// Steps of each start.
        #[arg(long, default_value_t = 10)]
        steps: usize,
        /// First steps of each start that are not counted.
        #[arg(long, default_value_t = 2)]
        warm_up: usize,
        /// A Python with torch, transformers and peft, as another backend.
        #[arg(long)]
        python: Option<PathBuf>,
    },
    /// Compare every method with plain LoRA and the frozen base model.
    Methods {
        /// Sizes of model and batch.
        #[arg(long, default_value = "tiny")]
        shape: Shape,
        /// Number of starts of each method.
        #[arg(long, default_value_t = 2)]
        rounds: usize,
        /// Steps of each start.
        #[arg(long, default_value_t = 8)]
        steps: usize,
        /// First steps of each start that are not counted.
        #[arg(long, default_value_t = 2)]
        warm_up: usize,
    },
    /// Vary length, batch size, rank, instruction set and threads.
    Curves {
        /// The model whose sizes vary.
        #[arg(long, default_value = "tiny")]
        shape: Shape,
        /// Number of starts of each backend.
        #[arg(long, default_value_t = 1)]
        rounds: usize,
        /// Steps of each start.
        #[arg(long, default_value_t = 8)]
        steps: usize,
        /// First steps of each start that are not counted.
        #[arg(long, default_value_t = 2)]
        warm_up: usize,
        /// A Python with torch, transformers and peft, as another backend.
        #[arg(long)]
        python: Option<PathBuf>,
        /// Folder for `curves.md` and `curves.svg`.
        #[arg(long)]
        out: Option<PathBuf>,
    },
    /// Compare a step on an NVIDIA GPU with PyTorch and Hugging Face PEFT.
    Gpu {
        /// The model.
        #[arg(long, default_value = "llama-1b")]
        shape: Shape,
        /// B: rows of the batch.
        #[arg(long)]
        rows: Option<usize>,
        /// Rank of the adapters on all linear layers.
        #[arg(long, default_value_t = 16)]
        rank: usize,
        /// Number of starts of each backend.
        #[arg(long, default_value_t = 2)]
        rounds: usize,
        /// Steps of each start.
        #[arg(long, default_value_t = 18)]
        steps: usize,
        /// First steps of each start that are not counted.
        #[arg(long, default_value_t = 3)]
        warm_up: usize,
        /// A Python with torch for CUDA, transformers and peft, as another backend.
        #[arg(long)]
        python: Option<PathBuf>,
        /// Write the table to this Markdown file.
        #[arg(long)]
        out: Option<PathBuf>,
    },
    /// Measure one method and print its costs as JSON.
    Method {
        /// Verb of the method, or `frozen`.
        verb: String,
        /// Sizes of model and batch.
        #[arg(long)]
        shape: Shape,
        /// Steps.
        #[arg(long)]
        steps: usize,
        /// Use small steps, each followed by a validation.
        #[arg(long)]
        validated: bool,
    },
    /// Measure one backend and print its measurements as JSON.
    Step {
        /// The backend.
        backend: Backend,
        /// Sizes of model and batch.
        #[arg(long)]
        shape: Shape,
        /// What is trained.
        #[arg(long, default_value = "lora")]
        work: Work,
        /// B: rows of the batch (default: the usual size).
        #[arg(long)]
        rows: Option<usize>,
        /// T: tokens of a row (default: the usual size).
        #[arg(long)]
        tokens: Option<usize>,
        /// Rank of the adapters (default: the usual rank).
        #[arg(long)]
        rank: Option<usize>,
        /// Device of the model.
        #[arg(long, default_value = "cpu")]
        device: Place,
        /// Steps.
        #[arg(long)]
        steps: usize,
    },
}

/// The default measurements: all kinds of work on the smallest model, and the most common ones on
/// the others.
const PROGRAM: &[(Shape, Work)] = &[
    (Shape::Tiny, Work::Lora),
    (Shape::Tiny, Work::Checkpointed),
    (Shape::Tiny, Work::LoraQv),
    (Shape::Tiny, Work::Dora),
    (Shape::Tiny, Work::Prompt),
    (Shape::Tiny, Work::Full),
    (Shape::D768, Work::Lora),
    (Shape::D768, Work::Checkpointed),
    (Shape::D768, Work::Full),
    (Shape::Gpt2, Work::Lora),
    (Shape::Bert, Work::Lora),
];

/// Stack size: the backward pass recurses along the graph of operations.
const STACK: usize = 64 << 20;

fn main() -> ExitCode {
    let began = Instant::now();
    let task = Arguments::parse().task;
    // Only Graft tunes the process; other backends run with their defaults.
    let is_graft = matches!(task, Task::Step { backend: Backend::Graft, .. } | Task::Method { .. });
    if is_graft {
        graft_nn::tune_process();
    }
    let work = move || {
        if is_graft {
            graft_nn::Device::Cpu.with_context(|| perform(task, began))
        } else {
            perform(task, began)
        }
    };
    let job = std::thread::Builder::new().stack_size(STACK).spawn(work);
    match job
        .expect("invariant: a process may start a thread")
        .join()
        .expect("invariant: the backends do not panic")
    {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}", graft_spec::Failure::from_hint(&error));
            ExitCode::FAILURE
        }
    }
}

fn perform(task: Task, began: Instant) -> Result<()> {
    match task {
        Task::Step { backend, shape, work, rows, tokens, rank, device: place, steps } => {
            let usual = Scene::new(shape, work);
            let scene = Scene {
                rows: rows.unwrap_or(usual.rows),
                tokens: tokens.unwrap_or(usual.tokens),
                rank: rank.unwrap_or(usual.rank),
                place,
                ..usual
            };
            let figures = backend.run(&scene, steps, began)?;
            println!(
                "{}",
                serde_json::to_string(&figures).expect("invariant: figures are plain data")
            );
        }
        Task::Method { verb, shape, steps, validated } => {
            let costs = if validated {
                methods::validated(&verb, shape, steps)?
            } else {
                methods::measure(&verb, shape, steps)?
            };
            println!("{}", serde_json::to_string(&costs).expect("invariant: costs are plain data"));
        }
        Task::Methods { shape, rounds, steps, warm_up } => {
            let plan = methods::Plan { shape, rounds, steps, warm_up };
            let all = methods::run(plan, &mut |line| eprintln!("  {line}"))?;
            println!("\n{}", methods::markdown(plan, &all));
        }
        Task::Curves { shape, rounds, steps, warm_up, python, out } => {
            let sweep = Sweep { shape, rounds, steps, warm_up, python };
            let (page, figure) = curves::run(&sweep, &mut |line| eprintln!("  {line}"))?;
            println!("\n{page}");
            for (name, text) in [("curves.md", page), ("curves.svg", figure)] {
                let Some(out) = &out else { continue };
                std::fs::write(out.join(name), text).map_err(BenchError::io("write the curves"))?;
            }
        }
        Task::Gpu { shape, rows, rank, rounds, steps, warm_up, python, out } => {
            let usual = Scene::new(shape, Work::Lora);
            let scene =
                Scene { rows: rows.unwrap_or(usual.rows), rank, place: Place::Cuda, ..usual };
            let plan = Plan { scene, rounds, steps, warm_up, python, limits: Limits::default() };
            let page = gpu::run(&plan, &mut |line| eprintln!("  {line}"))?;
            println!("\n{page}");
            if let Some(out) = out {
                std::fs::write(out, page).map_err(BenchError::io("write the table"))?;
            }
        }
        Task::Train { shape, work, rounds, steps, warm_up, python, out } => {
            let asked = |(one, other): &&(Shape, Work)| {
                shape.is_none_or(|shape| shape == *one) && work.is_none_or(|work| work == *other)
            };
            let mut program: Vec<_> = PROGRAM.iter().filter(asked).copied().collect();
            // A named combination is measured even if it is not on the list.
            program.extend(shape.zip(work).filter(|named| !program.contains(named)));
            let mut all = Vec::new();
            for (shape, work) in program {
                let plan = Plan {
                    scene: Scene::new(shape, work),
                    rounds,
                    steps,
                    warm_up,
                    python: python.clone(),
                    limits: Limits::default(),
                };
                let before = products::rate()?;
                let measured = schedule::run(&plan, &mut |line| eprintln!("  {line}"))?;
                println!("\n{}\n", table::markdown(&plan, &measured));
                all.push(table::Row { plan, measured, rate: before.max(products::rate()?) });
            }
            let page = table::summary(&all);
            println!("{page}");
            if let Some(out) = out {
                std::fs::write(out, page).map_err(BenchError::io("write the table"))?;
            }
        }
    }
    Ok(())
}
