//! The manifests of a template: those of the copied workspace, of the facade as sessions see it, and of a session's folder.

use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::{FACADE, Layout, TemplateError, archive};

/// What evcxr sets; the template's crates are compiled with the same, so that sessions find them by name.
pub(crate) const RUSTFLAGS: &str = "-Cprefer-dynamic";

/// The `cfg` under which the facade's dependencies are visible: for rust-analyzer, never for cargo's builds.
pub(crate) const ANALYSIS: &str = "graft_analysis";

/// Profile of template and sessions: evcxr's own for cells, optimised without checks for everything under them. Both must be equal,
/// since cargo's file names carry a hash of the profile.
pub(crate) const PROFILE: &str = r#"
[profile.dev]
opt-level = 2
debug = false
strip = "debuginfo"
rpath = true
lto = false
debug-assertions = true
codegen-units = 16
panic = "unwind"
incremental = true
overflow-checks = true

[profile.dev.package."*"]
opt-level = 3
debug-assertions = false
overflow-checks = false
"#;

/// Sections of a crate's manifest that only its own tests need, and that name what is not in the archive.
const DEVELOPMENT: [&str; 4] = ["dev-dependencies", "test", "bench", "example"];

/// The copied workspace's root: the members that are packed, the workspace's own versions and lints, and the sessions' profile, with
/// the facade's crates optimised like the others.
pub(super) fn workspace_root() -> Result<String, TemplateError> {
    let mut root = parse("Cargo.toml")?;
    let members: Vec<Value> = members().map(|member| Value::String(member.to_owned())).collect();
    let mut profile = parse_text("profile", PROFILE)?;
    optimise_members(&mut profile)?;
    root.remove("profile");
    root.extend(profile);
    let workspace = root.get_mut("workspace").and_then(Value::as_table_mut).ok_or_else(|| bad("Cargo.toml", "no [workspace]"))?;
    workspace.insert("members".to_owned(), Value::Array(members.clone()));
    workspace.remove("exclude");
    if let Some(dependencies) = workspace.get_mut("dependencies").and_then(Value::as_table_mut) {
        dependencies.retain(|_, dependency| dependency.get("path").is_none_or(|path| members.contains(path)));
    }
    Ok(root.to_string())
}

/// The packed manifest of that name without its development sections.
pub(super) fn member(name: &str) -> Result<String, TemplateError> {
    let mut manifest = parse(name)?;
    for section in DEVELOPMENT {
        manifest.remove(section);
    }
    Ok(manifest.to_string())
}

/// The facade as a session's manifest names it: the same sources, a dylib, and to cargo's builds without dependencies.
pub(super) fn facade(layout: &Layout) -> Result<String, TemplateError> {
    let name = format!("crates/{FACADE}/Cargo.toml");
    let root = parse("Cargo.toml")?;
    let shared = root.get("workspace").and_then(|workspace| workspace.get("dependencies")).and_then(Value::as_table).cloned().unwrap_or_default();
    let manifest = parse(&name)?;
    let mut dependencies = Table::new();
    for (key, value) in manifest.get("dependencies").and_then(Value::as_table).into_iter().flatten() {
        dependencies.insert(key.clone(), resolved(key, value, &shared, layout).ok_or_else(|| bad(&name, &format!("dependency `{key}` is unknown")))?);
    }
    let source = layout.sources().join("crates").join(FACADE).join("src/lib.rs");
    let mut package = Table::new();
    package.insert("name".to_owned(), FACADE.into());
    package.insert("version".to_owned(), env!("CARGO_PKG_VERSION").into());
    package.insert("edition".to_owned(), "2024".into());
    let mut library = Table::new();
    library.insert("path".to_owned(), source.display().to_string().into());
    library.insert("crate-type".to_owned(), vec![Value::from("dylib")].into());
    let mut only = Table::new();
    only.insert("dependencies".to_owned(), dependencies.into());
    let mut target = Table::new();
    target.insert(format!("cfg({ANALYSIS})"), only.into());
    let mut all = Table::new();
    all.insert("package".to_owned(), package.into());
    all.insert("workspace".to_owned(), Table::new().into());
    all.insert("lib".to_owned(), library.into());
    all.insert("target".to_owned(), target.into());
    Ok(all.to_string())
}

/// Root of a session's folder. The member `keep` depends on the facade for ever, so that cargo never prunes the lock file, whatever
/// evcxr writes into the manifest of `cell`.
pub(super) fn session_root() -> String {
    format!("[workspace]\nresolver = \"3\"\nmembers = [\"cell\", \"keep\"]\n{PROFILE}")
}

/// The member that keeps the lock.
pub(super) fn session_keep(layout: &Layout) -> String {
    let facade = layout.facade();
    format!(
        "[package]\nname = \"graft-session-lock\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[dependencies]\n{FACADE} = {{ path = {:?} }}\n",
        facade.display().to_string()
    )
}

/// A first manifest of the member that evcxr writes, for the lock file.
pub(super) fn session_cell() -> &'static str {
    "[package]\nname = \"ctx\"\nversion = \"1.0.0\"\nedition = \"2024\"\n"
}

/// What cargo is told in a session: who compiles, and what rust-analyzer may see. evcxr's own RUSTFLAGS hide the `cfg` from builds.
pub(crate) fn session_config(layout: &Layout, wrapper: &Path, progress: &Path) -> String {
    let text = |path: &Path| Value::String(path.display().to_string()).to_string();
    format!(
        "[build]\nrustc-wrapper = {}\nrustflags = [\"--cfg\", \"{ANALYSIS}\"]\n\n[env]\n{} = {}\n{} = {}\n",
        text(wrapper),
        super::rustc::TEMPLATE_VARIABLE,
        text(layout.root()),
        super::rustc::PROGRESS_VARIABLE,
        text(progress),
    )
}

fn members() -> impl Iterator<Item = &'static str> {
    archive::manifests().filter_map(|name| name.strip_suffix("/Cargo.toml"))
}

/// A dependency with what `workspace = true` stands for, and with an absolute path.
fn resolved(key: &str, value: &Value, shared: &Table, layout: &Layout) -> Option<Value> {
    let mut own = match value {
        Value::Table(table) => table.clone(),
        other => return Some(other.clone()),
    };
    if own.remove("workspace").is_some() {
        let mut base = match shared.get(key)? {
            Value::Table(table) => table.clone(),
            version => Table::from_iter([("version".to_owned(), version.clone())]),
        };
        let added = own.remove("features").and_then(|features| features.as_array().cloned()).unwrap_or_default();
        if !added.is_empty() {
            let mut features = base.get("features").and_then(Value::as_array).cloned().unwrap_or_default();
            features.extend(added);
            base.insert("features".to_owned(), features.into());
        }
        base.extend(own);
        own = base;
    }
    if let Some(path) = own.get("path").and_then(Value::as_str).map(PathBuf::from) {
        own.insert("path".to_owned(), layout.sources().join(path).display().to_string().into());
    }
    Some(own.into())
}

/// Adds an override like that of `*` (which means dependencies only) for each member.
fn optimise_members(profile: &mut Table) -> Result<(), TemplateError> {
    let packages = profile
        .get_mut("profile")
        .and_then(|profile| profile.get_mut("dev"))
        .and_then(|dev| dev.get_mut("package"))
        .and_then(Value::as_table_mut)
        .ok_or_else(|| bad("profile", "no packages"))?;
    let settings = packages.get("*").cloned().ok_or_else(|| bad("profile", "no `*`"))?;
    for member in members() {
        let name = Path::new(member).file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        packages.insert(name, settings.clone());
    }
    Ok(())
}

fn parse(name: &str) -> Result<Table, TemplateError> {
    parse_text(name, &archive::text(name).ok_or_else(|| bad(name, "it is not in the archive"))?)
}

fn parse_text(name: &str, text: &str) -> Result<Table, TemplateError> {
    text.parse().map_err(|error: toml::de::Error| bad(name, error.message()))
}

fn bad(name: &str, reason: &str) -> TemplateError {
    TemplateError::Manifest { path: PathBuf::from(name), reason: reason.to_owned() }
}

#[cfg(test)]
mod tests;
