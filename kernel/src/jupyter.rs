//! Jupyter installations on this machine, and the kernels that they find.
//!
//! Jupyter itself reports the folders in which it searches (`jupyter --paths --json`), because they
//! depend on its version, its environment and its settings.
//! Source: <https://docs.jupyter.org/en/latest/use/jupyter-directories.html>

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;

/// Where Jupyter searches for kernels of all users, with every Python environment.
pub(crate) const SYSTEM_DATA_DIR: &str = "/usr/local/share/jupyter";

/// One Jupyter installation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Jupyter {
    /// The program `jupyter`.
    pub(crate) program: PathBuf,
    /// The data folders in which it searches for `kernels/NAME`, in order.
    pub(crate) data: Vec<PathBuf>,
}

/// The part of the answer of `jupyter --paths --json` that is used.
#[derive(Deserialize)]
struct Paths {
    data: Vec<PathBuf>,
}

/// The part of `kernel.json` that is used.
#[derive(Deserialize)]
struct Spec {
    argv: Vec<String>,
}

/// A kernel spec that Jupyter finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FoundSpec {
    /// Its folder.
    pub(crate) folder: PathBuf,
    /// The program that it starts; `None` if `kernel.json` is damaged.
    pub(crate) program: Option<PathBuf>,
}

impl Jupyter {
    /// The Jupyter that the user starts: that on PATH, or else that of this program's own prefix.
    pub(crate) fn of_user() -> Option<Self> {
        on_path("jupyter").into_iter().chain(own_program("jupyter")).find_map(Self::at)
    }

    /// Asks a program for its folders; `None` if it does not answer as Jupyter does.
    fn at(program: PathBuf) -> Option<Self> {
        let output = Command::new(&program)
            .args(["--paths", "--json"])
            .stdin(Stdio::null())
            .output()
            .ok()
            .filter(|output| output.status.success())?;
        let paths: Paths = serde_json::from_slice(&output.stdout).ok()?;
        Some(Self { program, data: paths.data })
    }

    /// The kernel spec that Jupyter uses for a name.
    pub(crate) fn spec(&self, name: &str) -> Option<FoundSpec> {
        find_spec(&self.data, name)
    }
}

/// The first kernel spec with this name in the given data folders.
pub(crate) fn find_spec(data: &[PathBuf], name: &str) -> Option<FoundSpec> {
    find_specs(data, name).into_iter().next()
}

/// All kernel specs with this name in the given data folders; Jupyter uses the first.
pub(crate) fn find_specs(data: &[PathBuf], name: &str) -> Vec<FoundSpec> {
    let mut found: Vec<FoundSpec> = Vec::new();
    let mut seen = Vec::new();
    for folder in data.iter().map(|folder| folder.join("kernels").join(name)) {
        // A link to a kernel spec is the same kernel.
        let target = folder.canonicalize().unwrap_or_else(|_| folder.clone());
        if folder.join("kernel.json").is_file() && !seen.contains(&target) {
            seen.push(target);
            found.push(FoundSpec { program: spec_program(&folder), folder });
        }
    }
    found
}

/// The program of a kernel spec, as an absolute path where that is possible.
fn spec_program(folder: &Path) -> Option<PathBuf> {
    let text = graft_spec::user_file::read_text(
        &folder.join("kernel.json"),
        graft_spec::user_file::MOST_TEXT,
    )
    .ok()?;
    let spec: Spec = serde_json::from_str(&text).ok()?;
    let program = spec.argv.into_iter().next()?;
    // Jupyter replaces it, and the kernel spec of a wheel uses it.
    let program = program.replace("{resource_dir}", &folder.to_string_lossy());
    match program.contains('/') {
        true => Some(PathBuf::from(&program).canonicalize().unwrap_or(PathBuf::from(program))),
        false => Some(on_path(&program).into_iter().next().unwrap_or(PathBuf::from(program))),
    }
}

/// The data folders of Jupyter as far as they can be determined without it.
pub(crate) fn default_data_dirs() -> Vec<PathBuf> {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    let listed = variable("JUPYTER_PATH")
        .map(|paths| std::env::split_paths(&paths).collect::<Vec<_>>())
        .unwrap_or_default();
    let user = variable("JUPYTER_DATA_DIR")
        .map(PathBuf::from)
        .or_else(|| crate::install::spec_dir::data_home().map(|home| home.join("jupyter")));
    let environments = ["VIRTUAL_ENV", "CONDA_PREFIX"].into_iter().filter_map(variable);
    let environments = environments.map(|folder| PathBuf::from(folder).join("share/jupyter"));
    let system = [SYSTEM_DATA_DIR, "/usr/share/jupyter"].map(PathBuf::from);
    let all = listed.into_iter().chain(environments).chain(user).chain(own_data_dir());
    all.chain(system).collect()
}

/// The data folder of the prefix that contains this program: `share/jupyter` next to `bin`.
pub(crate) fn own_data_dir() -> Option<PathBuf> {
    let prefix = std::env::current_exe().ok()?.parent()?.parent()?.to_owned();
    Some(prefix.join("share/jupyter"))
}

/// A program in the folder of this one.
pub(crate) fn own_program(name: &str) -> Option<PathBuf> {
    let program = std::env::current_exe().ok()?.parent()?.join(name);
    is_executable(&program).then_some(program)
}

/// The programs with this name on PATH, in order.
pub(crate) fn on_path(name: &str) -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    distinct(programs_in(&path, name))
}

/// Removes the programs whose folder was named before, also through a link: `/bin` is often a link
/// to `/usr/bin`. Links in the place of a program stay, because a Python environment is one.
pub(crate) fn distinct(mut programs: Vec<PathBuf>) -> Vec<PathBuf> {
    let mut seen = Vec::new();
    programs.retain(|program| {
        let folder = program.parent().and_then(|folder| folder.canonicalize().ok());
        let place = (folder, program.file_name().map(OsStr::to_owned));
        let is_new = !seen.contains(&place);
        seen.push(place);
        is_new
    });
    programs
}

fn programs_in(path: &OsStr, name: &str) -> Vec<PathBuf> {
    let folders = std::env::split_paths(path).filter(|folder| folder.is_absolute());
    folders.map(|folder| folder.join(name)).filter(|program| is_executable(program)).collect()
}

/// Whether the path is a file that can be started.
pub(crate) fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}

/// The shell command that adds a data folder to those in which Jupyter searches.
pub(crate) fn export_line(data: &Path) -> String {
    let quoted = shell_word(data);
    match std::env::var_os("JUPYTER_PATH").is_some_and(|value| !value.is_empty()) {
        true => format!("export JUPYTER_PATH={quoted}:$JUPYTER_PATH"),
        false => format!("export JUPYTER_PATH={quoted}"),
    }
}

/// A path as one word of a shell command.
pub(crate) fn shell_word(path: &Path) -> String {
    let text = path.to_string_lossy();
    shlex::try_quote(&text).map_or_else(|_| text.to_string(), |quoted| quoted.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder with an executable script called `jupyter`.
    fn with_script(text: &str) -> tempfile::TempDir {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("jupyter");
        std::fs::write(&program, text).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        folder
    }

    #[test]
    fn only_executable_files_of_absolute_folders_are_programs() {
        let folder = with_script("#!/bin/sh\n");
        std::fs::write(folder.path().join("plain"), "").unwrap();
        let path = std::env::join_paths([Path::new("."), folder.path()]).unwrap();
        assert_eq!(programs_in(&path, "jupyter"), [folder.path().join("jupyter")]);
        assert_eq!(programs_in(&path, "plain"), Vec::<PathBuf>::new());
    }

    #[test]
    fn a_program_in_a_linked_folder_is_listed_once_and_a_link_to_a_program_stays() {
        let folder = with_script("#!/bin/sh\n");
        let program = folder.path().join("jupyter");
        let (linked, environment) = (folder.path().join("linked"), folder.path().join("python"));
        std::os::unix::fs::symlink(folder.path(), &linked).unwrap();
        std::os::unix::fs::symlink(&program, &environment).unwrap();
        let all = vec![program.clone(), linked.join("jupyter"), environment.clone()];
        assert_eq!(distinct(all), [program, environment]);
    }

    #[test]
    fn a_program_that_is_not_jupyter_is_ignored() {
        for script in ["#!/bin/sh\necho Jupyter\n", "#!/bin/sh\nexit 1\n", "not a script"] {
            let folder = with_script(script);
            assert_eq!(Jupyter::at(folder.path().join("jupyter")), None, "{script}");
        }
    }

    #[test]
    fn the_first_kernel_spec_in_jupyters_folders_is_found_with_its_program() {
        let data = tempfile::tempdir().unwrap();
        let (first, second) = (data.path().join("first"), data.path().join("second"));
        for (folder, json) in
            [(&first, "{"), (&second, r#"{"argv": ["/opt/bin/graft", "kernel"]}"#)]
        {
            std::fs::create_dir_all(folder.join("kernels/graft")).unwrap();
            std::fs::write(folder.join("kernels/graft/kernel.json"), json).unwrap();
        }
        let found = find_spec(&[second.clone(), first.clone()], "graft").unwrap();
        assert_eq!(found.folder, second.join("kernels/graft"));
        assert_eq!(found.program, Some(PathBuf::from("/opt/bin/graft")));
        let damaged = find_spec(&[first, second], "graft").unwrap();
        assert_eq!(damaged.program, None);
        assert_eq!(find_spec(&[data.path().join("none")], "graft"), None);
    }

    #[test]
    fn a_program_relative_to_the_kernel_spec_is_resolved_as_jupyter_does() {
        let prefix = tempfile::tempdir().unwrap();
        let folder = prefix.path().join("share/jupyter/kernels/graft");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::create_dir(prefix.path().join("bin")).unwrap();
        std::fs::write(prefix.path().join("bin/graft"), "").unwrap();
        let json = r#"{"argv": ["{resource_dir}/../../../../bin/graft"]}"#;
        std::fs::write(folder.join("kernel.json"), json).unwrap();
        let found = find_spec(&[prefix.path().join("share/jupyter")], "graft").unwrap();
        assert_eq!(found.program, Some(prefix.path().canonicalize().unwrap().join("bin/graft")));
    }

    #[test]
    fn a_link_to_a_kernel_spec_is_not_a_second_kernel() {
        let data = tempfile::tempdir().unwrap();
        let (first, second) = (data.path().join("first"), data.path().join("second"));
        std::fs::create_dir_all(first.join("kernels/graft")).unwrap();
        std::fs::write(first.join("kernels/graft/kernel.json"), "{}").unwrap();
        std::os::unix::fs::symlink(&first, &second).unwrap();
        assert_eq!(find_specs(&[first, second], "graft").len(), 1);
    }

    #[test]
    fn a_folder_with_a_space_is_quoted_for_the_shell() {
        assert!(export_line(Path::new("/opt/my graft")).contains("'/opt/my graft'"));
    }
}
