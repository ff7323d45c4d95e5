//! `cargo xtask goldens DIR`: checks the crates against the reference cases in a folder.

use std::path::Path;

use crate::paths::Paths;
use crate::problem::{Problem, Result};
use crate::shell;

/// Checks every case of a folder, for example one made with another seed, and prints a table and
/// the count. A folder with text.json contains tokenization cases, any other adapter cases.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let (Some(folder), [] | [_]) = (arguments.first(), arguments.get(1..).unwrap_or_default())
    else {
        return Err(Problem::new("`goldens` takes a folder and, to check only a part of it, a MODEL or MODEL/CASE")
            .hint("the layout is that of tests/goldens (MODEL/CASE/case.json) or of tests/goldens/text (text.json and tokenizers/NAME)"));
    };
    let path = Path::new(folder)
        .canonicalize()
        .map_err(|error| Problem::file("open", Path::new(folder), &error))?;
    let (package, example) = if path.join("text.json").is_file() {
        ("graft-session", "text_goldens")
    } else {
        ("graft-peft", "goldens")
    };
    let mut cargo = shell::command(
        "cargo",
        &["run", "--quiet", "--locked", "--package", package, "--example", example, "--"],
    );
    cargo.arg(path).args(arguments.get(1)).current_dir(Paths::here().root);
    let status = cargo.status().map_err(|error| shell::cannot_start(&cargo, &error))?;
    if status.success() { Ok(()) } else { Err(Problem::new("some golden cases failed").reported()) }
}
