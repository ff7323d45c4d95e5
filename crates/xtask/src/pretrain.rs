//! `cargo xtask pretrain`: trains the embedded model.

use crate::paths::Paths;
use crate::problem::Result;
use crate::shell;

/// Runs the recipe with the given arguments. Its help describes its input and output files.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let paths = Paths::here();
    shell::run(
        shell::command("cargo", &["run", "--locked", "--package", "graft-pretrain", "--"])
            .args(arguments)
            .current_dir(&paths.root),
    )
}
