//! `cargo xtask bench train`: compares training with plain candle and, given `--python`, with
//! PyTorch and HF PEFT. `cargo xtask bench curves`: the same for different lengths, batch sizes,
//! ranks, instruction sets and thread counts. `cargo xtask bench methods`: compares every method
//! with plain LoRA.

use crate::machine;
use crate::paths::Paths;
use crate::phases::Phases;
use crate::problem::Result;
use crate::shell;

/// Builds the benchmark program and runs it with the given arguments.
pub(super) fn run(task: &str, arguments: &[String]) -> Result<()> {
    let paths = Paths::here();
    let mut phases = Phases::new(2);
    phases.run("the benchmark program", || {
        machine::c_compiler()?;
        shell::run(
            shell::command("cargo", &["build", "--locked", "--package", "graft-bench"])
                .current_dir(&paths.root),
        )
    })?;
    phases.run("measurements", || {
        shell::run(shell::command(paths.target.join("debug/graft-bench"), &[task]).args(arguments))
    })?;
    phases.summary();
    Ok(())
}
