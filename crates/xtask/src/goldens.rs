//! `cargo xtask goldens DIR`: graft-peft against reference cases that lie in any folder.

use std::path::Path;

use crate::places::Places;
use crate::problem::{Problem, Result};
use crate::shell;

/// Checks every case of a folder, such as one made with another seed, and passes on the table and the count.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let (Some(folder), [] | [_]) = (arguments.first(), arguments.get(1..).unwrap_or_default()) else {
        return Err(Problem::new("`goldens` takes a folder, and a MODEL or MODEL/CASE to check that alone")
            .hint("it is laid out as tests/goldens: MODEL/CASE/case.json"));
    };
    let path = Path::new(folder).canonicalize().map_err(|error| Problem::file("open", Path::new(folder), &error))?;
    let mut cargo = shell::command("cargo", &["run", "--quiet", "--locked", "--package", "graft-peft", "--example", "goldens", "--"]);
    cargo.arg(path).args(arguments.get(1)).current_dir(Places::here().root);
    let status = cargo.status().map_err(|error| shell::cannot_start(&cargo, &error))?;
    if status.success() { Ok(()) } else { Err(Problem::new("not every golden case is met").told()) }
}
