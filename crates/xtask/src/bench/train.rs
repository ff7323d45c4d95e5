//! `cargo xtask bench train`: training beside plain candle and, with `--python`, PyTorch and HF PEFT. `cargo xtask bench curves`: the
//! same over length, batch, rank, instruction set and threads. `cargo xtask bench methods`: every method beside plain LoRA.

use crate::machine;
use crate::phases::Phases;
use crate::places::Places;
use crate::problem::Result;
use crate::shell;

/// Builds the measuring program and runs it with the given arguments.
pub(super) fn run(task: &str, arguments: &[String]) -> Result<()> {
    let places = Places::here();
    let mut phases = Phases::new(2);
    phases.run("the measuring program", || {
        machine::c_compiler()?;
        shell::run(
            shell::command("cargo", &["build", "--locked", "--package", "graft-bench"])
                .current_dir(&places.root),
        )
    })?;
    phases.run("measurements", || {
        shell::run(shell::command(places.target.join("debug/graft-bench"), &[task]).args(arguments))
    })?;
    phases.summary();
    Ok(())
}
