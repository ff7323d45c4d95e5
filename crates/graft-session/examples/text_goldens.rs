//! Checks the text cases of a folder: `cargo xtask goldens DIR`, or `cargo run -p graft-session
//! --example text_goldens DIR`.
//!
//! DIR is a folder that tests/goldens/make_text_goldens.py has written: text.json, and tokenizers
//! by name. Prints the failed cases, a table by kind and tokenizer, and `N of M text cases met`.
//! Exits with an error if a case has failed or there are no cases.

#[path = "../tests/it/text_golden.rs"]
mod text_golden;
#[path = "../tests/it/text_golden_chat.rs"]
mod text_golden_chat;

use std::{path::Path, process::ExitCode};

fn main() -> ExitCode {
    let Some(folder) = std::env::args().nth(1) else {
        eprintln!("usage: text_goldens DIR");
        return ExitCode::from(2);
    };
    let tallies = match text_golden::check(Path::new(&folder)) {
        Ok(tallies) => tallies,
        Err(problem) => {
            eprintln!("{problem}");
            return ExitCode::FAILURE;
        }
    };
    for (name, tally) in &tallies {
        tally.unmet.iter().for_each(|case| println!("UNMET  {name}  {case}"));
    }
    let width = tallies.keys().map(String::len).max().unwrap_or(0).max(9);
    println!("\n{:width$}  {:>5}  {:>5}", "cases", "met", "unmet");
    for (name, tally) in &tallies {
        println!("{name:width$}  {:>5}  {:>5}", tally.met, tally.unmet.len());
    }
    let met: usize = tallies.values().map(|tally| tally.met).sum();
    let all = met + tallies.values().map(|tally| tally.unmet.len()).sum::<usize>();
    println!("\n{met} of {all} text cases met");
    if met == all && all > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
