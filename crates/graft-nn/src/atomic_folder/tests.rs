use std::{
    cell::{Cell, RefCell},
    panic::{AssertUnwindSafe, catch_unwind},
};

use super::*;

thread_local! {
    /// Steps until the writer stops; `None` for never.
    static LEFT: Cell<Option<u32>> = const { Cell::new(None) };
    /// Called at each step, as another program.
    static MEANWHILE: RefCell<Option<Box<dyn Fn()>>> = const { RefCell::new(None) };
}

/// Simulates a killed process, which does not clean up.
pub(super) fn step() {
    MEANWHILE.with_borrow(|meanwhile| meanwhile.iter().for_each(|act| act()));
    match LEFT.get() {
        Some(0) => std::panic::resume_unwind(Box::new("killed")),
        Some(left) => LEFT.set(Some(left - 1)),
        None => {}
    }
}

/// Writes a set of two files that contain `version`. Returns false if it stopped after `steps`
/// steps.
fn save(folder: &Path, version: &str, steps: Option<u32>) -> bool {
    LEFT.set(steps);
    let saved = catch_unwind(AssertUnwindSafe(|| {
        let fill = |staging: &Path| {
            fs::write(staging.join("weights"), version)?;
            step();
            fs::write(staging.join("config"), version)
        };
        write(folder, &|name| name.starts_with("shard"), fill, |error| error).expect("written");
    }));
    LEFT.set(None);
    saved.is_ok()
}

/// The version that a reader with [`locate`] finds. Other readers must find the same version or a
/// missing file.
fn found(folder: &Path) -> (String, String) {
    let read = |name: &str| fs::read_to_string(locate(folder, name)).expect("it is there");
    let plain = |name: &str| fs::read_to_string(folder.join(name)).ok();
    if let (Some(weights), Some(config)) = (plain("weights"), plain("config")) {
        assert_eq!(weights, config, "another program reads a mixture");
    }
    (read("weights"), read("config"))
}

/// Stops a save over an older set at each step, then reads and saves again.
fn stop_everywhere(prepare: impl Fn(&Path)) -> u32 {
    for steps in 0.. {
        let around = tempfile::tempdir().expect("a folder");
        let folder = around.path().join("adapter");
        assert!(save(&folder, "old", None));
        fs::write(folder.join("README.md"), "mine").expect("written");
        fs::write(folder.join("shard-1"), "old").expect("written");
        prepare(&folder);
        let whole = save(&folder, "new", Some(steps));
        let (weights, config) = found(&folder);
        assert!(
            weights == config && ["old", "new"].contains(&weights.as_str()),
            "{weights} {config} after {steps} steps"
        );
        assert!(!whole || (weights == "new" && !folder.join("shard-1").exists()));
        assert!(save(&folder, "newest", None), "the next save after {steps} steps");
        assert_eq!(found(&folder), ("newest".to_owned(), "newest".to_owned()));
        assert_eq!(fs::read_to_string(folder.join("README.md")).expect("it survived"), "mine");
        assert!(!folder.join("shard-1").exists());
        let hidden = |folder: &Path| {
            names(folder)
                .expect("listed")
                .into_iter()
                .filter(|name| name.as_encoded_bytes().starts_with(b"."))
                .count()
        };
        assert!(
            !folder.join(COMMITTED).exists() && hidden(&folder) == 0 && hidden(around.path()) == 0,
            "left behind after {steps} steps"
        );
        if whole {
            return steps;
        }
    }
    unreachable!("invariant: a save has finitely many steps")
}

#[test]
fn a_stop_at_any_step_leaves_the_whole_old_or_the_whole_new_set_where_folders_are_exchanged() {
    assert!(stop_everywhere(|_| {}) >= 5);
}

#[test]
fn a_stop_at_any_step_leaves_the_whole_old_or_the_whole_new_set_where_files_are_moved() {
    let steps = stop_everywhere(|folder| {
        fs::create_dir_all(folder.join("checkpoint-1/deep")).expect("made")
    });
    assert!(steps >= 8, "{steps}");
}

#[test]
fn a_folder_that_is_new_appears_whole_or_not_at_all() {
    for steps in 0..2 {
        let around = tempfile::tempdir().expect("a folder");
        let folder = around.path().join("deep/adapter");
        assert!(!save(&folder, "new", Some(steps)) && !folder.exists());
        assert!(save(&folder, "new", None));
        assert_eq!(found(&folder), ("new".to_owned(), "new".to_owned()));
    }
}

#[test]
fn leftovers_of_dead_processes_are_swept_and_those_of_living_ones_stay() {
    let around = tempfile::tempdir().expect("a folder");
    let folder = around.path().join("adapter");
    assert!(save(&folder, "old", None));
    let dead = u32::MAX;
    let leftovers = [
        folder.join(format!(".saving.{dead}")),
        folder.join(format!("{STAGING}{dead}")),
        around.path().join(format!(".adapter{STAGING}{dead}")),
    ];
    let living = around.path().join(format!(".adapter{STAGING}1"));
    leftovers
        .iter()
        .chain([&living])
        .for_each(|path| fs::create_dir_all(path.join("x")).expect("made"));
    assert!(save(&folder, "new", None));
    assert!(leftovers.iter().all(|path| !path.exists()) && living.exists());
}

#[test]
fn a_failed_write_leaves_only_the_old_files() {
    let around = tempfile::tempdir().expect("a folder");
    let folder = around.path().join("adapter");
    assert!(save(&folder, "old", None));
    let full = |_: &Path| Err(io::Error::new(io::ErrorKind::StorageFull, "disk full"));
    assert_eq!(
        write(&folder, &|_| false, full, |error| error).expect_err("full").kind(),
        io::ErrorKind::StorageFull
    );
    assert_eq!(found(&folder), ("old".to_owned(), "old".to_owned()));
    assert_eq!(names(around.path()).expect("listed"), ["adapter"]);
}

#[test]
fn a_link_to_a_folder_stays_a_link_and_the_mode_stays() {
    use std::os::unix::fs::PermissionsExt;
    let around = tempfile::tempdir().expect("a folder");
    let (folder, link) = (around.path().join("adapter"), around.path().join("link"));
    assert!(save(&folder, "old", None));
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o750)).expect("set");
    std::os::unix::fs::symlink(&folder, &link).expect("linked");
    assert!(save(&link, "new", None));
    assert!(fs::symlink_metadata(&link).expect("there").is_symlink());
    assert_eq!(found(&folder), ("new".to_owned(), "new".to_owned()));
    assert_eq!(fs::metadata(&folder).expect("there").permissions().mode() & 0o777, 0o750);
}

#[test]
fn a_folder_that_replaces_another_is_whole_at_every_step() {
    for steps in 0..3 {
        let around = tempfile::tempdir().expect("a folder");
        let (new, place) =
            (around.path().join(".checkpoint-1.part"), around.path().join("checkpoint-1"));
        for (folder, version) in [(&new, "new"), (&place, "old")] {
            fs::create_dir(folder).expect("made");
            ["adapter", "optimizer"]
                .iter()
                .for_each(|name| fs::write(folder.join(name), version).expect("written"));
        }
        LEFT.set(Some(steps));
        let whole =
            catch_unwind(AssertUnwindSafe(|| replace(&new, &place).expect("replaced"))).is_ok();
        LEFT.set(None);
        let read = |name: &str| fs::read_to_string(place.join(name)).expect("it is there");
        assert!(
            read("adapter") == read("optimizer") && (!whole || read("adapter") == "new"),
            "after {steps} steps"
        );
        assert!(!whole || !new.exists());
    }
}

/// Saves over an older set in which a user file appears after the links were created; `exchanged`
/// is called after the exchange of the folders.
fn save_with_a_late_file(folder: &Path, exchanged: impl Fn() + 'static) -> bool {
    assert!(save(folder, "old", None));
    fs::write(folder.join("README.md"), "mine").expect("written");
    let (place, staging) = (
        folder.to_owned(),
        folder.with_file_name(format!(".adapter{STAGING}{}", std::process::id())),
    );
    MEANWHILE.set(Some(Box::new(move || {
        if fs::read_to_string(staging.join("weights")).is_ok_and(|version| version == "old") {
            exchanged();
        } else if staging.join("README.md").exists() {
            fs::write(place.join("late.txt"), "mine").expect("written");
        }
    })));
    let saved = save(folder, "new", None);
    MEANWHILE.set(None);
    saved
}

#[test]
fn a_file_that_appears_during_a_save_moves_to_the_new_folder() {
    let around = tempfile::tempdir().expect("a folder");
    let folder = around.path().join("adapter");
    assert!(save_with_a_late_file(&folder, || {}));
    assert_eq!(found(&folder), ("new".to_owned(), "new".to_owned()));
    assert_eq!(names(&folder).expect("listed"), ["README.md", "config", "late.txt", "weights"]);
    assert_eq!(names(around.path()).expect("listed"), ["adapter"]);
}

#[test]
fn a_file_that_appears_during_a_save_and_cannot_be_moved_is_not_removed() {
    let around = tempfile::tempdir().expect("a folder");
    let (folder, away) = (around.path().join("adapter"), around.path().join("away"));
    let (from, to) = (folder.clone(), away.clone());
    assert!(
        save_with_a_late_file(&folder, move || drop(fs::rename(&from, &to))),
        "the new files were in place"
    );
    assert_eq!(found(&away), ("new".to_owned(), "new".to_owned()));
    // The next save in this process uses the same staging folder again.
    assert!(save(&folder, "newest", None));
    let late = fs::read_dir(around.path())
        .expect("listed")
        .filter(|entry| entry.as_ref().is_ok_and(|entry| entry.path().join("late.txt").exists()));
    assert_eq!(late.count(), 1);
}

#[test]
fn a_users_file_whose_name_is_not_utf_8_stays() {
    use std::os::unix::ffi::OsStringExt;
    let name = OsString::from_vec(b"caf\xe9".to_vec());
    for has_subfolder in [false, true] {
        let around = tempfile::tempdir().expect("a folder");
        let folder = around.path().join("adapter");
        assert!(save(&folder, "old", None));
        fs::write(folder.join(&name), "mine").expect("written");
        if has_subfolder {
            fs::create_dir(folder.join("checkpoint-1")).expect("made");
        }
        assert!(save(&folder, "new", None));
        assert_eq!(found(&folder), ("new".to_owned(), "new".to_owned()));
        assert_eq!(fs::read_to_string(folder.join(&name)).expect("it survived"), "mine");
    }
}
