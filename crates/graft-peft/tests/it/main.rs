//! graft-peft against HF PEFT (golden) and against its own promises (contract).

#[cfg(test)]
mod contract;
#[cfg(test)]
mod errors;
mod golden;

use std::path::Path;

use golden::Outcome;

fn goldens() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/goldens"))
}

#[test]
fn every_golden_case_agrees_with_hf_peft() {
    let cases = golden::cases(goldens());
    assert!(cases.len() >= 15, "only {} cases found", cases.len());
    for (model, case) in cases {
        match golden::check(&model, &case) {
            Outcome::Passed => {}
            Outcome::Skipped(reason) => panic!("{} {case} was skipped: {reason}", model.display()),
            Outcome::Failed(problems) => panic!("{} {case}:\n{}", model.display(), problems.join("\n")),
        }
    }
}
