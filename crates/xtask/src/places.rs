//! Where things lie in the checkout.

use std::path::{Path, PathBuf};

/// The checkout and its target directory.
pub(crate) struct Places {
    /// The folder of the workspace's Cargo.toml.
    pub(crate) root: PathBuf,
    /// Where cargo builds: `CARGO_TARGET_DIR`, or `target` in the checkout.
    pub(crate) target: PathBuf,
}

impl Places {
    /// The checkout this binary was built from.
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

    /// The kernel's binary as `cargo build` leaves it.
    pub(crate) fn graft(&self) -> PathBuf {
        self.target.join("debug/graft")
    }

    /// The Python environment, and the prefix of the kernel, that `lab` makes.
    pub(crate) fn lab(&self) -> PathBuf {
        self.target.join("graft-lab")
    }

    /// The Python environment, and the prefix of the kernel, that `test` makes.
    pub(crate) fn test(&self) -> PathBuf {
        self.target.join("graft-test")
    }

    /// The Python environment with PyTorch and HF PEFT that `test --peft` makes.
    pub(crate) fn peft(&self) -> PathBuf {
        self.target.join("graft-peft")
    }

    /// The one with PyTorch and AdapterHub's library.
    pub(crate) fn adapterhub(&self) -> PathBuf {
        self.target.join("graft-adapterhub")
    }

    /// NVIDIA's compiler and libraries, and by default the kernel, that `cuda-build` makes.
    pub(crate) fn cuda(&self) -> PathBuf {
        self.target.join("graft-cuda")
    }

    /// Pinned requirements by name: `lab`, `test`, `peft`, `adapterhub` or `cuda`.
    pub(crate) fn requirements(&self, name: &str) -> PathBuf {
        self.root.join("crates/xtask/requirements").join(format!("{name}.txt"))
    }

    /// A script of the end-to-end tests.
    pub(crate) fn script(&self, name: &str) -> PathBuf {
        self.root.join("tests/python").join(name)
    }
}
