//! Checks every golden case of a folder: `cargo xtask goldens DIR`, or
//! `cargo run -p graft-peft --example goldens DIR [MODEL[/CASE]]`.
//!
//! Prints the differences, then a table of cases by models, and finally `N passed, M failed`. A
//! case of a method or family that is not implemented counts as failed.

#[path = "../tests/it/golden.rs"]
mod golden;

use std::{collections::BTreeMap, path::PathBuf, process::ExitCode};

use golden::Outcome;

fn main() -> ExitCode {
    graft_nn::tune_process();
    let mut arguments = std::env::args().skip(1);
    let Some(root) = arguments.next().map(PathBuf::from) else {
        eprintln!("usage: goldens DIR [MODEL[/CASE]]");
        return ExitCode::from(2);
    };
    let prefix = arguments.next().unwrap_or_default();
    let mut marks: BTreeMap<String, BTreeMap<String, &str>> = BTreeMap::new();
    for (folder, case) in golden::cases(&root) {
        let model = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if format!("{model}/{case}").starts_with(&prefix) {
            let mark = check(&folder, &model, &case);
            marks.entry(case).or_default().insert(model, mark);
        }
    }
    print!("\n{}", table(&marks));
    let count = |wanted: bool| {
        marks.values().flat_map(BTreeMap::values).filter(|mark| (**mark == "ok") == wanted).count()
    };
    let (passed, failed) = (count(true), count(false));
    println!("\n{passed} passed, {failed} failed");
    if failed == 0 && passed > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Checks one case and prints the differences.
fn check(folder: &std::path::Path, model: &str, case: &str) -> &'static str {
    match golden::check(folder, case) {
        Outcome::Passed => "ok",
        Outcome::Skipped(reason) => {
            println!("unsupported  {model}/{case}: {reason}");
            "unsupported"
        }
        Outcome::Failed(problems) => {
            println!("FAILED       {model}/{case}");
            problems.iter().for_each(|problem| println!("             {problem}"));
            "FAILED"
        }
    }
}

/// One row per case, one column per model.
fn table(marks: &BTreeMap<String, BTreeMap<String, &str>>) -> String {
    let mut models: Vec<&String> = marks.values().flat_map(BTreeMap::keys).collect();
    models.sort_unstable();
    models.dedup();
    let first = marks.keys().map(String::len).max().unwrap_or(0).max(4);
    let mut table = format!("{:first$}", "case");
    models.iter().for_each(|model| table.push_str(&format!("  {model:11}")));
    for (case, row) in marks {
        table.push_str(&format!("\n{case:first$}"));
        models.iter().for_each(|model| {
            table.push_str(&format!("  {:11}", row.get(*model).copied().unwrap_or("-")))
        });
    }
    table.push('\n');
    table.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}
