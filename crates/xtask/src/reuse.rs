//! Whether the build of the prebuilt library reuses the compiled dependencies of the tensor crates.
//!
//! `graft install` compiles the library in cargo's target directory. Cargo names what it compiles
//! by version, features, profile and flags, and all of these are equal for the tests of the tensor
//! crates ([`Group::Tensors`](crate::groups::Group)): whichever is built second compiles only
//! Graft's own crates. The features are equal because `crates/graft/Cargo.toml` names those that
//! tests and tools add, and the profile because `[profile.dev]` in `Cargo.toml` agrees with
//! `PROFILE` in `crates/graft-prebuilt/src/manifests.rs`.

use crate::problem::{Problem, Result};

/// Returns the third-party crate in a progress line of `graft install` that reports its
/// compilation.
pub(crate) fn compiled_dependency(line: &str) -> Option<&str> {
    let name = line.trim().strip_prefix("Compiling ")?.split(' ').next()?;
    (name != "graft" && !name.starts_with("graft-")).then_some(name)
}

/// Fails when `compiled`, the dependencies that the library's build compiled, contains candle.
pub(crate) fn check(compiled: &[String]) -> Result<()> {
    if compiled.iter().any(|name| name == "candle-core") {
        return Err(Problem::new(format!(
            "the prebuilt library's build compiled {} dependencies that the tests had compiled already",
            compiled.len()
        ))
        .hint(format!(
            "a feature, a flag or the profile differs, probably of {}: see crates/xtask/src/reuse.rs",
            compiled.first().map_or("candle-core", String::as_str)
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recompiling_candle_fails_and_workspace_crates_do_not_count() {
        let lines = ["  Compiling graft v0.1.0 (3)", "  Compiling graft-nn v0.1.0 (2)", "  ready"];
        assert!(lines.iter().all(|line| compiled_dependency(line).is_none()));
        assert_eq!(compiled_dependency("  Compiling half v2.7.1 (1)"), Some("half"));
        let words = |names: &[&str]| names.iter().map(|&it| it.to_owned()).collect::<Vec<_>>();
        assert!(check(&words(&["half"])).is_ok());
        let problem = check(&words(&["half", "candle-core"])).unwrap_err().to_string();
        assert!(problem.contains("2 dependencies") && problem.contains("of half"), "{problem}");
    }
}
