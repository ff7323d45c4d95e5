//! Checks which crate may depend on which. The graph is in crates/README.md.

use std::collections::{BTreeMap, BTreeSet};

use graft_tests::{Package, workspace};

/// Allowed direct dependencies between our own crates; any other fails. Development crates are at
/// the end.
const ALLOWED: &[(&str, &[&str])] = &[
    ("graft-spec", &[]),
    ("graft-protocol", &["graft-spec"]),
    ("graft-chat", &["graft-spec"]),
    ("graft-magic", &["graft-protocol", "graft-spec"]),
    ("graft-font", &[]),
    ("graft-render", &["graft-font", "graft-protocol", "graft-spec"]),
    ("graft-frontend", &["graft-protocol", "graft-render", "graft-spec"]),
    ("graft-jupyter", &["graft-frontend", "graft-spec"]),
    ("graft-random", &[]),
    ("graft-data", &["graft-protocol", "graft-random", "graft-spec"]),
    ("graft-metrics", &["graft-random", "graft-spec"]),
    ("graft-nn", &["graft-chat", "graft-random", "graft-spec"]),
    ("graft-models", &["graft-chat", "graft-nn", "graft-spec"]),
    ("graft-peft", &["graft-nn", "graft-protocol", "graft-spec"]),
    (
        "graft-train",
        &["graft-chat", "graft-data", "graft-nn", "graft-protocol", "graft-random", "graft-spec"],
    ),
    (
        "graft-session",
        &[
            "graft-chat",
            "graft-data",
            "graft-metrics",
            "graft-models",
            "graft-nn",
            "graft-peft",
            "graft-protocol",
            "graft-spec",
            "graft-train",
        ],
    ),
    (
        "graft",
        &[
            "graft-font",
            "graft-models",
            "graft-nn",
            "graft-peft",
            "graft-protocol",
            "graft-session",
            "graft-spec",
            "graft-train",
        ],
    ),
    ("graft-prebuilt", &["graft-spec"]),
    (
        "graft-engine",
        &["graft-frontend", "graft-prebuilt", "graft-protocol", "graft-render", "graft-spec"],
    ),
    (
        "graft-kernel",
        &[
            "graft-engine",
            "graft-frontend",
            "graft-jupyter",
            "graft-magic",
            "graft-prebuilt",
            "graft-protocol",
            "graft-render",
            "graft-spec",
            "graft-tutorials",
        ],
    ),
    ("graft-tutorials", &[]),
    ("xtask", &[]),
    (
        "graft-pretrain",
        &[
            "graft-models",
            "graft-nn",
            "graft-protocol",
            "graft-render",
            "graft-spec",
            "graft-train",
        ],
    ),
    (
        "graft-bench",
        &[
            "graft-models",
            "graft-nn",
            "graft-peft",
            "graft-protocol",
            "graft-render",
            "graft-spec",
            "graft-train",
        ],
    ),
    ("graft-testkit", &[]),
    ("graft-tests", &["graft-testkit"]),
];

/// Crates that carry tensors, directly or through others.
const TENSORS: &[&str] = &["candle-core", "candle-nn", "gemm"];

/// Crates of the Jupyter protocol.
const JUPYTER: &[&str] = &["zeromq", "jupyter-protocol", "jupyter-zmq-client"];

fn ours(packages: &[Package]) -> BTreeMap<String, BTreeSet<String>> {
    let names: BTreeSet<&str> = packages.iter().map(|it| it.name.as_str()).collect();
    let internal = |package: &Package| {
        package.dependencies.iter().filter(|it| names.contains(it.as_str())).cloned().collect()
    };
    packages.iter().map(|package| (package.name.clone(), internal(package))).collect()
}

/// Everything a crate reaches, itself included.
fn reach(graph: &BTreeMap<String, BTreeSet<String>>, from: &str) -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    let mut open = vec![from.to_owned()];
    while let Some(name) = open.pop() {
        open.extend(graph.get(&name).into_iter().flatten().cloned());
        seen.insert(name);
    }
    seen
}

#[test]
fn no_crate_depends_on_one_it_must_not_know() {
    let allowed: BTreeMap<&str, &[&str]> = ALLOWED.iter().copied().collect();
    for (name, dependencies) in ours(&workspace()) {
        let Some(allowed) = allowed.get(name.as_str()) else {
            panic!("{name} has no line in ALLOWED: decide what it may depend on")
        };
        for dependency in dependencies {
            assert!(
                allowed.contains(&dependency.as_str()),
                "{name} depends on {dependency}; it may know {allowed:?}"
            );
        }
    }
}

#[test]
fn host_magics_drawing_and_xtask_hold_no_tensor_code() {
    let packages = workspace();
    let graph = ours(&packages);
    for from in [
        "graft-chat",
        "graft-data",
        "graft-jupyter",
        "graft-kernel",
        "graft-magic",
        "graft-metrics",
        "graft-render",
        "graft-protocol",
        "graft-testkit",
        "graft-tests",
        "xtask",
    ] {
        let reached = reach(&graph, from);
        for package in packages.iter().filter(|it| reached.contains(&it.name)) {
            let found = package.dependencies.iter().find(|it| TENSORS.contains(&it.as_str()));
            assert_eq!(found, None, "{from} reaches tensors through {}", package.name);
        }
    }
}

/// Panics unless every crate that depends on one of `names` is in `allowed`.
fn only(allowed: &[&str], names: &[&str]) {
    for package in workspace().iter().filter(|it| !allowed.contains(&it.name.as_str())) {
        let found = package.dependencies.iter().find(|it| names.contains(&it.as_str()));
        assert_eq!(found, None, "{} depends on it", package.name);
    }
}

#[test]
fn only_the_jupyter_server_and_its_mock_frontend_depend_on_jupyter() {
    only(&["graft-jupyter", "graft-testkit"], JUPYTER);
}

#[test]
fn only_the_engine_depends_on_evcxr() {
    only(&["graft-engine"], &["evcxr"]);
}

#[test]
fn the_protocol_needs_only_serde_and_the_spec() {
    let packages = workspace();
    let protocol = packages.iter().find(|it| it.name == "graft-protocol").unwrap();
    for dependency in &protocol.dependencies {
        assert!(
            ["graft-spec", "serde", "serde_json", "thiserror"].contains(&dependency.as_str()),
            "graft-protocol depends on {dependency}"
        );
    }
}

#[test]
fn xtask_is_built_in_seconds() {
    let packages = workspace();
    let xtask = packages.iter().find(|it| it.name == "xtask").unwrap();
    assert!(
        xtask.dependencies.is_empty(),
        "each dependency keeps a newcomer waiting before the first line: {:?}",
        xtask.dependencies
    );
}
