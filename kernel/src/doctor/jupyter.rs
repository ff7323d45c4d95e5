//! The checks that concern Jupyter: which one is used, where it searches for kernels, and which
//! program the kernel `graft` starts.

use std::path::{Path, PathBuf};

use super::{Finding, fail, note, ok};
use crate::install::kernelspec::{Owner, owner, version_of};
use crate::jupyter::{self, FoundSpec, Jupyter, export_line, is_executable};

/// The name of the kernel.
const KERNEL: &str = "graft";

/// Runs the checks.
pub(super) fn findings() -> Vec<Finding> {
    let found = Jupyter::of_user();
    let data = found.as_ref().map_or_else(jupyter::default_data_dirs, |it| it.data.clone());
    let own = jupyter::own_data_dir().and_then(|data| jupyter::find_spec(&[data], KERNEL));
    vec![
        program(found.as_ref()),
        folders(found.as_ref(), &data),
        kernel(&jupyter::find_specs(&data, KERNEL), own),
    ]
}

fn program(found: Option<&Jupyter>) -> Finding {
    match found {
        Some(found) => ok("jupyter", found.program.display().to_string()),
        None => note(
            "jupyter",
            "not on PATH; activate the Python environment that contains it, or install it: python3 -m pip install jupyterlab",
        ),
    }
}

/// The folders in which the kernel may be installed.
fn folders(found: Option<&Jupyter>, data: &[PathBuf]) -> Finding {
    let shown = data.iter().map(|folder| folder.join("kernels").display().to_string());
    let shown = shown.collect::<Vec<_>>().join(", ");
    match found {
        Some(_) => ok("kernel folders", shown),
        None => ok("kernel folders", format!("{shown} (assumed, because there is no Jupyter)")),
    }
}

/// The kernel specs in the folders of Jupyter; `own` is that of this program's prefix.
fn kernel(found: &[FoundSpec], own: Option<FoundSpec>) -> Finding {
    let name = "kernel";
    match (found, own) {
        ([one], _) => spec(name, one),
        ([first, others @ ..], _) => {
            let others: Vec<_> = others.iter().map(shown).collect();
            let text = format!(
                "{} kernels are named `{KERNEL}`: Jupyter starts {} and hides {}; remove those with `pip uninstall graft-kernel` or `graft uninstall`",
                found.len(),
                shown(first),
                others.join(" and ")
            );
            note(name, text)
        }
        ([], Some(own)) => {
            let data = own.folder.ancestors().nth(2).unwrap_or(Path::new("/"));
            let folder = own.folder.display();
            note(
                name,
                format!("{folder} is outside the kernel folders above: {}", export_line(data)),
            )
        }
        ([], None) => {
            note(name, format!("no `{KERNEL}` in the kernel folders above: graft install"))
        }
    }
}

/// The folder of a kernel spec, with the version of Graft if it is known.
fn shown(found: &FoundSpec) -> String {
    let folder = found.folder.display();
    match version_of(&found.folder.join("kernel.json")) {
        Some(version) => format!("{folder} (Graft {version})"),
        None => folder.to_string(),
    }
}

/// Checks the program of a kernel spec.
fn spec(name: &'static str, found: &FoundSpec) -> Finding {
    let folder = found.folder.display();
    if let Owner::Other(display_name) = owner(&found.folder) {
        return note(
            name,
            format!(
                "{folder} belongs to another kernel ({display_name}): graft install --name graft-rust"
            ),
        );
    }
    match &found.program {
        Some(program) if program.is_absolute() && !is_executable(program) => fail(
            name,
            format!("{folder} starts {}, which does not exist: graft install", program.display()),
        ),
        Some(program) => ok(name, format!("{folder}, starts {}", program.display())),
        None => fail(name, format!("{folder}/kernel.json is damaged: graft install")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Status;
    use super::*;

    fn written(folder: &Path, json: &str) -> FoundSpec {
        std::fs::create_dir_all(folder.join("kernels/graft")).unwrap();
        std::fs::write(folder.join("kernels/graft/kernel.json"), json).unwrap();
        jupyter::find_spec(&[folder.to_owned()], KERNEL).unwrap()
    }

    #[test]
    fn a_kernel_in_a_prefix_that_jupyter_does_not_search_is_reported_with_the_line_to_type() {
        let prefix = tempfile::tempdir().unwrap();
        let own = written(prefix.path(), r#"{"argv": ["/bin/sh"]}"#);
        let finding = kernel(&[], Some(own));
        assert!(finding.status == Status::Note, "{}", finding.text);
        assert!(
            finding.text.contains(&format!("export JUPYTER_PATH={}", prefix.path().display())),
            "{}",
            finding.text
        );
    }

    #[test]
    fn a_kernel_whose_program_was_deleted_is_a_failure() {
        let prefix = tempfile::tempdir().unwrap();
        let json = r#"{"argv": ["/no/graft"], "display_name": "Rust (Graft)", "metadata": {"graft": {"version": "0"}}}"#;
        let finding = spec("kernel", &written(prefix.path(), json));
        assert!(finding.status == Status::Fail, "{}", finding.text);
        assert!(finding.text.contains("/no/graft, which does not exist"), "{}", finding.text);
        let present =
            spec("kernel", &written(prefix.path(), &json.replace("/no/graft", "/bin/sh")));
        assert!(present.status == Status::Ok, "{}", present.text);
    }

    #[test]
    fn a_second_kernel_of_the_same_name_is_reported() {
        let prefix = tempfile::tempdir().unwrap();
        let json = r#"{"argv": ["/bin/sh"]}"#;
        let [first, second] = ["first", "second"].map(|it| written(&prefix.path().join(it), json));
        let finding = kernel(&[first, second], None);
        assert!(finding.text.starts_with("2 kernels are named `graft`"), "{}", finding.text);
        assert!(finding.text.contains("second/kernels/graft; remove"), "{}", finding.text);
    }

    #[test]
    fn without_a_kernel_the_searched_folders_are_listed() {
        let data = [PathBuf::from("/a/share/jupyter")];
        assert!(folders(None, &data).text.starts_with("/a/share/jupyter/kernels (assumed"));
        let finding = kernel(&[], None);
        assert!(
            finding.text.contains("no `graft` in the kernel folders above"),
            "{}",
            finding.text
        );
    }
}
