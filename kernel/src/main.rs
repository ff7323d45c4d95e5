//! `graft`: the kernel that Jupyter starts, and every process that the kernel starts in turn.
//!
//! The host answers Jupyter's sockets, parses and draws; its child holds the session and runs the cells. No tensor code is linked here.

mod cell;
mod clean;
mod cli;
mod doctor;
mod engine_handle;
mod install;
mod interpreter;
mod live;
mod probe;
#[cfg(test)]
mod scripted_engine;
mod terminal;
mod uninstall;

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use cli::{Cli, KernelArgs, Verb};
use engine_handle::engine_factory;
use graft_frontend::OutputBudget;
use graft_jupyter::{ConnectionError, History, Server};
use graft_spec::Failure;
use install::spec_dir::data_home;

/// How long the tasks of a process that ends may take to end what they have started.
const LAST_MOMENT: Duration = Duration::from_millis(100);

/// rust-analyzer spends a quarter of a first cell's time in the C library's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    if let Some(status) = inner_process() {
        return ExitCode::from(u8::try_from(status).unwrap_or(1));
    }
    graft_engine::runtime_hook();
    match run(Cli::parse().verb) {
        Ok(code) => code,
        Err(failure) => {
            eprintln!("graft: {}", graft_render::visible(&failure.to_string()));
            ExitCode::FAILURE
        }
    }
}

/// Processes that the kernel or cargo starts. They come before evcxr's hook, since evcxr marks its subprocess (our relay) as a
/// runtime, and before clap, which knows nothing of them.
fn inner_process() -> Option<i32> {
    let mut arguments = std::env::args_os();
    let program = arguments.next();
    let arguments: Vec<String> =
        arguments.map(|argument| argument.to_string_lossy().into_owned()).collect();
    if graft_prebuilt::rustc_wrapper::is_wrapper(program.as_ref()) {
        return Some(graft_prebuilt::rustc_wrapper::run(&arguments));
    }
    let (verb, rest) = arguments.split_first()?;
    match verb.as_str() {
        "relay" => Some(graft_engine::run_relay(rest)),
        "child" => Some(graft_engine::run_child(rest)),
        _ => None,
    }
}

fn run(verb: Verb) -> Result<ExitCode, Failure> {
    match verb {
        Verb::Install(args) => install::run(&args)?,
        Verb::Uninstall(args) => uninstall::run(&args)?,
        Verb::Clean(args) => clean::run(&args)?,
        Verb::Doctor(args) => return Ok(doctor::run(args.gpu)),
        Verb::Kernel(args) => {
            let runtime = runtime()?;
            let result = runtime.block_on(serve(&args));
            end(runtime);
            result?;
        }
        Verb::Run(args) => {
            let runtime = runtime()?;
            let status = runtime.block_on(terminal::run(
                &args,
                engine_factory(false, args.grace, OutputBudget::default()),
            ));
            end(runtime);
            return Ok(status);
        }
        Verb::Probe(args) => {
            let runtime = runtime()?;
            let status = runtime.block_on(probe::run(&args));
            end(runtime);
            return status;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Serves one Jupyter client until it shuts the kernel down.
async fn serve(args: &KernelArgs) -> Result<(), ConnectionError> {
    let server = Server::bind(&args.file).await?;
    let budget = OutputBudget::default();
    let factory = engine_factory(args.warm, args.grace, budget.clone());
    let history = History::for_user(data_home().as_deref());
    server.run(interpreter::kernel_config(factory, budget, history)).await;
    Ok(())
}

/// The runtime of the sockets and cells.
fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| Failure::new("kernel::runtime", format!("cannot start threads: {error}")))
}

/// A question nobody answers, or a template still being built, must not keep the caller waiting; tasks have a moment to clean up.
fn end(runtime: tokio::runtime::Runtime) {
    graft_prebuilt::stop_build();
    runtime.shutdown_timeout(LAST_MOMENT);
}
