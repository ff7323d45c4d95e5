//! `graft`: the kernel that Jupyter starts, and the processes that the kernel starts.
//!
//! The host process serves the Jupyter sockets, parses cells and renders output; its child process
//! holds the session and runs the cells. The host links no tensor code.

mod cell;
mod class;
mod clean;
mod cli;
mod doctor;
mod engine_handle;
mod error;
mod install;
mod interpreter;
mod jupyter;
mod lab;
mod live;
mod notebooks;
mod probe;
#[cfg(test)]
mod scripted_engine;
mod terminal;
mod uninstall;

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use cli::{Cli, KernelArgs, Subcommand};
use engine_handle::engine_factory;
use error::KernelError;
use graft_frontend::OutputBudget;
use graft_jupyter::{ConnectionError, History, Server};
use graft_spec::Failure;
use install::spec_dir::data_home;

/// Time limit for the tasks of the runtime to clean up at exit.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_millis(100);

/// With the allocator of the C library, rust-analyzer spends a quarter of its time on allocation.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    if let Some(status) = inner_process() {
        return ExitCode::from(u8::try_from(status).unwrap_or(1));
    }
    graft_engine::runtime_hook();
    match run(Cli::parse().command) {
        Ok(code) => code,
        Err(failure) => {
            eprintln!("graft: {}", graft_render::visible(&failure.to_string()));
            ExitCode::FAILURE
        }
    }
}

/// Runs the subcommands that the kernel or cargo uses internally. They are handled before evcxr's
/// hook, because evcxr marks its subprocess (our relay) as a runtime, and before clap, which does
/// not define them.
fn inner_process() -> Option<i32> {
    let mut arguments = std::env::args_os();
    let program = arguments.next();
    let arguments: Vec<String> =
        arguments.map(|argument| argument.to_string_lossy().into_owned()).collect();
    if graft_prebuilt::rustc_wrapper::is_wrapper(program.as_ref()) {
        return Some(graft_prebuilt::rustc_wrapper::run(&arguments));
    }
    let (command, rest) = arguments.split_first()?;
    match command.as_str() {
        "relay" => Some(graft_engine::run_relay(rest)),
        "child" => Some(graft_engine::run_child(rest)),
        "analyzer" => Some(graft_engine::run_analyzer(rest)),
        _ => None,
    }
}

fn run(command: Subcommand) -> Result<ExitCode, Failure> {
    match command {
        Subcommand::Install(args) => install::run(&args)?,
        Subcommand::Build => install::build()?,
        Subcommand::Uninstall(args) => uninstall::run(&args)?,
        Subcommand::Clean(args) => clean::run(&args)?,
        Subcommand::Notebooks(args) => notebooks::run(&args)?,
        Subcommand::Lab(args) => lab::run(&args)?,
        Subcommand::Class(args) => class::run(&args)?,
        Subcommand::Doctor(args) => return Ok(doctor::run(args.gpu)),
        Subcommand::Kernel(args) => {
            let runtime = runtime()?;
            let result = runtime.block_on(serve(&args));
            shut_down(runtime);
            result?;
        }
        Subcommand::Run(args) => {
            let runtime = runtime()?;
            let status = runtime.block_on(terminal::run(
                &args,
                engine_factory(false, args.grace, OutputBudget::default()),
            ));
            shut_down(runtime);
            return Ok(status);
        }
        Subcommand::Probe(args) => {
            let runtime = runtime()?;
            let status = runtime.block_on(probe::run(&args));
            shut_down(runtime);
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
        .map_err(|error| KernelError::Runtime { error }.into())
}

/// Stops the runtime without waiting for blocked tasks, such as an unanswered input request or a
/// running build.
fn shut_down(runtime: tokio::runtime::Runtime) {
    graft_prebuilt::stop_build();
    runtime.shutdown_timeout(SHUTDOWN_TIMEOUT);
}
