//! Tests of graft-peft: against HF PEFT (golden), and of the properties of every method
//! (method_contract).

#[cfg(test)]
mod combine;
#[cfg(test)]
mod contract;
#[cfg(test)]
mod counts;
#[cfg(test)]
mod errors;
#[cfg(test)]
mod exchange;
#[cfg(test)]
mod files;
mod golden;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod initialization;
#[cfg(test)]
mod method_contract;
#[cfg(test)]
mod selective;
#[cfg(test)]
mod soft_prompts;
#[cfg(test)]
mod tied;

use std::path::PathBuf;

use golden::Outcome;

/// All golden cases pass; `cargo xtask goldens DIR` checks other folders.
#[test]
fn every_golden_case_agrees_with_hf_peft() {
    let cases =
        golden::cases(&PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/goldens")));
    let (mut passed, mut problems) = (0, Vec::new());
    for (model, case) in cases {
        let name = format!("{} {case}", model.display());
        match golden::check(&model, &case) {
            Outcome::Passed => passed += 1,
            Outcome::Skipped(reason) => problems.push(format!("{name} was skipped: {reason}")),
            Outcome::Failed(found) => problems.push(format!("{name}:\n  {}", found.join("\n  "))),
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    assert!(passed >= 15, "only {passed} cases were met");
}
