//! The contenders in turn, each time in a process of its own.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::backend::{Backend, Figures};
use crate::workload::{Scene, Shape, Work};
use crate::{BenchError, Result};

/// What is measured.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What is trained.
    pub scene: Scene,
    /// How often each contender starts.
    pub rounds: usize,
    /// Steps of each start, the warm-up included.
    pub steps: usize,
    /// Steps at the beginning of each start that do not count.
    pub warm_up: usize,
    /// A Python with torch, transformers and peft.
    pub python: Option<PathBuf>,
    /// Instruction set and threads of the contenders, where they are not the best and all.
    pub limits: Limits,
}

/// What a contender may use of the processor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Name of the instruction set, for [`graft_nn::Instructions`]; all peers but Python know it.
    pub simd: Option<&'static str>,
    /// Threads.
    pub threads: Option<usize>,
}

/// A contender and the figures of its rounds.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    /// Its name.
    pub name: String,
    /// One for each round.
    pub rounds: Vec<Figures>,
}

/// The Python contender.
const PEFT: &str = include_str!("../peers/peft.py");

/// Runs the plan; `told` hears of every start.
///
/// # Errors
/// [`BenchError::Backend`] and [`BenchError::Io`].
pub fn run(plan: &Plan, told: &mut dyn FnMut(&str)) -> Result<Vec<Measured>> {
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
        for contender in &mut measured {
            told(&format!(
                "round {round} of {}: {} with {} on {}",
                plan.rounds,
                contender.name,
                work.name(),
                shape.name()
            ));
            let figures = figures(&contender.name, command(&contender.name, plan, &own))?;
            contender.rounds.push(figures);
        }
    }
    Ok(measured)
}

/// The call of a contender.
pub(crate) fn command(name: &str, plan: &Plan, own: &Path) -> Command {
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

/// Runs a contender to its end.
pub(crate) fn figures(contender: &str, mut command: Command) -> Result<Figures> {
    let output = command.output().map_err(BenchError::io("start a contender"))?;
    let said = String::from_utf8_lossy(&output.stdout);
    let parsed = said.lines().last().and_then(|line| serde_json::from_str(line).ok());
    let last_words = || {
        String::from_utf8_lossy(&output.stderr)
            .lines()
            .last()
            .unwrap_or("it said nothing")
            .to_owned()
    };
    parsed
        .filter(|_| output.status.success())
        .ok_or_else(|| BenchError::Backend { contender: contender.to_owned(), said: last_words() })
}
