//! `graft-bench train` measures training beside its peers, `curves` how it grows with the sizes, `methods` every method beside LoRA, `gpu` a step
//! on a card; `step` and `method` are one of them alone. `cargo xtask bench` calls it.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::{Parser, Subcommand};
use graft_bench::backend::Backend;
use graft_bench::curves::{self, Sweep};
use graft_bench::schedule::{self, Limits, Plan};
use graft_bench::workload::{Place, Scene, Shape, Work};
use graft_bench::{BenchError, Result, gpu, methods, products, table};

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
        /// Sizes of model and batch; without it each that the work is measured on, one after the other.
        #[arg(long)]
        shape: Option<Shape>,
        /// What is trained; without it each, one after the other.
        #[arg(long)]
        work: Option<Work>,
        /// Where the table of all ratios goes, as Markdown.
        #[arg(long)]
        out: Option<PathBuf>,
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
    /// Every method beside plain LoRA and the frozen base, and a table.
    Methods {
        /// Sizes of model and batch.
        #[arg(long, default_value = "tiny")]
        shape: Shape,
        /// How often each method starts.
        #[arg(long, default_value_t = 2)]
        rounds: usize,
        /// Steps of each start.
        #[arg(long, default_value_t = 8)]
        steps: usize,
        /// Steps of each start that do not count.
        #[arg(long, default_value_t = 2)]
        warm_up: usize,
    },
    /// Curves over length, batch and rank, and rows by instruction set and threads: tables and a figure.
    Curves {
        /// The model whose sizes vary.
        #[arg(long, default_value = "tiny")]
        shape: Shape,
        /// How often each contender starts.
        #[arg(long, default_value_t = 1)]
        rounds: usize,
        /// Steps of each start.
        #[arg(long, default_value_t = 8)]
        steps: usize,
        /// Steps of each start that do not count.
        #[arg(long, default_value_t = 2)]
        warm_up: usize,
        /// A Python with torch, transformers and peft, which joins in.
        #[arg(long)]
        python: Option<PathBuf>,
        /// Folder for `curves.md` and `curves.svg`.
        #[arg(long)]
        out: Option<PathBuf>,
    },
    /// A step on an NVIDIA card beside PyTorch with HF PEFT, and a table.
    Gpu {
        /// The model.
        #[arg(long, default_value = "llama-1b")]
        shape: Shape,
        /// B.
        #[arg(long)]
        rows: Option<usize>,
        /// Rank of the adapters on all linear maps.
        #[arg(long, default_value_t = 16)]
        rank: usize,
        /// How often each contender starts.
        #[arg(long, default_value_t = 2)]
        rounds: usize,
        /// Steps of each start.
        #[arg(long, default_value_t = 18)]
        steps: usize,
        /// Steps of each start that do not count.
        #[arg(long, default_value_t = 3)]
        warm_up: usize,
        /// A Python with torch for CUDA, transformers and peft, which joins in.
        #[arg(long)]
        python: Option<PathBuf>,
        /// Where the table goes, as Markdown.
        #[arg(long)]
        out: Option<PathBuf>,
    },
    /// One method; its costs as JSON.
    Method {
        /// Its verb, or `frozen`.
        verb: String,
        /// Sizes of model and batch.
        #[arg(long)]
        shape: Shape,
        /// Steps.
        #[arg(long)]
        steps: usize,
        /// Small steps, each with a validation behind it.
        #[arg(long)]
        validated: bool,
    },
    /// One contender; its figures as JSON.
    Step {
        /// Which.
        contender: Backend,
        /// Sizes of model and batch.
        #[arg(long)]
        shape: Shape,
        /// What is trained.
        #[arg(long, default_value = "lora")]
        work: Work,
        /// B; without it the usual size, as the next two.
        #[arg(long)]
        rows: Option<usize>,
        /// T.
        #[arg(long)]
        tokens: Option<usize>,
        /// Rank of the adapters.
        #[arg(long)]
        rank: Option<usize>,
        /// Where the model lies.
        #[arg(long, default_value = "cpu")]
        device: Place,
        /// Steps.
        #[arg(long)]
        steps: usize,
    },
}

/// What is measured when nothing is named: the works on the smallest model, and the commonest of them on the others.
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

/// Backward passes walk long graphs of operations recursively.
const STACK: usize = 64 << 20;

fn main() -> ExitCode {
    let began = Instant::now();
    let task = Arguments::parse().task;
    // Peers run as their users run them; only Graft tunes the process.
    let is_graft =
        matches!(task, Task::Step { contender: Backend::Graft, .. } | Task::Method { .. });
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
        .expect("invariant: the contenders do not panic")
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
        Task::Step { contender, shape, work, rows, tokens, rank, device: place, steps } => {
            let usual = Scene::new(shape, work);
            let scene = Scene {
                rows: rows.unwrap_or(usual.rows),
                tokens: tokens.unwrap_or(usual.tokens),
                rank: rank.unwrap_or(usual.rank),
                place,
                ..usual
            };
            let figures = contender.run(&scene, steps, began)?;
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
            // What is named is measured though it is not on the list.
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
