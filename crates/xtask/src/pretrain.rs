//! `cargo xtask pretrain`: the recipe of the embedded model.

use crate::places::Places;
use crate::problem::Result;
use crate::shell;

/// Runs the recipe with the given arguments; it says itself what it reads and writes.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let places = Places::here();
    shell::run(
        shell::command("cargo", &["run", "--locked", "--package", "graft-pretrain", "--"])
            .args(arguments)
            .current_dir(&places.root),
    )
}
