//! graft-peft against HF PEFT (golden) and against its own promises (contract).

#[cfg(test)]
mod contract;
#[cfg(test)]
mod errors;
mod golden;

use std::path::PathBuf;

use golden::Outcome;

/// The project's own cases must all be met. Of another folder's (`GRAFT_GOLDENS`, set by `cargo xtask goldens DIR`), those of methods and
/// families that are not built in may be left out, as long as some are met.
#[test]
fn every_golden_case_agrees_with_hf_peft() {
    let elsewhere = std::env::var_os("GRAFT_GOLDENS").map(PathBuf::from);
    let own = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/goldens"));
    let cases = golden::cases(elsewhere.as_ref().unwrap_or(&own));
    let (mut passed, mut problems) = (0, Vec::new());
    for (model, case) in cases {
        let name = format!("{} {case}", model.display());
        match golden::check(&model, &case) {
            Outcome::Passed => passed += 1,
            Outcome::Skipped(_) if elsewhere.is_some() => {}
            Outcome::Skipped(reason) => problems.push(format!("{name} was skipped: {reason}")),
            Outcome::Failed(found) => problems.push(format!("{name}:\n  {}", found.join("\n  "))),
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    assert!(passed >= if elsewhere.is_some() { 1 } else { 15 }, "only {passed} cases were met");
}
