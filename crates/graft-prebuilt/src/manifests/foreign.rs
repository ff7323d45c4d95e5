//! External crates as rust-analyzer sees them.
//!
//! rust-analyzer reads all crates before it infers the first type. The dependencies of candle and
//! plotters (tokenizers, zip, rayon, image, system bindings: 149 crates, 63 MB) took twice as long
//! as all other crates. Variables of cells can only have types that occur in public signatures, so
//! each crate of [`VISIBLE`] gets a new manifest: with its own sources and enabled features, but
//! only the dependencies in the list. Function bodies that use the other dependencies do not
//! resolve, which has no effect here.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use toml::{Table, Value};

use crate::{Layout, PrebuiltError};

/// Crates whose types variables of cells can have, and the crates in their signatures.
pub(super) const VISIBLE: [&str; 13] = [
    "candle-core",
    "candle-nn",
    "plotters",
    "serde_json",
    "tokenizers",
    "cfg-if",
    "half",
    "num-traits",
    "plotters-backend",
    "plotters-bitmap",
    "plotters-svg",
    "serde",
    "serde_core",
];

/// The fields of `cargo metadata` that are used here.
#[derive(Deserialize)]
pub(super) struct Metadata {
    packages: Vec<Package>,
    resolve: Resolve,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
    version: String,
    edition: String,
    targets: Vec<Target>,
}

#[derive(Deserialize)]
struct Target {
    kind: Vec<String>,
    name: String,
    src_path: String,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    features: Vec<String>,
    deps: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    pkg: String,
}

impl Metadata {
    /// Reads the output of `cargo metadata --format-version 1`.
    pub(super) fn parse(json: &[u8]) -> Result<Self, PrebuiltError> {
        serde_json::from_slice(json).map_err(|error| PrebuiltError::Build {
            message: format!("unexpected output of `cargo metadata`: {error}"),
        })
    }

    /// The name and the manifest of each crate of [`VISIBLE`] that is in use.
    pub(super) fn manifests(&self, layout: &Layout) -> Vec<(&str, String)> {
        let packages: BTreeMap<&str, &Package> =
            self.packages.iter().map(|package| (package.id.as_str(), package)).collect();
        let visible = |id: &str| {
            packages.get(id).copied().filter(|package| VISIBLE.contains(&package.name.as_str()))
        };
        self.resolve
            .nodes
            .iter()
            .filter_map(|node| {
                let package = visible(&node.id)?;
                let dependencies = node.deps.iter().filter_map(|dependency| {
                    let name = &visible(&dependency.pkg)?.name;
                    Some((dependency.name.clone(), renamed(name, &layout.analysis(name))))
                });
                Some((
                    package.name.as_str(),
                    manifest(package, &node.features, dependencies.collect())?,
                ))
            })
            .collect()
    }
}

/// A path dependency that may be renamed.
fn renamed(package: &str, folder: &Path) -> Value {
    Table::from_iter([
        ("package".to_owned(), Value::from(package)),
        ("path".to_owned(), Value::from(folder.display().to_string())),
    ])
    .into()
}

/// A manifest with the sources of the crate, in which all enabled features are default features.
fn manifest(package: &Package, enabled: &[String], dependencies: Table) -> Option<String> {
    let library = package
        .targets
        .iter()
        .find(|target| target.kind.iter().any(|kind| kind == "lib" || kind == "rlib"))?;
    let names: Vec<Value> = enabled
        .iter()
        .filter(|name| *name != "default")
        .map(|name| Value::from(name.as_str()))
        .collect();
    let mut features: Table = names
        .iter()
        .filter_map(Value::as_str)
        .map(|name| (name.to_owned(), Value::Array(Vec::new())))
        .collect();
    features.insert("default".to_owned(), names.into());
    let table = |fields: [(&str, &str); 2]| {
        Table::from_iter(fields.map(|(key, value)| (key.to_owned(), Value::from(value))))
    };
    let mut about = table([("name", &package.name), ("version", &package.version)]);
    about.insert("edition".to_owned(), Value::from(package.edition.as_str()));
    let sections = [
        ("package", about),
        ("workspace", Table::new()),
        ("lib", table([("name", &library.name), ("path", &library.src_path)])),
        ("features", features),
        ("dependencies", dependencies),
    ];
    Some(
        Table::from_iter(sections.map(|(name, section)| (name.to_owned(), Value::from(section))))
            .to_string(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const METADATA: &str = r#"{
        "packages": [
            {"id": "n", "name": "candle-nn", "version": "1.0.0", "edition": "2021", "targets": [{"kind": ["lib"], "name": "candle_nn", "src_path": "/r/nn/src/lib.rs"}]},
            {"id": "c", "name": "candle-core", "version": "1.0.0", "edition": "2021", "targets": [{"kind": ["lib"], "name": "candle_core", "src_path": "/r/core/src/lib.rs"}]},
            {"id": "z", "name": "zip", "version": "9.0.0", "edition": "2021", "targets": [{"kind": ["lib"], "name": "zip", "src_path": "/r/zip/src/lib.rs"}]}
        ],
        "resolve": {"nodes": [
            {"id": "n", "features": ["default", "half"], "deps": [{"name": "candle", "pkg": "c"}, {"name": "zip", "pkg": "z"}]},
            {"id": "c", "features": [], "deps": [{"name": "zip", "pkg": "z"}]},
            {"id": "z", "features": [], "deps": []}
        ]}
    }"#;

    #[test]
    fn only_crates_in_signatures_remain_as_dependencies() {
        let metadata = Metadata::parse(METADATA.as_bytes()).unwrap();
        let manifests = metadata.manifests(&Layout::new("/t".into()));
        assert_eq!(
            manifests.iter().map(|(name, _)| *name).collect::<Vec<_>>(),
            ["candle-nn", "candle-core"]
        );
        let nn: Table = manifests[0].1.parse().unwrap();
        assert_eq!(nn["dependencies"].as_table().unwrap().keys().collect::<Vec<_>>(), ["candle"]);
        assert_eq!(nn["dependencies"]["candle"]["package"].as_str(), Some("candle-core"));
        assert_eq!(nn["dependencies"]["candle"]["path"].as_str(), Some("/t/analysis/candle-core"));
        assert_eq!(nn["features"]["default"].as_array().unwrap(), &[Value::from("half")]);
        assert_eq!(nn["lib"]["path"].as_str(), Some("/r/nn/src/lib.rs"));
    }

    #[test]
    fn output_that_is_not_metadata_is_an_error() {
        assert!(Metadata::parse(b"error: no such command").is_err());
    }
}
