//! `graft-pretrain STAGE`: creates the embedded model and the bundled data sets. Called by `cargo
//! xtask pretrain`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use graft_pretrain::paths::Paths;
use graft_pretrain::{Result, card, corpus, datasets, pretrain, vocabulary};

/// Create the embedded model `tiny` and the bundled data sets from the toolchain's documentation.
#[derive(Parser)]
struct Arguments {
    /// Folder for intermediate files.
    #[arg(long, default_value = "target/pretrain", global = true)]
    work: PathBuf,
    /// One stage (default: all of them, in this order).
    #[command(subcommand)]
    stage: Option<Stage>,
}

#[derive(Clone, Copy, Subcommand)]
enum Stage {
    /// Extract the text of the documentation.
    Corpus,
    /// Create the bundled data sets from the corpus.
    Data,
    /// Train the tokenizer on the corpus.
    Tokenizer,
    /// Pretrain the model, or resume an interrupted run.
    Train,
    /// Measure the model on held-out pages and write its card.
    Card,
}

impl Stage {
    const ALL: [Self; 5] = [Self::Corpus, Self::Data, Self::Tokenizer, Self::Train, Self::Card];
}

/// Stack size: the backward pass recurses along the graph of operations.
const STACK: usize = 16 << 20;

fn main() -> ExitCode {
    graft_nn::tune_process();
    let arguments = Arguments::parse();
    let job = std::thread::Builder::new()
        .stack_size(STACK)
        .spawn(move || graft_nn::Device::Cpu.with_context(|| run(&arguments)));
    match job
        .expect("invariant: a process may start a thread")
        .join()
        .expect("invariant: the stages do not panic")
    {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}", graft_spec::Failure::from_hint(&error));
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<()> {
    let paths = Paths::of_checkout(arguments.work.clone())?;
    match arguments.stage {
        Some(stage) => perform(stage, &paths),
        None => Stage::ALL.into_iter().try_for_each(|stage| perform(stage, &paths)),
    }
}

fn perform(stage: Stage, paths: &Paths) -> Result<()> {
    match stage {
        Stage::Corpus => println!("{} pages", corpus::build(paths)?.len()),
        Stage::Data => datasets::build(paths)?.iter().for_each(|made| println!("{made}")),
        Stage::Tokenizer => println!("{} tokens", vocabulary::build(paths)?),
        Stage::Train => println!("{}", pretrain::train(paths)?),
        Stage::Card => println!("{}", card::write(paths)?),
    }
    Ok(())
}
