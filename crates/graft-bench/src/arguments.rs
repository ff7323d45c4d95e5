//! The command line of `graft-bench`.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use graft_bench::backend::Backend;
use graft_bench::workload::{Place, Shape, Work};

/// Benchmarks of training.
#[derive(Parser)]
pub(crate) struct Arguments {
    /// The measurement.
    #[command(subcommand)]
    pub(crate) task: Task,
}

/// The measurements.
#[derive(Clone, Subcommand)]
pub(crate) enum Task {
    /// Compare all backends.
    Train(Train),
    /// Compare every method with plain LoRA and the frozen base model.
    Methods(Methods),
    /// Vary length, batch size, rank, instruction set and threads.
    Curves(Curves),
    /// Compare a step on an NVIDIA GPU with PyTorch and Hugging Face PEFT.
    Gpu(Gpu),
    /// Measure one method and print its costs as JSON.
    Method(Method),
    /// Measure one backend and print its measurements as JSON.
    Step(Step),
}

#[derive(Clone, Args)]
pub(crate) struct Train {
    /// Sizes of model and batch (default: all that the work is measured on).
    #[arg(long)]
    pub(crate) shape: Option<Shape>,
    /// What is trained (default: each).
    #[arg(long)]
    pub(crate) work: Option<Work>,
    /// Write the summary to this Markdown file.
    #[arg(long)]
    pub(crate) out: Option<PathBuf>,
    /// Number of starts of each backend.
    #[arg(long, default_value_t = 2)]
    pub(crate) rounds: usize,
    /// Steps of each start.
    #[arg(long, default_value_t = 10)]
    pub(crate) steps: usize,
    /// First steps of each start that are not counted.
    #[arg(long, default_value_t = 2)]
    pub(crate) warm_up: usize,
    /// A Python with torch, transformers and peft, as another backend.
    #[arg(long)]
    pub(crate) python: Option<PathBuf>,
}

#[derive(Clone, Args)]
pub(crate) struct Methods {
    /// Sizes of model and batch.
    #[arg(long, default_value = "tiny")]
    pub(crate) shape: Shape,
    /// Number of starts of each method.
    #[arg(long, default_value_t = 2)]
    pub(crate) rounds: usize,
    /// Steps of each start.
    #[arg(long, default_value_t = 8)]
    pub(crate) steps: usize,
    /// First steps of each start that are not counted.
    #[arg(long, default_value_t = 2)]
    pub(crate) warm_up: usize,
}

#[derive(Clone, Args)]
pub(crate) struct Curves {
    /// The model whose sizes vary.
    #[arg(long, default_value = "tiny")]
    pub(crate) shape: Shape,
    /// Number of starts of each backend.
    #[arg(long, default_value_t = 1)]
    pub(crate) rounds: usize,
    /// Steps of each start.
    #[arg(long, default_value_t = 8)]
    pub(crate) steps: usize,
    /// First steps of each start that are not counted.
    #[arg(long, default_value_t = 2)]
    pub(crate) warm_up: usize,
    /// A Python with torch, transformers and peft, as another backend.
    #[arg(long)]
    pub(crate) python: Option<PathBuf>,
    /// Folder for `curves.md` and `curves.svg`.
    #[arg(long)]
    pub(crate) out: Option<PathBuf>,
}

#[derive(Clone, Args)]
pub(crate) struct Gpu {
    /// The model.
    #[arg(long, default_value = "llama-1b")]
    pub(crate) shape: Shape,
    /// B: rows of the batch.
    #[arg(long)]
    pub(crate) rows: Option<usize>,
    /// Rank of the adapters on all linear layers.
    #[arg(long, default_value_t = 16)]
    pub(crate) rank: usize,
    /// Number of starts of each backend.
    #[arg(long, default_value_t = 2)]
    pub(crate) rounds: usize,
    /// Steps of each start.
    #[arg(long, default_value_t = 18)]
    pub(crate) steps: usize,
    /// First steps of each start that are not counted.
    #[arg(long, default_value_t = 3)]
    pub(crate) warm_up: usize,
    /// A Python with torch for CUDA, transformers and peft, as another backend.
    #[arg(long)]
    pub(crate) python: Option<PathBuf>,
    /// Write the table to this Markdown file.
    #[arg(long)]
    pub(crate) out: Option<PathBuf>,
}

#[derive(Clone, Args)]
pub(crate) struct Method {
    /// Verb of the method, or `frozen`.
    pub(crate) verb: String,
    /// Sizes of model and batch.
    #[arg(long)]
    pub(crate) shape: Shape,
    /// Steps.
    #[arg(long)]
    pub(crate) steps: usize,
    /// Use small steps, each followed by a validation.
    #[arg(long)]
    pub(crate) validated: bool,
}

#[derive(Clone, Args)]
pub(crate) struct Step {
    /// The backend.
    pub(crate) backend: Backend,
    /// Sizes of model and batch.
    #[arg(long)]
    pub(crate) shape: Shape,
    /// What is trained.
    #[arg(long, default_value = "lora")]
    pub(crate) work: Work,
    /// B: rows of the batch (default: the usual size).
    #[arg(long)]
    pub(crate) rows: Option<usize>,
    /// T: tokens of a row (default: the usual size).
    #[arg(long)]
    pub(crate) tokens: Option<usize>,
    /// Rank of the adapters (default: the usual rank).
    #[arg(long)]
    pub(crate) rank: Option<usize>,
    /// Device of the model.
    #[arg(long, default_value = "cpu")]
    pub(crate) device: Place,
    /// Steps.
    #[arg(long)]
    pub(crate) steps: usize,
}
