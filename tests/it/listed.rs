//! No scenario is forgotten: what a Python module defines and what `main.rs` lists are the same.

use std::collections::BTreeSet;

/// A scenario is a function at the left margin without parameters; helpers take some.
pub(crate) fn check(module: &str, listed: &[&str]) {
    let path = graft_tests::root().join(format!("tests/python/scenarios/{module}.py"));
    let text = std::fs::read_to_string(&path).expect("the module of the scenarios is there");
    let defined: BTreeSet<&str> = text.lines().filter_map(|line| line.strip_prefix("def ")?.strip_suffix("():")).collect();
    let listed: BTreeSet<&str> = listed.iter().copied().collect();
    assert_eq!(defined, listed, "{} and tests/it/main.rs differ", path.display());
}
