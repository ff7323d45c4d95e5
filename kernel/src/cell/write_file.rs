//! `%%writefile`: a text into a file, which is replaced as a whole.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use graft_spec::Failure;

/// Writes a text into a file, or adds it at its end; says where and how much.
///
/// The file is written beside its place and renamed, so that a reader sees the old text or the new one. A link stays a link, and an old
/// file's permissions are kept.
pub(super) fn write_file(path: &Path, text: &str, append: bool) -> Result<String, Failure> {
    let failed = |error: std::io::Error| {
        Failure::new("file::unwritable", format!("cannot write `{}`: {error}", path.display()))
            .hint("check that the folder exists and that you may write there: `!ls -ld .`")
    };
    // What a link leads to is replaced, not the link.
    let target = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let old = match std::fs::metadata(&target) {
        Ok(data) if !data.is_file() => {
            return Err(failed(std::io::Error::other("it is not a regular file")));
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
    let did = match (append, old.is_some()) {
        (true, true) => "appended to",
        (false, true) => "overwrote",
        (_, false) => "wrote",
    };
    Ok(format!("{did} `{}` ({} bytes)", path.display(), ended.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_or_extended_as_a_whole() {
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
            "nothing is left beside it"
        );
    }

    #[test]
    fn a_link_stays_one_and_what_cannot_be_written_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        std::fs::write(&file, "old").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        write_file(&link, "new", false).unwrap();
        assert!(link.is_symlink());
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "new\n");
        for bad in [folder.path().to_owned(), folder.path().join("none/file")] {
            let failure = write_file(&bad, "x", false).unwrap_err();
            assert!(
                failure.message.contains(&bad.display().to_string()) && failure.hint.is_some(),
                "{failure}"
            );
        }
    }
}
