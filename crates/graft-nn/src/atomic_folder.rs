//! Folders that are replaced as a whole: filled beside their place, then put there in one step.
#![allow(unsafe_code)]

use std::{
    ffi::CString,
    fs, io,
    os::unix::{ffi::OsStrExt, fs::MetadataExt},
    path::{Path, PathBuf},
};

/// Which files of a folder are written together.
pub struct Together<'a> {
    /// Whether a file or folder of that name belongs to them: what `fill` does not write of them goes when the folder is replaced, and everything else stays.
    pub owns: &'a dyn Fn(&str) -> bool,
    /// The file without which a reader refuses the folder. Where the system cannot put a whole folder in its place, this file goes first and comes last.
    pub last: &'a str,
}

/// Fills a folder, made if missing, so that a reader sees the files from before or the new ones, never some of both.
///
/// `fill` gets a folder of its own, which then takes the place of `folder`. What earlier calls left behind that were killed is swept.
///
/// # Errors
/// Those of `fill` and, as [`io::Error`], of the file system; the folder is then as it was.
pub fn replace<E: From<io::Error>>(folder: &Path, together: &Together<'_>, fill: impl FnOnce(&Path) -> Result<(), E>) -> Result<(), E> {
    let target = place(folder)?;
    sweep(&target, together);
    let beside = beside(&target)?;
    let result = fill(&beside).and_then(|()| Ok(put(&beside, &target, together)?));
    if result.is_err() {
        // The error that matters is the first one.
        let _ = fs::remove_dir_all(&beside);
    }
    result
}

/// The folder without links; its parent is made.
fn place(folder: &Path) -> io::Result<PathBuf> {
    if folder.is_dir() {
        return folder.canonicalize();
    }
    let name = folder.file_name().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the folder has no name"))?;
    let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(parent)?;
    Ok(parent.canonicalize()?.join(name))
}

/// A new folder on the same file system: beside the target, or in it where that is the root of a file system or its parent cannot be written.
fn beside(target: &Path) -> io::Result<PathBuf> {
    let name = part_name(target, std::process::id());
    let (sibling, inside) = (target.with_file_name(&name), target.join(&name));
    let parent = target.parent().unwrap_or(target);
    let is_root = target.is_dir() && (target == parent || fs::metadata(target)?.dev() != fs::metadata(parent)?.dev());
    let chosen = match fs::create_dir_all(if is_root { &inside } else { &sibling }) {
        Err(_) if target.is_dir() && !is_root => fs::create_dir_all(&inside).map(|()| inside),
        made => made.map(|()| if is_root { inside } else { sibling }),
    };
    chosen
}

fn part_name(target: &Path, process: u32) -> String {
    format!(".{}.{process}.part", target.file_name().unwrap_or_default().to_string_lossy())
}

/// Puts the filled folder in its place.
fn put(beside: &Path, target: &Path, together: &Together<'_>) -> io::Result<()> {
    if !target.exists() {
        return fs::rename(beside, target);
    }
    if beside.parent() != Some(target) && exchange(beside, target).is_ok() {
        // What was there before is now beside.
        if give_back(beside, target, together) {
            let _ = fs::remove_dir_all(beside);
        }
        return Ok(());
    }
    one_by_one(beside, target, together)
}

/// Moves what does not belong to the files that were replaced back to their folder; whether all of it is there.
fn give_back(from: &Path, target: &Path, together: &Together<'_>) -> bool {
    let stays = |name: &str| !(together.owns)(name) && !name.ends_with(".part") && !target.join(name).exists();
    let moved: Vec<_> = entries(from).into_iter().filter(|(name, _)| stays(name)).map(|(name, path)| fs::rename(path, target.join(name))).collect();
    moved.iter().all(Result::is_ok)
}

/// The next best: without its `last` file the folder is not read until all others are there.
fn one_by_one(beside: &Path, target: &Path, together: &Together<'_>) -> io::Result<()> {
    let gone = |path: &Path| match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    };
    gone(&target.join(together.last))?;
    let new = entries(beside);
    for (name, path) in entries(target) {
        let stays = new.iter().any(|(written, _)| *written == name) || !(together.owns)(&name);
        match stays {
            true => {}
            false if path.is_dir() => fs::remove_dir_all(path)?,
            false => gone(&path)?,
        }
    }
    let ordered = new.iter().filter(|(name, _)| name != together.last).chain(new.iter().filter(|(name, _)| name == together.last));
    for (name, path) in ordered {
        let to = target.join(name);
        if to.is_dir() {
            fs::remove_dir_all(&to)?;
        }
        fs::rename(path, to)?;
    }
    fs::remove_dir_all(beside)
}

/// Removes what killed calls left: the folders of processes that are no more.
fn sweep(target: &Path, together: &Together<'_>) {
    let name = format!(".{}.", target.file_name().unwrap_or_default().to_string_lossy());
    let parent = target.parent().unwrap_or(target);
    for (found, path) in entries(parent).into_iter().chain(entries(target)) {
        let process = found.strip_prefix(&name).and_then(|rest| rest.strip_suffix(".part")).and_then(|process| process.parse::<u32>().ok());
        let is_left = process.is_some_and(|process| process == std::process::id() || !Path::new(&format!("/proc/{process}")).exists());
        if is_left && path.is_dir() && (!target.is_dir() || give_back(&path, target, together)) {
            let _ = fs::remove_dir_all(&path);
        }
    }
}

fn entries(folder: &Path) -> Vec<(String, PathBuf)> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut entries: Vec<_> = entries.map(|entry| (entry.file_name().to_string_lossy().into_owned(), entry.path())).collect();
    entries.sort();
    entries
}

/// Lets two paths change places in one step.
#[cfg(target_os = "linux")]
fn exchange(one: &Path, other: &Path) -> io::Result<()> {
    let path = |path: &Path| CString::new(path.as_os_str().as_bytes()).map_err(io::Error::from);
    let (one, other) = (path(one)?, path(other)?);
    // SAFETY: both are strings that end with a zero and live until the call returns; it reads nothing else.
    let answer = unsafe { libc::syscall(libc::SYS_renameat2, libc::AT_FDCWD, one.as_ptr(), libc::AT_FDCWD, other.as_ptr(), libc::RENAME_EXCHANGE) };
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(not(target_os = "linux"))]
fn exchange(_one: &Path, _other: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owns(name: &str) -> bool {
        matches!(name, "config" | "weights" | "template" | "more")
    }

    const MODEL: Together<'static> = Together { owns: &owns, last: "config" };

    fn write(folder: &Path, files: &[(&str, &str)]) {
        fs::create_dir_all(folder).unwrap();
        files.iter().for_each(|(name, text)| fs::write(folder.join(name), text).unwrap());
    }

    fn read(folder: &Path) -> Vec<(String, String)> {
        entries(folder).into_iter().filter(|(_, path)| path.is_file()).map(|(name, path)| (name, fs::read_to_string(path).unwrap())).collect()
    }

    fn pairs(files: &[(&str, &str)]) -> Vec<(String, String)> {
        files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
    }

    #[test]
    fn old_files_of_the_set_go_and_those_of_the_user_stay() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("model");
        write(&target, &[("config", "old"), ("weights", "old"), ("template", "old"), ("notes", "mine")]);
        fs::create_dir(target.join("adapters")).unwrap();
        replace::<io::Error>(&target, &MODEL, |part| {
            write(part, &[("config", "new"), ("weights", "new")]);
            Ok(())
        })
        .unwrap();
        assert_eq!(read(&target), pairs(&[("config", "new"), ("notes", "mine"), ("weights", "new")]));
        assert!(target.join("adapters").is_dir());
        assert_eq!(entries(folder.path()).len(), 1);
    }

    #[test]
    fn a_failed_fill_leaves_everything_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("model");
        let fail = |part: &Path| {
            write(part, &[("weights", "half")]);
            Err(io::Error::new(io::ErrorKind::StorageFull, "disk full"))
        };
        assert!(replace(&target, &MODEL, fail).is_err());
        assert_eq!(entries(folder.path()), []);
        write(&target, &[("config", "old"), ("weights", "old")]);
        assert!(replace(&target, &MODEL, fail).is_err());
        assert_eq!(read(&target), pairs(&[("config", "old"), ("weights", "old")]));
        assert_eq!(entries(folder.path()).len(), 1);
    }

    #[test]
    fn what_a_killed_save_left_is_swept_and_the_users_files_in_it_come_back() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("model");
        write(&target, &[("config", "new"), ("weights", "new")]);
        // Killed after the exchange: the old set and the user's file are beside.
        let left = folder.path().join(".model.4294967294.part");
        write(&left, &[("config", "old"), ("weights", "old"), ("notes", "mine")]);
        replace::<io::Error>(&target, &MODEL, |part| {
            write(part, &[("config", "newest")]);
            Ok(())
        })
        .unwrap();
        assert_eq!(read(&target), pairs(&[("config", "newest"), ("notes", "mine")]));
        assert_eq!(entries(folder.path()).len(), 1);
    }

    #[test]
    fn without_an_exchange_the_last_file_goes_first_and_comes_last() {
        let folder = tempfile::tempdir().unwrap();
        let (target, part) = (folder.path().join("model"), folder.path().join("part"));
        write(&target, &[("config", "old"), ("weights", "old"), ("template", "old"), ("notes", "mine")]);
        write(&part, &[("config", "new"), ("weights", "new"), ("more", "new")]);
        one_by_one(&part, &target, &MODEL).unwrap();
        assert_eq!(read(&target), pairs(&[("config", "new"), ("more", "new"), ("notes", "mine"), ("weights", "new")]));
        assert!(!part.exists());
    }

    #[test]
    fn a_link_to_a_folder_stays_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let (target, link) = (folder.path().join("model"), folder.path().join("link"));
        write(&target, &[("config", "old")]);
        std::os::unix::fs::symlink(&target, &link).unwrap();
        let fill = |part: &Path| {
            write(part, &[("config", "new")]);
            Ok::<_, io::Error>(())
        };
        replace(&link, &MODEL, fill).unwrap();
        assert!(link.is_symlink());
        assert_eq!(read(&target), pairs(&[("config", "new")]));
    }
}
