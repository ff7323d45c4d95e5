//! The workspace's crates in two groups, each compiled and tested by a cargo call of its own.
//!
//! `graft install` compiles the library that Rust cells use from the crates that hold tensors.
//! Their tests are compiled with the same target and flags, so that candle and everything below it
//! is compiled once for both. The other crates make the program `graft`, which must not depend on
//! the compiler's shared libstd.

use std::process::Command;

use crate::paths::Paths;
use crate::shell;

/// The crates that depend on candle.
const TENSOR_CRATES: [&str; 8] = [
    "graft",
    "graft-bench",
    "graft-models",
    "graft-nn",
    "graft-peft",
    "graft-pretrain",
    "graft-session",
    "graft-train",
];

/// The target of the prebuilt library: `TARGET` in `crates/graft-prebuilt/src/lib.rs`.
pub(crate) const TARGET: &str = "x86_64-unknown-linux-gnu";

/// The flags of the prebuilt library: `RUSTFLAGS` in `crates/graft-prebuilt/src/manifests.rs`.
const RUSTFLAGS: &str = "-Cprefer-dynamic";

/// One of the two groups.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Group {
    /// The kernel and every other crate that does not depend on candle.
    Host,
    /// [`TENSOR_CRATES`].
    Tensors,
}

impl Group {
    /// Both: together every crate of the workspace, each once.
    pub(crate) const ALL: [Self; 2] = [Self::Host, Self::Tensors];

    /// Returns the name of the group for headlines.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Host => "the kernel's crates",
            Self::Tensors => "the tensor crates",
        }
    }

    /// Creates a cargo command for the crates of this group.
    pub(crate) fn cargo(self, paths: &Paths, subcommand: &[&str]) -> Command {
        let mut cargo = shell::command("cargo", subcommand);
        cargo.arg("--locked").args(self.selection()).current_dir(&paths.root);
        if self == Self::Tensors {
            cargo.args(["--target", TARGET]).env("RUSTFLAGS", RUSTFLAGS);
            cargo.env_remove("CARGO_ENCODED_RUSTFLAGS");
        }
        cargo
    }

    /// Returns cargo's options that select the crates of this group.
    fn selection(self) -> Vec<&'static str> {
        match self {
            Self::Host => {
                let excluded = TENSOR_CRATES.iter().flat_map(|name| ["--exclude", name]);
                std::iter::once("--workspace").chain(excluded).collect()
            }
            Self::Tensors => TENSOR_CRATES.iter().flat_map(|name| ["--package", name]).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The first word of each line of `cargo tree`: crate names without duplicates.
    fn tree(options: &[&str]) -> BTreeSet<String> {
        let mut cargo = shell::command("cargo", &["tree", "--locked", "--prefix", "none"]);
        cargo.args(options).current_dir(Paths::here().root);
        let lines = shell::stdout_of(&mut cargo).expect("cargo tree succeeds after a build");
        let names = lines.lines().filter_map(|line| line.split_whitespace().next());
        names.map(str::to_owned).collect()
    }

    /// The names of the crates in a group.
    fn members(group: Group) -> BTreeSet<String> {
        tree(&[&group.selection()[..], &["--depth", "0"]].concat())
    }

    /// A group's crates and everything that they, their tests and their build scripts depend on.
    fn reached(selection: &[&str]) -> BTreeSet<String> {
        tree(&[selection, &["--edges", "normal,build,dev"]].concat())
    }

    #[test]
    fn every_crate_of_the_workspace_is_in_exactly_one_group() {
        let (host, tensors) = (members(Group::Host), members(Group::Tensors));
        assert_eq!(tensors.iter().map(String::as_str).collect::<Vec<_>>(), TENSOR_CRATES);
        assert!(host.is_disjoint(&tensors), "{host:?} {tensors:?}");
        let all = tree(&["--workspace", "--depth", "0"]);
        assert_eq!(host.union(&tensors).cloned().collect::<BTreeSet<_>>(), all);
    }

    #[test]
    fn only_tensor_crates_depend_on_candle() {
        assert!(!reached(&Group::Host.selection()).contains("candle-core"));
        for name in TENSOR_CRATES {
            assert!(reached(&["--package", name]).contains("candle-core"), "{name}");
        }
    }

    #[test]
    fn only_tensor_crates_are_compiled_like_the_prebuilt_library() {
        let is_set = |group: Group| {
            let cargo = group.cargo(&Paths::here(), &["build"]);
            let flags = cargo.get_envs().find(|(name, _)| *name == "RUSTFLAGS");
            (flags.is_some(), cargo.get_args().any(|word| word == "--target"))
        };
        assert_eq!(Group::ALL.map(is_set), [(false, false), (true, true)]);
    }
}
