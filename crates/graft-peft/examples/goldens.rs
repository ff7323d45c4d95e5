//! Checks every golden case of a folder: `cargo run -p graft-peft --example goldens DIR [PREFIX]`.
//!
//! Prints one line per case and closes with `N passed, M failed, S skipped`; fails when a case does.

#[path = "../tests/it/golden.rs"]
mod golden;

use std::{path::PathBuf, process::ExitCode};

use golden::Outcome;

fn main() -> ExitCode {
    graft_nn::tune_process();
    let mut arguments = std::env::args().skip(1);
    let Some(root) = arguments.next().map(PathBuf::from) else {
        eprintln!("usage: goldens DIR [PREFIX]");
        return ExitCode::from(2);
    };
    let prefix = arguments.next().unwrap_or_default();
    let (mut passed, mut failed, mut skipped) = (0, 0, 0);
    for (model, case) in golden::cases(&root) {
        let name = format!("{}/{case}", model.file_name().unwrap_or_default().to_string_lossy());
        if !name.starts_with(&prefix) {
            continue;
        }
        match golden::check(&model, &case) {
            Outcome::Passed => {
                passed += 1;
                println!("ok      {name}");
            }
            Outcome::Skipped(reason) => {
                skipped += 1;
                println!("skipped {name:<32} {reason}");
            }
            Outcome::Failed(problems) => {
                failed += 1;
                println!("FAILED  {name}");
                problems.iter().for_each(|problem| println!("        {problem}"));
            }
        }
    }
    println!("{passed} passed, {failed} failed, {skipped} skipped");
    if failed > 0 || passed == 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
