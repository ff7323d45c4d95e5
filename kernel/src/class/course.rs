//! `graft class init`: writes a course with a sample assignment. Existing files are never replaced.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use graft_spec::Hint;

/// The files of a course: the path in its folder, and the text with `@COURSE@` for the name of the
/// course and `@KERNEL@` for the name of the kernel.
const FILES: [(&str, &str); 3] = [
    ("README.md", include_str!("course/README.md")),
    ("nbgrader_config.py", include_str!("course/nbgrader_config.py")),
    ("source/ps1/lora.ipynb", include_str!("course/source/ps1/lora.ipynb")),
];

/// Longest name of a course.
const MAX_NAME: usize = 64;

/// An error of `graft class init`.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CourseError {
    /// A file of the course exists.
    #[error("`{}` exists; nothing was written", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// A name contains other characters than letters, digits, dots, hyphens and underscores.
    #[error("`{name}` cannot be the name of a {of}")]
    Name {
        /// The name.
        name: String,
        /// What it is the name of.
        of: &'static str,
    },
    /// A file or folder cannot be written.
    #[error("cannot write `{}`: {source}", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// The error of the operating system.
        source: std::io::Error,
    },
}

impl Hint for CourseError {
    fn code(&self) -> &'static str {
        match self {
            Self::Exists { .. } => "class::exists",
            Self::Name { .. } => "class::name",
            Self::File { .. } => "class::file",
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Exists { .. } => {
                "choose a new folder: `graft class init DIR`; existing files are never replaced"
                    .to_owned()
            }
            Self::Name { of: "course", .. } => "use letters, digits, dots, hyphens and underscores: `graft class init DIR --course peft-2026`".to_owned(),
            Self::Name { .. } => {
                "`jupyter kernelspec list` shows the names of the kernels".to_owned()
            }
            Self::File { path, .. } => format!(
                "choose a folder that you can write to, or free disk space; `ls -ld {}` shows its owner",
                path.parent().unwrap_or(path).display()
            ),
        })
    }
}

/// A course that was written.
#[derive(Debug)]
pub(crate) struct Course {
    folder: PathBuf,
    name: String,
}

/// Writes the files of a course. If one cannot be written, those before it are removed.
///
/// # Errors
/// [`CourseError::Exists`] if a file of the course exists; [`CourseError::Name`],
/// [`CourseError::File`].
pub(crate) fn create(
    folder: &Path,
    name: Option<&str>,
    kernel: &str,
) -> Result<Course, CourseError> {
    let name = match name {
        Some(name) => valid(name, "course")?.to_owned(),
        None => name_of(folder),
    };
    let kernel = valid(kernel, "kernel")?;
    if let Some(path) = FILES.iter().map(|(path, _)| folder.join(path)).find(|it| exists(it)) {
        return Err(CourseError::Exists { path });
    }
    let mut written = Written::default();
    for (path, text) in FILES {
        let text = text.replace("@COURSE@", &name).replace("@KERNEL@", kernel);
        written.add(&folder.join(path), &text)?;
    }
    written.keep();
    Ok(Course { folder: folder.to_owned(), name })
}

impl Course {
    /// What was written, and the commands to type next.
    pub(crate) fn report(&self) -> String {
        let folder = self.folder.display().to_string();
        let quoted = shlex::try_quote(&folder).map_or_else(|_| folder.clone(), Into::into);
        let files: String = FILES.map(|(path, _)| format!("  {path}\n")).concat();
        format!(
            "created the course `{}` in {folder}\n{files}\n\
             Next, with nbgrader installed (`pip install nbgrader`):\n  \
             cd {quoted}\n  \
             nbgrader generate_assignment ps1   # release/ps1, for the students\n  \
             nbgrader autograde ps1             # grades submitted/STUDENT/ps1/lora.ipynb\n  \
             nbgrader generate_feedback ps1     # feedback/STUDENT/ps1/lora.html\n  \
             nbgrader export                    # grades.csv\n",
            self.name
        )
    }
}

/// A name for Python, JSON and Markdown without quoting.
fn valid<'a>(name: &'a str, of: &'static str) -> Result<&'a str, CourseError> {
    let is_valid = name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name.len() <= MAX_NAME
        && name.chars().all(|next| next.is_ascii_alphanumeric() || "._-".contains(next));
    if is_valid { Ok(name) } else { Err(CourseError::Name { name: name.to_owned(), of }) }
}

/// The name of a folder as the name of a course; other characters become hyphens.
fn name_of(folder: &Path) -> String {
    let absolute = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    let name = absolute.file_name().map(|name| name.to_string_lossy().into_owned());
    let kept =
        |next: char| if next.is_ascii_alphanumeric() || "._".contains(next) { next } else { '-' };
    let name: String = name.unwrap_or_default().chars().map(kept).take(MAX_NAME).collect();
    let name = name.trim_matches(['-', '.', '_']);
    if name.is_empty() { "course".to_owned() } else { name.to_owned() }
}

/// Whether a path exists, also as a broken link.
fn exists(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

/// Files and folders that were created; dropping it removes them.
#[derive(Default)]
struct Written {
    files: Vec<PathBuf>,
    /// The outermost first.
    folders: Vec<PathBuf>,
}

impl Written {
    /// Writes a file that does not exist, and the folders above it.
    fn add(&mut self, path: &Path, text: &str) -> Result<(), CourseError> {
        let failed = |source| CourseError::File { path: path.to_owned(), source };
        let folder = path.parent().filter(|it| !it.as_os_str().is_empty());
        let folder = folder.unwrap_or_else(|| Path::new("."));
        self.create_folders(folder)?;
        let mut file = tempfile::Builder::new()
            .prefix(".graft-class-")
            .permissions(std::fs::Permissions::from_mode(0o666))
            .tempfile_in(folder)
            .map_err(failed)?;
        file.write_all(text.as_bytes()).and_then(|()| file.as_file().sync_all()).map_err(failed)?;
        // A file that appeared meanwhile is not replaced either.
        file.persist_noclobber(path).map_err(|error| match error.error.kind() {
            std::io::ErrorKind::AlreadyExists => CourseError::Exists { path: path.to_owned() },
            _ => failed(error.error),
        })?;
        self.files.push(path.to_owned());
        Ok(())
    }

    fn create_folders(&mut self, folder: &Path) -> Result<(), CourseError> {
        let missing: Vec<&Path> =
            folder.ancestors().take_while(|it| !it.as_os_str().is_empty() && !exists(it)).collect();
        for path in missing.into_iter().rev() {
            std::fs::create_dir(path)
                .map_err(|source| CourseError::File { path: path.to_owned(), source })?;
            self.folders.push(path.to_owned());
        }
        Ok(())
    }

    fn keep(mut self) {
        self.files.clear();
        self.folders.clear();
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        self.files.iter().for_each(|file| drop(std::fs::remove_file(file)));
        // A folder that others have used meanwhile is not empty and stays.
        self.folders.iter().rev().for_each(|folder| drop(std::fs::remove_dir(folder)));
    }
}

#[cfg(test)]
mod tests;
