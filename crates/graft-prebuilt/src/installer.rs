//! The program that installed Graft, which can also repair or remove it.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::rust_part;

/// The program that installed Graft and can remove it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Installer {
    /// `graft install`
    #[default]
    Graft,
    /// pip or a tool like it, from the wheel.
    Pip,
}

impl Installer {
    /// The installer of a prebuilt library, by one of its files: the wheel marks its folder
    /// `share/graft`.
    pub fn of_file(file: &Path) -> Self {
        let mut folders = file.ancestors();
        let templates = folders.find(|folder| folder.ends_with("share/graft/templates"));
        match templates.is_some_and(|folder| folder.with_file_name("installed-by-pip").exists()) {
            true => Self::Pip,
            false => Self::Graft,
        }
    }

    /// How to repair an installation with the damaged file `file`.
    pub fn repair(self, file: &Path) -> String {
        match self {
            Self::Pip => {
                let wheel = match is_for_rust_cells(file) {
                    true => "graft_kernel_rust*",
                    false => "graft_kernel",
                };
                let version = env!("CARGO_PKG_VERSION");
                format!(
                    "free disk space, then run `pip install --force-reinstall --no-deps {wheel}-{version}-*.whl` with the wheels of Graft"
                )
            }
            Self::Graft => "free disk space, then run `graft clean` and `graft install`, with the same options as before".to_owned(),
        }
    }
}

/// Whether a file of a prebuilt library is in the wheel for Rust cells.
fn is_for_rust_cells(file: &Path) -> bool {
    let libraries = file.ancestors().find(|folder| folder.ends_with("lib"));
    libraries.and_then(|folder| file.strip_prefix(folder).ok()).is_some_and(rust_part::contains)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_of_the_wheel_is_recognized() {
        let prefix = tempfile::tempdir().unwrap();
        let share = prefix.path().join("share/graft");
        let file = share.join("templates/abc/lib/libgraft.so");
        std::fs::create_dir_all(&share).unwrap();
        assert_eq!(Installer::of_file(&file), Installer::Graft);
        std::fs::write(share.join("installed-by-pip"), "").unwrap();
        assert_eq!(Installer::of_file(&file), Installer::Pip);
    }

    #[test]
    fn the_repair_names_the_wheel_that_contains_the_file() {
        let repair = |file: &str| Installer::Pip.repair(Path::new(file));
        let library = "/usr/lib/x/share/graft/templates/abc/lib/libgraft.so";
        assert!(repair(library).contains(" graft_kernel-"), "{}", repair(library));
        let metadata = "/usr/lib/x/share/graft/templates/abc/lib/deps/liba-1.rlib";
        assert!(repair(metadata).contains(" graft_kernel_rust*-"), "{}", repair(metadata));
    }
}
