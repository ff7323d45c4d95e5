//! `cargo xtask goldens DIR`: the crates against reference cases in any folder.

use std::path::Path;

use crate::places::Places;
use crate::problem::{Problem, Result};
use crate::shell;

/// Checks every case of a folder, such as one made with another seed, and passes on the table and the count. A folder with text.json holds cases of
/// tokenization, any other one cases of adapters.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let (Some(folder), [] | [_]) = (arguments.first(), arguments.get(1..).unwrap_or_default())
    else {
        return Err(Problem::new("`goldens` takes a folder, and a MODEL or MODEL/CASE to check that alone")
            .hint("it is laid out as tests/goldens: MODEL/CASE/case.json, or as tests/goldens/text: text.json and tokenizers/NAME"));
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
    cargo.arg(path).args(arguments.get(1)).current_dir(Places::here().root);
    let status = cargo.status().map_err(|error| shell::cannot_start(&cargo, &error))?;
    if status.success() { Ok(()) } else { Err(Problem::new("not every golden case is met").told()) }
}
