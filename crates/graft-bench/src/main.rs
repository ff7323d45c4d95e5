//! `graft-bench`: benchmarks of training, called by `cargo xtask bench`.
//!
//! * `train` compares Graft with other backends, `curves` varies the sizes, `methods` compares
//!   fine-tuning methods, `gpu` measures a step on a GPU.
//! * `step` and `method` run a single measurement in this process.

mod arguments;

use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use arguments::{Arguments, Curves, Gpu, Method, Methods, Step, Task, Train};
use clap::Parser;
use graft_bench::backend::Backend;
use graft_bench::curves::{self, Sweep};
use graft_bench::schedule::{self, Comparison, Limits};
use graft_bench::workload::{Place, Scene, Shape, Work};
use graft_bench::{BenchError, Result, gpu, methods, products, table};

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
    let is_graft =
        matches!(task, Task::Step(Step { backend: Backend::Graft, .. }) | Task::Method(_));
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
        Task::Step(arguments) => step(&arguments, began),
        Task::Method(arguments) => method(&arguments),
        Task::Methods(arguments) => all_methods(&arguments),
        Task::Curves(arguments) => sweep(arguments),
        Task::Gpu(arguments) => on_gpu(arguments),
        Task::Train(arguments) => train(&arguments),
    }
}

fn step(arguments: &Step, began: Instant) -> Result<()> {
    let usual = Scene::new(arguments.shape, arguments.work);
    let scene = Scene {
        rows: arguments.rows.unwrap_or(usual.rows),
        tokens: arguments.tokens.unwrap_or(usual.tokens),
        rank: arguments.rank.unwrap_or(usual.rank),
        place: arguments.device,
        ..usual
    };
    let figures = arguments.backend.run(&scene, arguments.steps, began)?;
    println!("{}", serde_json::to_string(&figures).expect("invariant: figures are plain data"));
    Ok(())
}

fn method(arguments: &Method) -> Result<()> {
    let Method { verb, shape, steps, validated } = arguments;
    let costs = if *validated {
        methods::validated(verb, *shape, *steps)?
    } else {
        methods::measure(verb, *shape, *steps)?
    };
    println!("{}", serde_json::to_string(&costs).expect("invariant: costs are plain data"));
    Ok(())
}

fn all_methods(arguments: &Methods) -> Result<()> {
    let Methods { shape, rounds, steps, warm_up } = *arguments;
    let plan = methods::MethodComparison { shape, rounds, steps, warm_up };
    let all = methods::run(plan, &mut report)?;
    println!("\n{}", methods::markdown(plan, &all));
    Ok(())
}

fn sweep(arguments: Curves) -> Result<()> {
    let Curves { shape, rounds, steps, warm_up, python, out } = arguments;
    let sweep = Sweep { shape, rounds, steps, warm_up, python };
    let (page, figure) = curves::run(&sweep, &mut report)?;
    println!("\n{page}");
    for (name, text) in [("curves.md", page), ("curves.svg", figure)] {
        write(out.as_ref().map(|folder| folder.join(name)).as_deref(), &text)?;
    }
    Ok(())
}

fn on_gpu(arguments: Gpu) -> Result<()> {
    let Gpu { shape, rows, rank, rounds, steps, warm_up, python, out } = arguments;
    let usual = Scene::new(shape, Work::Lora);
    let scene = Scene { rows: rows.unwrap_or(usual.rows), rank, place: Place::Cuda, ..usual };
    let plan = Comparison { scene, rounds, steps, warm_up, python, limits: Limits::default() };
    let page = gpu::run(&plan, &mut report)?;
    println!("\n{page}");
    write(out.as_deref(), &page)
}

fn train(arguments: &Train) -> Result<()> {
    let mut all = Vec::new();
    for (shape, work) in program(arguments) {
        let plan = Comparison {
            scene: Scene::new(shape, work),
            rounds: arguments.rounds,
            steps: arguments.steps,
            warm_up: arguments.warm_up,
            python: arguments.python.clone(),
            limits: Limits::default(),
        };
        let before = products::rate()?;
        let measured = schedule::run(&plan, &mut report)?;
        println!("\n{}\n", table::markdown(&plan, &measured));
        all.push(table::Row { plan, measured, rate: before.max(products::rate()?) });
    }
    let page = table::summary(&all);
    println!("{page}");
    write(arguments.out.as_deref(), &page)
}

/// The measurements of `train`. A named combination is measured even if it is not on the list.
fn program(arguments: &Train) -> Vec<(Shape, Work)> {
    let Train { shape, work, .. } = arguments;
    let is_wanted = |(one, other): &&(Shape, Work)| {
        shape.is_none_or(|shape| shape == *one) && work.is_none_or(|work| work == *other)
    };
    let mut program: Vec<_> = PROGRAM.iter().filter(is_wanted).copied().collect();
    program.extend(shape.zip(*work).filter(|named| !program.contains(named)));
    program
}

/// Prints a line of progress.
fn report(line: &str) {
    eprintln!("  {line}");
}

/// Writes a page to a file, if one is given.
fn write(path: Option<&Path>, text: &str) -> Result<()> {
    path.map_or(Ok(()), |path| std::fs::write(path, text).map_err(BenchError::io("write the page")))
}
