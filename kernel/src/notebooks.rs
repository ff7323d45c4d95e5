//! `graft notebooks [DIR]`: copies the tutorials into a folder of the user.
//!
//! A file that the user has changed is never overwritten. The folder contains a list of the files
//! with their hashes, so that files of an older version, which the user has not changed, are
//! replaced.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use graft_spec::{Failure, Hint, user_file};
use graft_tutorials::TutorialFile;
use serde::{Deserialize, Serialize};

use crate::cli::NotebooksArgs;

/// The folder that is used if the user names none.
pub(crate) const DEFAULT_FOLDER: &str = "graft-notebooks";
/// The list of copied files.
const LIST: &str = ".graft-notebooks.json";
/// Maximum size of the list in bytes.
const MAX_LIST_BYTES: u64 = 1 << 20;

/// Why the tutorials could not be copied.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum NotebooksError {
    /// The target is a file.
    #[error("`{}` is not a folder", folder.display())]
    NotAFolder {
        /// The target.
        folder: PathBuf,
    },
    /// A file or folder could not be written.
    #[error("cannot write `{}`", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// The tutorials in the program cannot be unpacked.
    #[error("the tutorials in this program are damaged")]
    Damaged(#[source] std::io::Error),
}

impl Hint for NotebooksError {
    fn code(&self) -> &'static str {
        match self {
            Self::NotAFolder { .. } => "notebooks::not_a_folder",
            Self::Write { .. } => "notebooks::write",
            Self::Damaged(_) => "notebooks::damaged",
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NotAFolder { .. } => "name a folder: `graft notebooks DIR`".to_owned(),
            Self::Write { source, .. } if source.kind() == std::io::ErrorKind::StorageFull => {
                "free disk space and run the command again; it continues with the missing files"
                    .to_owned()
            }
            Self::Write { .. } => {
                "choose a folder that you can write: `graft notebooks DIR`".to_owned()
            }
            Self::Damaged(_) => "install Graft again".to_owned(),
        })
    }
}

/// The files that were copied into a folder.
#[derive(Default, Serialize, Deserialize)]
struct List {
    /// SHA-256 of each file as it was copied.
    files: BTreeMap<String, String>,
}

/// What was done with the files.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Copied {
    /// Number of new files.
    new: usize,
    /// Number of files of another version that were replaced.
    replaced: usize,
    /// Number of files that were identical.
    unchanged: usize,
    /// The files that the user has changed.
    kept: Vec<&'static str>,
}

/// Copies the tutorials and reports what was done.
///
/// # Errors
/// The failure to print. Files copied before the failure stay.
pub(crate) fn run(args: &NotebooksArgs) -> Result<(), Failure> {
    let folder = args.folder.clone().unwrap_or_else(|| PathBuf::from(DEFAULT_FOLDER));
    let copied = copy(&folder)?;
    println!("{}", report(&copied, &folder));
    println!("\nNext: {}", lab_command(&folder));
    Ok(())
}

/// Copies the tutorials into a folder, which is created if it is missing.
///
/// # Errors
/// [`NotebooksError`]. Files copied before the error stay.
pub(crate) fn copy(folder: &Path) -> Result<Copied, NotebooksError> {
    if folder.exists() && !folder.is_dir() {
        return Err(NotebooksError::NotAFolder { folder: folder.to_owned() });
    }
    let files = graft_tutorials::files().map_err(NotebooksError::Damaged)?;
    create_folder(folder)?;
    let mut list = read_list(folder);
    let mut copied = Copied::default();
    let mut result = Ok(());
    for file in &files {
        result = copy_file(file, folder, &mut list, &mut copied);
        if result.is_err() {
            break;
        }
    }
    // Written after a failure too, so that the next call recognizes the files that were copied.
    if copied.new + copied.replaced > 0 {
        let list = serde_json::to_vec_pretty(&list).unwrap_or_default();
        let written = write(&folder.join(LIST), &list);
        result = result.and(written);
    }
    result.map(|()| copied)
}

/// Copies one file unless the user has changed it.
fn copy_file(
    file: &TutorialFile,
    folder: &Path,
    list: &mut List,
    copied: &mut Copied,
) -> Result<(), NotebooksError> {
    let path = folder.join(file.name);
    let new_hash = hash(&file.content);
    match present(&path) {
        Present::Missing => {
            create_folder(path.parent().unwrap_or(folder))?;
            write(&path, &file.content)?;
            copied.new += 1;
        }
        Present::File(found) if found == new_hash => copied.unchanged += 1,
        Present::File(found) if list.files.get(file.name) == Some(&found) => {
            write(&path, &file.content)?;
            copied.replaced += 1;
        }
        Present::File(_) | Present::Other => {
            copied.kept.push(file.name);
            return Ok(());
        }
    }
    list.files.insert(file.name.to_owned(), new_hash);
    Ok(())
}

/// What is in the place of a file.
enum Present {
    /// Nothing.
    Missing,
    /// A file with this hash.
    File(String),
    /// A folder, a link, or a file that cannot be read.
    Other,
}

fn present(path: &Path) -> Present {
    match path.symlink_metadata() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Present::Missing,
        Ok(data) if data.is_file() => match user_file::read_text(path, user_file::MOST_TEXT) {
            Ok(text) => Present::File(hash(text.as_bytes())),
            Err(_) => Present::Other,
        },
        _ => Present::Other,
    }
}

fn hash(content: &[u8]) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, content);
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Reads the list. A missing or damaged list only means that more files count as changed.
fn read_list(folder: &Path) -> List {
    user_file::read_text(&folder.join(LIST), MAX_LIST_BYTES)
        .ok()
        .and_then(|text| serde_json::from_str(&text).ok())
        .unwrap_or_default()
}

fn create_folder(folder: &Path) -> Result<(), NotebooksError> {
    std::fs::create_dir_all(folder)
        .map_err(|source| NotebooksError::Write { path: folder.to_owned(), source })
}

/// Writes a file to a temporary file and renames it.
fn write(path: &Path, content: &[u8]) -> Result<(), NotebooksError> {
    use std::os::unix::fs::PermissionsExt;
    let failed = |source| NotebooksError::Write { path: path.to_owned(), source };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let mut file = tempfile::Builder::new()
        .prefix(".graft-")
        // As restricted by the umask of the user.
        .permissions(std::fs::Permissions::from_mode(0o666))
        .tempfile_in(folder.unwrap_or(Path::new(".")))
        .map_err(failed)?;
    file.write_all(content).map_err(failed)?;
    file.persist(path).map(drop).map_err(|error| failed(error.error))
}

/// The report: counts, and the kept files with what to do.
pub(crate) fn report(copied: &Copied, folder: &Path) -> String {
    let plural = |count: usize| if count == 1 { "file" } else { "files" };
    let shown = folder.display();
    let mut text = match (copied.new, copied.replaced) {
        (0, 0) if copied.kept.is_empty() => format!("`{shown}` is up to date"),
        (0, 0) => format!("copied no file into `{shown}`"),
        (new, 0) => format!("copied {new} {} into `{shown}`", plural(new)),
        (0, old) => format!("replaced {old} {} of an older version in `{shown}`", plural(old)),
        (new, old) => {
            format!("copied {new} {} into `{shown}` and replaced {old} older", plural(new))
        }
    };
    for name in &copied.kept {
        text.push_str(&format!("\nkept {name}, because you have changed it"));
    }
    if let Some(name) = copied.kept.first() {
        let path = crate::jupyter::shell_word(&folder.join(name));
        text.push_str(&format!(
            "\nto get an original again, rename your file and repeat the command: mv {path} {path}.mine"
        ));
    }
    text
}

/// The command that opens the tutorials.
fn lab_command(folder: &Path) -> String {
    match folder == Path::new(DEFAULT_FOLDER) {
        true => "graft lab".to_owned(),
        false => format!("graft lab {}", crate::jupyter::shell_word(folder)),
    }
}

#[cfg(test)]
mod tests;
