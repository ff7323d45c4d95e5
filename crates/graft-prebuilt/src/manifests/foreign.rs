//! External crates as rust-analyzer sees them.
//!
//! rust-analyzer reads all crates before it infers the first type. The dependencies of candle and
//! plotters (tokenizers, zip, rayon, image, system bindings: 149 crates, 63 MB) took twice as long
//! as all other crates. Variables of cells can only have types that occur in public signatures, so
//! each crate of [`VISIBLE`] gets a new manifest: with its own sources and enabled features, but
//! only the dependencies in the list. Function bodies that use the other dependencies do not
//! resolve, which has no effect here. The sources are copied, because the machine that runs the
//! cells may have no copy of the registry.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

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

/// An external crate as rust-analyzer sees it.
pub(crate) struct External {
    /// The name of the package.
    pub(crate) name: String,
    /// Its manifest.
    pub(crate) manifest: String,
    /// The folder with its sources in cargo's registry.
    pub(crate) sources: PathBuf,
    /// The folder of their copy.
    pub(crate) copy: PathBuf,
}

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
    src_path: PathBuf,
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

    /// The crates of [`VISIBLE`] that are in use.
    pub(super) fn external(&self, layout: &Layout) -> Vec<External> {
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
                    Some((dependency.name.clone(), renamed(name)))
                });
                package.external(&node.features, dependencies.collect(), layout)
            })
            .collect()
    }
}

impl Package {
    /// The crate with the features `enabled` and these dependencies.
    fn external(
        &self,
        enabled: &[String],
        dependencies: Table,
        layout: &Layout,
    ) -> Option<External> {
        let library = self
            .targets
            .iter()
            .find(|target| target.kind.iter().any(|kind| kind == "lib" || kind == "rlib"))?;
        let root = Path::new("src").join(library.src_path.file_name()?);
        Some(External {
            name: self.name.clone(),
            manifest: self.manifest(&library.name, &root, enabled, dependencies),
            sources: library.src_path.parent()?.to_owned(),
            copy: layout.analysis(&self.name).join("src"),
        })
    }

    /// A manifest with the sources of the crate, in which all enabled features are default
    /// features.
    fn manifest(
        &self,
        library: &str,
        root: &Path,
        enabled: &[String],
        dependencies: Table,
    ) -> String {
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
        let mut about = table([("name", &self.name), ("version", &self.version)]);
        about.insert("edition".to_owned(), Value::from(self.edition.as_str()));
        let root = root.display().to_string();
        let sections = [
            ("package", about),
            ("workspace", Table::new()),
            ("lib", table([("name", library), ("path", &root)])),
            ("features", features),
            ("dependencies", dependencies),
        ];
        let sections = sections.map(|(name, section)| (name.to_owned(), Value::from(section)));
        Table::from_iter(sections).to_string()
    }
}

/// A path dependency that may be renamed.
fn renamed(package: &str) -> Value {
    Table::from_iter([
        ("package".to_owned(), Value::from(package)),
        ("path".to_owned(), Value::from(format!("../{package}"))),
    ])
    .into()
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
        let external = metadata.external(&Layout::new("/t".into()));
        assert_eq!(
            external.iter().map(|external| external.name.as_str()).collect::<Vec<_>>(),
            ["candle-nn", "candle-core"]
        );
        assert_eq!(external[0].sources, Path::new("/r/nn/src"));
        assert_eq!(external[0].copy, Path::new("/t/analysis/candle-nn/src"));
        let nn: Table = external[0].manifest.parse().unwrap();
        assert_eq!(nn["dependencies"].as_table().unwrap().keys().collect::<Vec<_>>(), ["candle"]);
        assert_eq!(nn["dependencies"]["candle"]["package"].as_str(), Some("candle-core"));
        assert_eq!(nn["dependencies"]["candle"]["path"].as_str(), Some("../candle-core"));
        assert_eq!(nn["features"]["default"].as_array().unwrap(), &[Value::from("half")]);
        assert_eq!(nn["lib"]["path"].as_str(), Some("src/lib.rs"));
    }

    #[test]
    fn output_that_is_not_metadata_is_an_error() {
        assert!(Metadata::parse(b"error: no such command").is_err());
    }
}
