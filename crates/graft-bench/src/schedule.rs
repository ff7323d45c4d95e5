//! Runs the backends alternately, each time in a new process.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::backend::{Backend, Figures};
use crate::workload::{Scene, Shape, Work};
use crate::{BenchError, Result};

/// A comparison of the backends on one scene.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// The model, the method and the sizes.
    pub scene: Scene,
    /// Number of starts of each backend.
    pub rounds: usize,
    /// Steps of each start, warm-up included.
    pub steps: usize,
    /// First steps of each start that are not counted.
    pub warm_up: usize,
    /// A Python with torch, transformers and peft.
    pub python: Option<PathBuf>,
    /// Limits on instruction set and threads.
    pub limits: Limits,
}

/// Limits on the use of the CPU.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Name of the instruction set, as in [`graft_nn::Instructions`]; all backends except Python
    /// support it.
    pub simd: Option<&'static str>,
    /// Number of threads.
    pub threads: Option<usize>,
}

/// The measurements of a backend.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    /// The name of the backend.
    pub name: String,
    /// One element per round.
    pub rounds: Vec<Figures>,
}

/// The Python backend.
const PEFT: &str = include_str!("../peers/peft.py");

/// Runs the plan; `report` receives a line at each start.
///
/// # Errors
/// [`BenchError::Backend`] when a backend fails, and [`BenchError::Io`].
pub fn run(plan: &Comparison, report: &mut dyn FnMut(&str)) -> Result<Vec<Measured>> {
    let own = std::env::current_exe().map_err(BenchError::io("find this program"))?;
    let mut names: Vec<&str> = vec![Backend::Graft.name()];
    let Scene { shape, work, .. } = plan.scene;
    let has_candle = work == Work::Lora
        && matches!(shape, Shape::Tiny | Shape::D768)
        && plan.scene == Scene::new(shape, work)
        && plan.limits == Limits::default();
    names.extend(has_candle.then(|| Backend::Candle.name()));
    names.extend(plan.python.as_ref().map(|_| "peft"));
    let mut measured: Vec<Measured> = names
        .iter()
        .map(|name| Measured { name: (*name).to_owned(), rounds: Vec::new() })
        .collect();
    for round in 1..=plan.rounds {
        for backend in &mut measured {
            report(&format!(
                "round {round} of {}: {} with {} on {}",
                plan.rounds,
                backend.name,
                work.name(),
                shape.name()
            ));
            let figures = figures(&backend.name, command(&backend.name, plan, &own))?;
            backend.rounds.push(figures);
        }
    }
    Ok(measured)
}

/// The command that starts a backend.
pub(crate) fn command(name: &str, plan: &Comparison, own: &Path) -> Command {
    let mut command = match &plan.python {
        Some(python) if name == "peft" => {
            let mut command = Command::new(python);
            command.args(["-c", PEFT]);
            command
        }
        _ => {
            let mut command = Command::new(own);
            command.args(["step", name]);
            command
        }
    };
    command.args(plan.scene.arguments()).args(["--steps", &plan.steps.to_string()]);
    if let Some(simd) = plan.limits.simd {
        command
            .env("GRAFT_SIMD", simd)
            .env("ATEN_CPU_CAPABILITY", simd)
            .env("ONEDNN_MAX_CPU_ISA", simd);
    }
    if let Some(threads) = plan.limits.threads {
        command
            .env("RAYON_NUM_THREADS", threads.to_string())
            .env("OMP_NUM_THREADS", threads.to_string());
    }
    command
}

/// Runs a backend and parses its measurements.
pub(crate) fn figures(backend: &str, mut command: Command) -> Result<Figures> {
    let output = command.output().map_err(BenchError::io("start a backend"))?;
    let printed = String::from_utf8_lossy(&output.stdout);
    let parsed = printed.lines().last().and_then(|line| serde_json::from_str(line).ok());
    let last_error_line = || {
        String::from_utf8_lossy(&output.stderr)
            .lines()
            .last()
            .unwrap_or("no error output")
            .to_owned()
    };
    parsed.filter(|_| output.status.success()).ok_or_else(|| BenchError::Backend {
        backend: backend.to_owned(),
        output: last_error_line(),
    })
}
