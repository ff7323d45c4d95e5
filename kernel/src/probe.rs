//! `graft probe`: cells through the engine from the command line, without Jupyter; for trying and for tests.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use graft_protocol::Snapshot;
use graft_spec::Failure;
use tokio::sync::mpsc;

use crate::cli::ProbeArgs;
use crate::engine::{Engine, EngineOptions, Output};
use crate::start;
use graft_frontend::OutputBudget;

/// Runs each argument and prints what the engine says, with times.
pub(crate) async fn run(args: &ProbeArgs) -> Result<ExitCode, Failure> {
    let began = Instant::now();
    let (output, mut outputs) = mpsc::unbounded_channel();
    let template = match &args.template {
        Some(folder) => folder.clone(),
        None => start::ready_template(&output)?.layout.root().to_owned(),
    };
    println!("[{:>8.3}] template {}", began.elapsed().as_secs_f64(), template.display());
    let cwd = std::env::current_dir().ok();
    let grace = Duration::from_secs(10);
    let engine = Engine::start(
        EngineOptions { template, warm: false, cwd, grace, budget: OutputBudget::default() },
        output,
    )?;
    tokio::spawn(async move {
        while let Some(output) = outputs.recv().await {
            show(began, output);
        }
    });
    let mut failed = false;
    for cell in &args.cells {
        let start = Instant::now();
        println!(
            "[{:>8.3}] > {}",
            began.elapsed().as_secs_f64(),
            cell.replace('\n', "\n           | ")
        );
        let answer = one(&engine, cell).await;
        failed |= answer.is_err();
        let (mark, text) = match answer {
            Ok(text) => ("=", text),
            Err(text) => ("!", text),
        };
        println!(
            "[{:>8.3}] {mark} ({:.3} s) {text}",
            began.elapsed().as_secs_f64(),
            start.elapsed().as_secs_f64()
        );
    }
    engine.shutdown().await;
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Runs one cell; `@` begins something that only this program knows.
async fn one(engine: &Engine, cell: &str) -> Result<String, String> {
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
            let (other, delay) = (engine.clone(), seconds(delay));
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

async fn magic(engine: &Engine, cell: &str) -> Result<String, String> {
    let snapshot: std::sync::Arc<Snapshot> = engine.snapshot();
    let mut said = String::new();
    for part in graft_magic::parse_cell(cell, &snapshot).map_err(|failure| failure.to_string())? {
        if let graft_magic::PartKind::Session(command) = part.kind {
            let reply = engine.command(command).await.map_err(|failure| failure.to_string())?;
            said.push_str(&format!("{:?}", reply.blocks));
        }
    }
    Ok(said)
}

fn seconds(text: &str) -> Duration {
    Duration::try_from_secs_f64(text.trim().parse().unwrap_or(0.0)).unwrap_or_default()
}

fn show(began: Instant, output: Output) {
    let time = began.elapsed().as_secs_f64();
    match output {
        Output::Stdout(bytes) => {
            println!("[{time:>8.3}] stdout {:?}", String::from_utf8_lossy(&bytes))
        }
        Output::Stderr(bytes) => {
            println!("[{time:>8.3}] stderr {:?}", String::from_utf8_lossy(&bytes))
        }
        Output::Event { request, event } => println!("[{time:>8.3}] event {request:?} {event:?}"),
        Output::Status(text) => println!("[{time:>8.3}] status {text:?}"),
        Output::Notice(failure) => println!("[{time:>8.3}] notice {failure}"),
        Output::Input { prompt, answer, .. } => {
            println!("[{time:>8.3}] input {prompt:?}");
            let _ = answer.send(Some("probe".to_owned()));
        }
    }
}
