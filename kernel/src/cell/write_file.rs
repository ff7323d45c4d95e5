//! `%%writefile`: writes text to a file, atomically.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::error::KernelError;

/// Writes or appends text to a file; returns a message with the path and the size.
///
/// The text is written to a temporary file that is renamed, so that readers see either the old or
/// the new text. Symbolic links and the permissions of an existing file are preserved.
pub(super) fn write_file(path: &Path, text: &str, append: bool) -> Result<String, KernelError> {
    let failed = |error| KernelError::WriteFile { path: path.to_owned(), error };
    // The target of a symbolic link is replaced, not the link.
    let target = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let old = match std::fs::metadata(&target) {
        Ok(data) if !data.is_file() => {
            return Err(failed(std::io::Error::other("not a regular file")));
        }
        Ok(data) => Some(data.permissions()),
        Err(_) => None,
    };
    let mut content =
        if append && old.is_some() { std::fs::read(&target).map_err(failed)? } else { Vec::new() };
    let ended =
        if text.is_empty() || text.ends_with('\n') { text.to_owned() } else { format!("{text}\n") };
    content.extend_from_slice(ended.as_bytes());
    let folder = target
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .map_or_else(|| PathBuf::from("."), Path::to_owned);
    let mut file = tempfile::Builder::new()
        .prefix(".writefile-")
        .permissions(std::fs::Permissions::from_mode(0o666))
        .tempfile_in(&folder)
        .map_err(failed)?;
    file.write_all(&content).map_err(failed)?;
    if let Some(permissions) = &old {
        std::fs::set_permissions(file.path(), permissions.clone()).map_err(failed)?;
    }
    file.persist(&target).map_err(|error| failed(error.error))?;
    let action = match (append, old.is_some()) {
        (true, true) => "appended to",
        (false, true) => "overwrote",
        (_, false) => "wrote",
    };
    Ok(format!("{action} `{}` ({} bytes)", path.display(), ended.len()))
}

#[cfg(test)]
mod tests {
    use graft_spec::Failure;

    use super::*;

    #[test]
    fn a_file_is_replaced_or_appended_to_atomically() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a b.txt");
        assert_eq!(
            write_file(&file, "one\n", false).unwrap(),
            format!("wrote `{}` (4 bytes)", file.display())
        );
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(write_file(&file, "zwei é", true).unwrap().starts_with("appended to"));
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "one\nzwei é\n");
        assert!(write_file(&file, "", false).unwrap().contains("(0 bytes)"));
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o640);
        assert_eq!(
            std::fs::read_dir(folder.path()).unwrap().count(),
            1,
            "no temporary file remains"
        );
    }

    #[test]
    fn a_symbolic_link_is_preserved_and_errors_name_the_path() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        std::fs::write(&file, "old").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        write_file(&link, "new", false).unwrap();
        assert!(link.is_symlink());
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "new\n");
        for bad in [folder.path().to_owned(), folder.path().join("none/file")] {
            let failure = Failure::from(write_file(&bad, "x", false).unwrap_err());
            assert!(
                failure.message.contains(&bad.display().to_string()) && failure.hint.is_some(),
                "{failure}"
            );
        }
    }
}
