//! The kernel spec: a folder with `kernel.json` and the logo.
//! Source: <https://jupyter-client.readthedocs.io/en/stable/kernels.html#kernel-specs>

use std::path::Path;

use graft_prebuilt::Installer;
use serde::{Deserialize, Serialize};

use super::InstallError;
use crate::cli::InstallArgs;

const LOGO_SVG: &[u8] = include_bytes!("../../assets/logo-svg.svg");
const LOGO_32: &[u8] = include_bytes!("../../assets/logo-32x32.png");
const LOGO_64: &[u8] = include_bytes!("../../assets/logo-64x64.png");

/// `kernel.json`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Kernelspec {
    argv: Vec<String>,
    display_name: String,
    #[serde(default)]
    language: String,
    #[serde(default)]
    interrupt_mode: String,
    #[serde(default)]
    metadata: Metadata,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Metadata {
    /// Present only in kernel specs of Graft, which `graft uninstall` may remove.
    #[serde(skip_serializing_if = "Option::is_none")]
    graft: Option<GraftMetadata>,
    #[serde(default)]
    debugger: bool,
}

#[derive(Debug, Serialize, Deserialize)]
struct GraftMetadata {
    version: String,
    #[serde(default)]
    installer: Installer,
}

impl Kernelspec {
    /// A kernel spec that starts `program`.
    pub(crate) fn new(program: &Path, args: &InstallArgs) -> Self {
        let mut argv = vec![
            program.display().to_string(),
            "kernel".to_owned(),
            "-f".to_owned(),
            "{connection_file}".to_owned(),
        ];
        if args.warm {
            argv.push("--warm".to_owned());
        }
        argv.extend(["--grace".to_owned(), args.grace.to_string()]);
        let metadata = GraftMetadata {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            installer: Installer::Graft,
        };
        Self {
            argv,
            display_name: args.display_name.clone(),
            language: "rust".to_owned(),
            interrupt_mode: "message".to_owned(),
            metadata: Metadata { graft: Some(metadata), debugger: false },
        }
    }

    /// Writes the files to a temporary folder and renames it, so that Jupyter never sees a partial
    /// kernel spec.
    pub(crate) fn write(&self, folder: &Path) -> Result<(), InstallError> {
        let parent = folder.parent().unwrap_or(Path::new("/"));
        std::fs::create_dir_all(parent).map_err(InstallError::file(parent))?;
        let temporary = tempfile::Builder::new()
            .prefix(".graft-")
            .tempdir_in(parent)
            .map_err(InstallError::file(parent))?;
        let json = serde_json::to_vec_pretty(self).map_err(|error| InstallError::File {
            path: folder.join("kernel.json"),
            source: error.into(),
        })?;
        let files: [(&str, &[u8]); 4] = [
            ("kernel.json", &json),
            ("logo-svg.svg", LOGO_SVG),
            ("logo-32x32.png", LOGO_32),
            ("logo-64x64.png", LOGO_64),
        ];
        for (name, bytes) in files {
            let path = temporary.path().join(name);
            std::fs::write(&path, bytes).map_err(InstallError::file(&path))?;
        }
        readable_by_all(temporary.path())?;
        if folder.exists() {
            std::fs::remove_dir_all(folder).map_err(InstallError::file(folder))?;
        }
        std::fs::rename(temporary.keep(), folder).map_err(InstallError::file(folder))
    }
}

/// Temporary folders are private, but the kernel spec must be readable by all users.
fn readable_by_all(folder: &Path) -> Result<(), InstallError> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755))
        .map_err(InstallError::file(folder))
}

/// Checks the name of a kernel.
///
/// # Errors
/// [`InstallError::Name`]
pub(crate) fn valid_name(name: &str) -> Result<&str, InstallError> {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    match !name.is_empty() && !name.starts_with('.') && name.chars().all(is_allowed) {
        true => Ok(name),
        false => Err(InstallError::Name { name: name.to_owned() }),
    }
}

/// The owner of a kernel spec folder.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// The folder does not exist.
    None,
    /// A kernel spec written by `graft install`.
    Graft,
    /// A kernel spec of the wheel of this version.
    Pip(String),
    /// Another kernel, with its display name.
    Other(String),
}

/// Determines the owner of a kernel spec folder.
pub(crate) fn owner(folder: &Path) -> Owner {
    let Ok(text) = std::fs::read_to_string(folder.join("kernel.json")) else {
        return if folder.exists() {
            Owner::Other("a folder without a readable kernel.json".to_owned())
        } else {
            Owner::None
        };
    };
    match serde_json::from_str::<Kernelspec>(&text) {
        Ok(spec) => match spec.metadata.graft {
            Some(graft) if graft.installer == Installer::Pip => Owner::Pip(graft.version),
            Some(_) => Owner::Graft,
            None => Owner::Other(spec.display_name),
        },
        Err(_) => Owner::Other("an unreadable kernel.json".to_owned()),
    }
}

/// The version of Graft that wrote a `kernel.json`; `None` for another kernel.
pub(crate) fn version_of(file: &Path) -> Option<String> {
    let spec: Kernelspec = serde_json::from_slice(&std::fs::read(file).ok()?).ok()?;
    Some(spec.metadata.graft?.version)
}

/// Prevents the kernel spec of another kernel, or of the wheel, from being overwritten.
///
/// # Errors
/// [`InstallError::Foreign`] or [`InstallError::Pip`]
pub(crate) fn refuse_foreign(folder: &Path) -> Result<(), InstallError> {
    match owner(folder) {
        Owner::Other(display_name) => {
            Err(InstallError::Foreign { path: folder.to_owned(), display_name })
        }
        Owner::Pip(version) => Err(InstallError::Pip { path: folder.to_owned(), version }),
        Owner::None | Owner::Graft => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use graft_spec::Hint;

    use super::*;

    fn args() -> InstallArgs {
        InstallArgs {
            user: false,
            sys_prefix: false,
            prefix: None,
            cuda: false,
            build_dir: None,
            name: "graft".to_owned(),
            display_name: "Rust (Graft)".to_owned(),
            warm: true,
            grace: 10.0,
        }
    }

    #[test]
    fn a_kernel_spec_can_be_overwritten_by_graft() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("kernels/graft");
        let spec = Kernelspec::new(Path::new("/opt/bin/graft"), &args());
        spec.write(&folder).unwrap();
        spec.write(&folder).unwrap();
        assert_eq!(owner(&folder), Owner::Graft);
        let json: serde_json::Value =
            serde_json::from_slice(&std::fs::read(folder.join("kernel.json")).unwrap()).unwrap();
        assert_eq!(
            json["argv"],
            serde_json::json!([
                "/opt/bin/graft",
                "kernel",
                "-f",
                "{connection_file}",
                "--warm",
                "--grace",
                "10"
            ])
        );
        assert_eq!(
            (&json["language"], &json["interrupt_mode"]),
            (&"rust".into(), &"message".into())
        );
        assert!(std::fs::read(folder.join("logo-64x64.png")).unwrap().starts_with(b"\x89PNG"));
        assert_eq!(std::fs::read_dir(home.path().join("kernels")).unwrap().count(), 1);
    }

    #[test]
    fn another_kernel_of_the_same_name_is_not_overwritten() {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(
            home.path().join("kernel.json"),
            r#"{"argv":["evcxr_jupyter"],"display_name":"Rust","language":"rust"}"#,
        )
        .unwrap();
        let error = refuse_foreign(home.path()).unwrap_err();
        assert_eq!(error.code(), "install::foreign");
        assert!(error.to_string().contains("(Rust)"));
    }

    #[test]
    fn a_kernel_of_the_wheel_is_left_to_pip() {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(
            home.path().join("kernel.json"),
            r#"{"argv":[],"display_name":"Rust (Graft)","language":"rust","metadata":{"graft":{"version":"0.2.0","installer":"pip"}}}"#,
        )
        .unwrap();
        assert_eq!(owner(home.path()), Owner::Pip("0.2.0".to_owned()));
        let error = refuse_foreign(home.path()).unwrap_err();
        assert!(error.to_string().contains("Graft 0.2.0"), "{error}");
        assert!(error.hint().unwrap().contains("pip uninstall graft-kernel"));
    }

    #[test]
    fn names_outside_the_folder_are_rejected() {
        for name in ["", "../rust", "a b", ".hidden", "a/b"] {
            assert!(valid_name(name).is_err(), "{name}");
        }
        assert!(valid_name("graft-0.1_x").is_ok());
    }
}
