//! Paths in the checkout.

use std::path::{Path, PathBuf};

/// The checkout and its target directory.
pub(crate) struct Paths {
    /// The folder of the workspace's Cargo.toml.
    pub(crate) root: PathBuf,
    /// Cargo's target directory: `CARGO_TARGET_DIR`, or `target` in the checkout.
    pub(crate) target: PathBuf,
}

impl Paths {
    /// Returns the checkout from which this binary was built.
    pub(crate) fn here() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .ancestors()
            .nth(2)
            .map_or_else(|| PathBuf::from("."), Path::to_path_buf);
        let target = match std::env::var_os("CARGO_TARGET_DIR") {
            Some(given) => root.join(given),
            None => root.join("target"),
        };
        Self { root, target }
    }

    /// The kernel's binary built by `cargo build`.
    pub(crate) fn graft(&self) -> PathBuf {
        self.target.join("debug/graft")
    }

    /// The Python environment of `lab`, which is also the kernel's prefix.
    pub(crate) fn lab(&self) -> PathBuf {
        self.target.join("graft-lab")
    }

    /// The Python environment of `test`, which is also the kernel's prefix.
    pub(crate) fn test(&self) -> PathBuf {
        self.target.join("graft-test")
    }

    /// The prefix that `wheel` packs and the Python environment that checks it.
    pub(crate) fn wheel(&self) -> PathBuf {
        self.target.join("graft-wheel")
    }

    /// The Python environment of nbgrader, which grades notebooks in `test`.
    pub(crate) fn nbgrader(&self) -> PathBuf {
        self.target.join("graft-nbgrader")
    }

    /// The Python environment of `test --peft` with PyTorch and HF PEFT.
    pub(crate) fn peft(&self) -> PathBuf {
        self.target.join("graft-peft")
    }

    /// The Python environment of `test --peft` with PyTorch and AdapterHub's library.
    pub(crate) fn adapterhub(&self) -> PathBuf {
        self.target.join("graft-adapterhub")
    }

    /// NVIDIA's compiler and libraries for `cuda-build`, and by default the prefix of its kernel.
    pub(crate) fn cuda(&self) -> PathBuf {
        self.target.join("graft-cuda")
    }

    /// A file of pinned requirements: `lab`, `test`, `nbgrader`, `peft`, `adapterhub` or `cuda`.
    pub(crate) fn requirements(&self, name: &str) -> PathBuf {
        self.root.join("crates/xtask/requirements").join(format!("{name}.txt"))
    }

    /// A script of the end-to-end tests.
    pub(crate) fn script(&self, name: &str) -> PathBuf {
        self.root.join("tests/python").join(name)
    }
}
