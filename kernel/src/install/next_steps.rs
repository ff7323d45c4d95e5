//! What to do after `graft install`: choose the kernel, or make it visible to Jupyter first.

use std::path::Path;

use crate::cli::InstallArgs;
use crate::jupyter::{Jupyter, SYSTEM_DATA_DIR, export_line, shell_word};

/// The next steps for a kernel spec in `folder`.
pub(super) fn for_kernel(folder: &Path, args: &InstallArgs, jupyter: Option<&Jupyter>) -> String {
    let start = format!(
        "run `jupyter lab` and choose {}, or run `jupyter console --kernel {}`",
        args.display_name, args.name
    );
    let seen = jupyter.and_then(|jupyter| jupyter.spec(&args.name));
    match (jupyter, seen) {
        (Some(_), Some(seen)) if is_same(&seen.folder, folder) => format!("Next: {start}"),
        (Some(jupyter), Some(seen)) => format!(
            "{} uses the kernel `{}` in {} instead of this one. To use this one:\n{}",
            jupyter.program.display(),
            args.name,
            seen.folder.display(),
            visible(folder, args)
        ),
        (Some(jupyter), None) => format!(
            "{} does not search in this prefix. To make the kernel visible:\n{}\nThen {start}",
            jupyter.program.display(),
            visible(folder, args)
        ),
        (None, _) if args.prefix.is_none() => {
            format!("There is no `jupyter` on PATH. With one: {start}")
        }
        (None, _) => format!(
            "There is no `jupyter` on PATH. If yours does not list the kernel:\n{}\nThen {start}",
            visible(folder, args)
        ),
    }
}

/// The commands that make the kernel spec visible, for one shell and for all users.
fn visible(folder: &Path, args: &InstallArgs) -> String {
    let data = folder.ancestors().nth(2).unwrap_or(Path::new("/"));
    let system = Path::new(SYSTEM_DATA_DIR).join("kernels");
    format!(
        "  in this shell    {}\n  \
           for all users    sudo mkdir -p {kernels} && sudo ln -sfn {} {kernels}/{}\n  \
           check            jupyter kernelspec list",
        export_line(data),
        shell_word(folder),
        args.name,
        kernels = system.display(),
    )
}

fn is_same(left: &Path, right: &Path) -> bool {
    match (left.canonicalize(), right.canonicalize()) {
        (Ok(left), Ok(right)) => left == right,
        _ => left == right,
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Subcommand};

    fn args(words: &[&str]) -> InstallArgs {
        let words = ["graft", "install"].iter().chain(words);
        match Cli::try_parse_from(words).unwrap().command {
            Subcommand::Install(args) => args,
            _ => unreachable!(),
        }
    }

    fn jupyter(data: &Path) -> Jupyter {
        Jupyter { program: PathBuf::from("/usr/bin/jupyter"), data: vec![data.to_owned()] }
    }

    #[test]
    fn a_prefix_that_jupyter_does_not_search_is_followed_by_the_commands_that_change_it() {
        let elsewhere = tempfile::tempdir().unwrap();
        let folder = Path::new("/opt/graft/share/jupyter/kernels/graft");
        let text = for_kernel(
            folder,
            &args(&["--prefix", "/opt/graft"]),
            Some(&jupyter(elsewhere.path())),
        );
        assert!(text.starts_with("/usr/bin/jupyter does not search in this prefix"), "{text}");
        assert!(text.contains("export JUPYTER_PATH=/opt/graft/share/jupyter"), "{text}");
        assert!(
            text.contains(
                "sudo ln -sfn /opt/graft/share/jupyter/kernels/graft /usr/local/share/jupyter/kernels/graft"
            ),
            "{text}"
        );
        assert!(text.contains("jupyter kernelspec list"), "{text}");
        let unknown = for_kernel(folder, &args(&["--prefix", "/opt/graft"]), None);
        assert!(unknown.starts_with("There is no `jupyter` on PATH."), "{unknown}");
        assert!(unknown.contains("export JUPYTER_PATH"), "{unknown}");
    }

    #[test]
    fn a_kernel_that_jupyter_finds_can_be_chosen_at_once_unless_another_comes_first() {
        let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for data in [&first, &second] {
            let folder = data.path().join("kernels/graft");
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join("kernel.json"), r#"{"argv": ["graft"]}"#).unwrap();
        }
        let found = Some(jupyter(first.path()));
        let text = for_kernel(&first.path().join("kernels/graft"), &args(&[]), found.as_ref());
        assert!(text.starts_with("Next: run `jupyter lab` and choose Rust (Graft)"), "{text}");
        let text = for_kernel(&second.path().join("kernels/graft"), &args(&[]), found.as_ref());
        assert!(text.contains("instead of this one"), "{text}");
    }
}
