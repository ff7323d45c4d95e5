//! The manifests of a prebuilt library: of the copied workspace, of the crates as rust-analyzer
//! sees them, and of a session's folder.

mod foreign;

use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::{FACADE, Layout, PrebuiltError, archive};

/// The flags that evcxr sets. The prebuilt crates are compiled with the same flags, so that cargo
/// expects the same file names.
pub(crate) const RUSTFLAGS: &str = "-Cprefer-dynamic";

/// The `cfg` that enables the facade's dependencies for rust-analyzer. cargo's builds never set it.
pub(crate) const ANALYSIS: &str = "graft_analysis";

/// The profile of the prebuilt library and of sessions: evcxr's profile for cells, and optimized
/// without checks for dependencies. Both must be equal, since cargo's file names contain a hash of
/// the profile. For dependencies it also equals the profile of the workspace, so that the library
/// reuses what the tests have compiled. evcxr's `rpath` is not set here, because it would apply to
/// the program `graft` too: only cells are linked with it.
pub(crate) const PROFILE: &str = r#"
[profile.dev]
opt-level = 2
debug = false
strip = "debuginfo"
lto = false
debug-assertions = true
codegen-units = 16
panic = "unwind"
incremental = true
overflow-checks = true

[profile.dev.package."*"]
opt-level = 3
codegen-units = 16
debug-assertions = false
overflow-checks = false

[profile.dev.package.syn]
opt-level = 0

[profile.dev.package.quote]
opt-level = 0

[profile.dev.package.proc-macro2]
opt-level = 0

[profile.dev.package.serde_derive]
opt-level = 0

[profile.dev.package.bytemuck_derive]
opt-level = 0

[profile.dev.package.cc]
opt-level = 0

[profile.dev.package.darling_core]
opt-level = 0

[profile.dev.package.derive_builder_core]
opt-level = 0

[profile.dev.package.synstructure]
opt-level = 0

[profile.dev.package.thiserror-impl]
opt-level = 0

[profile.dev.package.yoke-derive]
opt-level = 0

[profile.dev.package.zerocopy-derive]
opt-level = 0

[profile.dev.package.zerofrom-derive]
opt-level = 0

[profile.dev.package.zeroize_derive]
opt-level = 0
"#;

/// External crates that a cell can use without a `:dep`: the facade's own copies.
pub(crate) const SHOWN: [&str; 5] =
    ["candle-core", "candle-nn", "plotters", "serde_json", "tokenizers"];

/// The package name of the member that keeps the lock file complete.
const KEEP: &str = "graft-session-lock";

/// The feature of the facade that adds the crates of [`SHOWN`] to the prelude for rust-analyzer.
const SEES_CRATES: &str = "analysis";

/// Sections of a manifest that only tests need; they refer to files that are not in the archive.
const DEVELOPMENT: [&str; 4] = ["dev-dependencies", "test", "bench", "example"];

/// The manifest of the copied workspace: the packed members, the versions and lints of the
/// workspace, and the sessions' profile, with the facade's crates optimized like dependencies.
pub(super) fn workspace_root() -> Result<String, PrebuiltError> {
    let mut root = parse("Cargo.toml")?;
    let members: Vec<Value> = members().map(|member| Value::String(member.to_owned())).collect();
    let mut profile = parse_text("profile", PROFILE)?;
    optimize_members(&mut profile)?;
    root.remove("profile");
    root.extend(profile);
    let workspace = root
        .get_mut("workspace")
        .and_then(Value::as_table_mut)
        .ok_or_else(|| bad("Cargo.toml", "no [workspace]"))?;
    workspace.insert("members".to_owned(), Value::Array(members.clone()));
    workspace.remove("exclude");
    if let Some(dependencies) = workspace.get_mut("dependencies").and_then(Value::as_table_mut) {
        dependencies.retain(|_, dependency| {
            dependency.get("path").is_none_or(|path| members.contains(path))
        });
    }
    Ok(root.to_string())
}

/// The manifest of a member without the sections that only tests need.
pub(super) fn member(name: &str) -> Result<String, PrebuiltError> {
    let mut manifest = parse(name)?;
    for section in DEVELOPMENT {
        manifest.remove(section);
    }
    Ok(manifest.to_string())
}

/// The manifest of a member for rust-analyzer: with the same sources, but only those dependencies
/// whose types variables of cells can have, since rust-analyzer reads all crates before it infers
/// the first type. The facade is a dylib, and for cargo's builds it has no dependencies. Paths are
/// relative, so that the library can be moved.
pub(super) fn analysis(member: &str) -> Result<String, PrebuiltError> {
    let file = format!("{member}/Cargo.toml");
    let name = Path::new(member)
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    let manifest = parse(&file)?;
    let dependencies = shown_dependencies(&manifest);
    let package =
        [("name", name.as_str()), ("version", env!("CARGO_PKG_VERSION")), ("edition", "2024")];
    let mut library = Table::from_iter([("path".to_owned(), Value::from("src/lib.rs"))]);
    let mut all = Table::new();
    all.insert(
        "package".to_owned(),
        Table::from_iter(package.map(|(key, value)| (key.to_owned(), Value::from(value)))).into(),
    );
    all.insert("workspace".to_owned(), Table::new().into());
    if name == FACADE {
        library.insert("crate-type".to_owned(), vec![Value::from("dylib")].into());
        all.insert("features".to_owned(), analysis_features().into());
        all.insert("target".to_owned(), for_analysis_only(dependencies).into());
    } else {
        all.insert("dependencies".to_owned(), dependencies.into());
    }
    all.insert("lib".to_owned(), library.into());
    Ok(all.to_string())
}

/// The dependencies whose types variables of cells can have.
fn shown_dependencies(manifest: &Table) -> Table {
    let keys = manifest
        .get("dependencies")
        .and_then(Value::as_table)
        .into_iter()
        .flatten()
        .map(|(key, _)| key);
    let path =
        |key: &str| Table::from_iter([("path".to_owned(), Value::from(format!("../{key}")))]);
    keys.filter(|key| is_shown(key)).map(|key| (key.clone(), path(key).into())).collect()
}

/// The feature that makes the dependencies visible to rust-analyzer.
fn analysis_features() -> Table {
    let features = [("default", vec![Value::from(SEES_CRATES)]), (SEES_CRATES, Vec::new())];
    Table::from_iter(features.map(|(name, enables)| (name.to_owned(), Value::from(enables))))
}

/// The section `target` with dependencies that cargo's builds do not have.
fn for_analysis_only(dependencies: Table) -> Table {
    let only = Table::from_iter([("dependencies".to_owned(), Value::from(dependencies))]);
    Table::from_iter([(format!("cfg({ANALYSIS})"), Value::from(only))])
}

/// The workspace manifest of a session's folder. The member `keep` always depends on the facade, so
/// that cargo never prunes the lock file, whatever evcxr writes into the manifest of `cell`.
pub(super) fn session_root() -> String {
    format!("[workspace]\nresolver = \"3\"\nmembers = [\"cell\", \"keep\"]\n{PROFILE}")
}

/// The manifest of the member `keep` until a cell needs a crate. cargo then reads the manifests of
/// two crates instead of two hundred, and no registry.
pub fn session_without_crates() -> String {
    format!("[package]\nname = \"{KEEP}\"\nversion = \"0.0.0\"\nedition = \"2024\"\n")
}

/// The manifest of the member `keep`, which depends on the facade in the folder `facade`. Its
/// dependencies stay in the lock file but are invisible to builds and rust-analyzer: the facade and
/// its external crates, so that a cell's `:dep` resolves
/// to the versions of the facade.
///
/// # Errors
/// Returns an error if the packed manifest of the workspace is invalid.
pub fn session_keep(facade: &Path) -> Result<String, PrebuiltError> {
    let root = parse("Cargo.toml")?;
    let shared = root
        .get("workspace")
        .and_then(|workspace| workspace.get("dependencies"))
        .and_then(Value::as_table);
    let mut dependencies: Table = shared
        .into_iter()
        .flatten()
        .filter(|(key, _)| SHOWN.contains(&key.as_str()))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    let facade = Table::from_iter([("path".to_owned(), Value::from(facade.display().to_string()))]);
    dependencies.insert(FACADE.to_owned(), facade.into());
    let only = Table::from_iter([("dependencies".to_owned(), Value::from(dependencies))]);
    let package = [("name", KEEP), ("version", "0.0.0"), ("edition", "2024")];
    let mut all = Table::new();
    all.insert(
        "package".to_owned(),
        Table::from_iter(package.map(|(key, value)| (key.to_owned(), Value::from(value)))).into(),
    );
    all.insert(
        "target".to_owned(),
        Table::from_iter([("cfg(graft_lock)".to_owned(), Value::from(only))]).into(),
    );
    Ok(all.to_string())
}

/// The version of an external crate in the facade, as pinned by the workspace; `None` for a crate
/// that the workspace does not use.
pub fn shared_version(name: &str) -> Option<String> {
    let root = parse("Cargo.toml").ok()?;
    let entry = root.get("workspace")?.get("dependencies")?.get(name)?;
    let version = entry.as_str().or_else(|| entry.get("version")?.as_str())?;
    Some(version.trim_start_matches('=').to_owned())
}

/// Each external crate as rust-analyzer sees it. `metadata` is the output of `cargo metadata` for
/// the copied workspace.
pub(super) fn external(
    metadata: &[u8],
    layout: &Layout,
) -> Result<Vec<foreign::External>, PrebuiltError> {
    Ok(foreign::Metadata::parse(metadata)?.external(layout))
}

/// The initial manifest of the member `cell`, which evcxr overwrites.
pub(super) fn session_cell() -> &'static str {
    "[package]\nname = \"ctx\"\nversion = \"1.0.0\"\nedition = \"2024\"\n"
}

/// The cargo configuration of a session: the rustc wrapper, and the files to which it writes the
/// names of compiled crates (`progress`) and the arguments of the last cell (`record`).
pub fn session_config(layout: &Layout, wrapper: &Path, progress: &Path, record: &Path) -> String {
    let text = |path: &Path| Value::String(path.display().to_string()).to_string();
    format!(
        "[build]\nrustc-wrapper = {}\n\n[env]\n{} = {}\n{} = {}\n{} = {}\n",
        text(wrapper),
        super::rustc_wrapper::PREBUILT_VARIABLE,
        text(layout.root()),
        super::rustc_wrapper::PROGRESS_VARIABLE,
        text(progress),
        super::rustc_wrapper::RECORD_VARIABLE,
        text(record),
    )
}

/// The cargo configuration of the folder that rust-analyzer reads: the `cfg` with the facade's
/// dependencies. A session's own folder does not set it, so that evcxr's rust-analyzer reads none
/// of them.
pub fn analysis_config() -> String {
    format!("[build]\nrustflags = [\"--cfg\", \"{ANALYSIS}\"]\n")
}

pub(super) fn members() -> impl Iterator<Item = &'static str> {
    archive::manifests().filter_map(|name| name.strip_suffix("/Cargo.toml"))
}

fn is_shown(key: &str) -> bool {
    SHOWN.contains(&key) || key == FACADE || key.starts_with("graft-")
}

/// Adds the settings of `*`, which applies to dependencies only, for each member.
fn optimize_members(profile: &mut Table) -> Result<(), PrebuiltError> {
    let packages = profile
        .get_mut("profile")
        .and_then(|profile| profile.get_mut("dev"))
        .and_then(|dev| dev.get_mut("package"))
        .and_then(Value::as_table_mut)
        .ok_or_else(|| bad("profile", "no packages"))?;
    let settings = packages.get("*").cloned().ok_or_else(|| bad("profile", "no `*`"))?;
    for member in members() {
        let name = Path::new(member)
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        packages.insert(name, settings.clone());
    }
    Ok(())
}

fn parse(name: &str) -> Result<Table, PrebuiltError> {
    parse_text(name, &archive::text(name).ok_or_else(|| bad(name, "not in the archive"))?)
}

fn parse_text(name: &str, text: &str) -> Result<Table, PrebuiltError> {
    text.parse().map_err(|error: toml::de::Error| bad(name, error.message()))
}

fn bad(name: &str, reason: &str) -> PrebuiltError {
    PrebuiltError::Manifest { path: PathBuf::from(name), reason: reason.to_owned() }
}

#[cfg(test)]
mod tests;
