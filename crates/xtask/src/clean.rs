//! `cargo xtask clean`: removes what `lab` and `test` created outside cargo's own folders.

use crate::paths::Paths;
use crate::problem::{Problem, Result};
use crate::shell;

/// Uninstalls the kernels, removes the environments, and has the kernel remove its sessions and
/// prebuilt libraries.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    crate::refuse_unknown("clean", arguments, &[])?;
    let paths = Paths::here();
    let graft = paths.graft();
    for prefix in [paths.lab(), paths.test()] {
        if graft.is_file() && prefix.is_dir() {
            shell::run(shell::command(&graft, &["uninstall", "--prefix"]).arg(&prefix))?;
        }
    }
    if graft.is_file() {
        shell::run(&mut shell::command(&graft, &["clean"]))?;
    }
    for folder in [
        paths.lab(),
        paths.test(),
        paths.peft(),
        paths.adapterhub(),
        paths.cuda(),
        paths.wheel(),
        paths.target.join("peers"),
    ] {
        match std::fs::remove_dir_all(&folder) {
            Ok(()) => println!("  removed {}", folder.display()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(Problem::file("remove", &folder, &error)),
        }
    }
    println!("  cargo's build output is kept; `cargo clean` removes it");
    Ok(())
}
