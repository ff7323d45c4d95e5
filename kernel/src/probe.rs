//! `graft probe`: runs cells from the command line, without Jupyter. Used for debugging.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use graft_protocol::Snapshot;
use graft_spec::Failure;
use tokio::sync::mpsc;

use crate::cli::ProbeArgs;
use crate::engine_handle::prebuilt_library;
use graft_engine::{Engine, EngineEvent, EngineOptions, Executor};
use graft_frontend::OutputBudget;

/// Runs each argument as a cell and prints the events of the engine with their times.
pub(crate) async fn run(args: &ProbeArgs) -> Result<ExitCode, Failure> {
    let began = Instant::now();
    let (sender, mut events) = mpsc::unbounded_channel();
    let prebuilt = match &args.prebuilt {
        Some(folder) => folder.clone(),
        None => prebuilt_library(&sender)?.layout.root().to_owned(),
    };
    println!("[{:>8.3}] prebuilt {}", began.elapsed().as_secs_f64(), prebuilt.display());
    let cwd = std::env::current_dir().ok();
    let grace = Duration::from_secs(10);
    let budget = OutputBudget::default();
    let options = EngineOptions { prebuilt, warm: false, cwd, grace, budget };
    let engine = Arc::new(Engine::start(options, sender)?);
    tokio::spawn(async move {
        while let Some(event) = events.recv().await {
            show(began, event);
        }
    });
    let mut failed = false;
    for cell in &args.cells {
        failed |= !run_cell(&engine, cell, began).await;
    }
    engine.shutdown().await;
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Runs one cell and prints its result. Returns whether it succeeded.
async fn run_cell(engine: &Arc<Engine>, cell: &str, began: Instant) -> bool {
    let start = Instant::now();
    println!(
        "[{:>8.3}] > {}",
        began.elapsed().as_secs_f64(),
        cell.replace('\n', "\n           | ")
    );
    let answer = one(engine, cell).await;
    let succeeded = answer.is_ok();
    let (mark, text) = match answer {
        Ok(text) => ("=", text),
        Err(text) => ("!", text),
    };
    println!(
        "[{:>8.3}] {mark} ({:.3} s) {text}",
        began.elapsed().as_secs_f64(),
        start.elapsed().as_secs_f64()
    );
    succeeded
}

/// Runs one cell. `@` begins a command of this program.
async fn one(engine: &Arc<Engine>, cell: &str) -> Result<String, String> {
    let (word, rest) = cell.split_once(' ').unwrap_or((cell, ""));
    match word {
        "@sleep" => {
            tokio::time::sleep(seconds(rest)).await;
            Ok(String::new())
        }
        "@kill" => {
            engine.restart().await;
            Ok(format!("{:?}", engine.variables()))
        }
        "@interrupt" => {
            let (delay, cell) = rest.split_once(' ').unwrap_or((rest, ""));
            let (other, delay) = (Arc::clone(engine), seconds(delay));
            tokio::spawn(async move {
                tokio::time::sleep(delay).await;
                other.interrupt().await;
            });
            Box::pin(one(engine, cell)).await
        }
        "@complete" => {
            let found = engine.complete_rust(rest, rest.len()).await;
            Ok(found.map_or("nothing in time".to_owned(), |found| {
                found.iter().map(|item| item.text.as_str()).take(12).collect::<Vec<_>>().join(" ")
            }))
        }
        "@inspect" => Ok(engine
            .inspect_rust(rest, rest.len())
            .await
            .map_or("nothing".to_owned(), |found| found.plain)),
        "@variables" => Ok(format!("{:?}", engine.variables())),
        _ if cell.starts_with('%') => magic(engine, cell).await,
        _ => match engine.rust(cell).await {
            Ok(output) => Ok(format!("{:?}", output.mime)),
            Err(error) => {
                Err(format!("{}: {}\n{}", error.ename, error.evalue, error.traceback.join("\n")))
            }
        },
    }
}

async fn magic(engine: &Arc<Engine>, cell: &str) -> Result<String, String> {
    let snapshot: std::sync::Arc<Snapshot> = engine.snapshot();
    let mut text = String::new();
    for part in graft_magic::parse_cell(cell, &snapshot).map_err(|failure| failure.to_string())? {
        if let graft_magic::PartKind::Session(command) = part.kind {
            let reply = engine.command(command).await.map_err(|failure| failure.to_string())?;
            text.push_str(&format!("{:?}", reply.blocks));
        }
    }
    Ok(text)
}

fn seconds(text: &str) -> Duration {
    Duration::try_from_secs_f64(text.trim().parse().unwrap_or(0.0)).unwrap_or_default()
}

fn show(began: Instant, event: EngineEvent) {
    let time = began.elapsed().as_secs_f64();
    match event {
        EngineEvent::Stdout(bytes) => {
            println!("[{time:>8.3}] stdout {:?}", String::from_utf8_lossy(&bytes))
        }
        EngineEvent::Stderr(bytes) => {
            println!("[{time:>8.3}] stderr {:?}", String::from_utf8_lossy(&bytes))
        }
        EngineEvent::Session(event) => println!("[{time:>8.3}] event {event:?}"),
        EngineEvent::Status(text) => println!("[{time:>8.3}] status {text:?}"),
        EngineEvent::Notice(failure) => println!("[{time:>8.3}] notice {failure}"),
        EngineEvent::Input { prompt, answer, .. } => {
            println!("[{time:>8.3}] input {prompt:?}");
            let _ = answer.send(Some("probe".to_owned()));
        }
    }
}
