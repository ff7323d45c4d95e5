use super::*;

const FIRST: &str = "01-first-adapter.ipynb";

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap().flatten();
    let mut names: Vec<_> =
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn all_files_are_copied_and_a_second_call_changes_nothing() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("deep/tutorials");
    let first = copy(&folder).unwrap();
    assert!(first.new >= 14 && first.kept.is_empty(), "{first:?}");
    assert!(report(&first, &folder).starts_with(&format!("copied {} files into", first.new)));
    let before = names(&folder);
    let second = copy(&folder).unwrap();
    assert_eq!(second, Copied { unchanged: first.new, ..Copied::default() });
    assert!(report(&second, &folder).ends_with("is up to date"));
    assert_eq!(names(&folder), before);
    assert!(before.iter().all(|name| name == LIST || !name.starts_with('.')), "{before:?}");
}

#[test]
fn a_changed_file_is_kept_and_named_and_a_deleted_one_is_copied_again() {
    let home = tempfile::tempdir().unwrap();
    let all = copy(home.path()).unwrap().new;
    std::fs::write(home.path().join(FIRST), "mine").unwrap();
    std::fs::remove_file(home.path().join("README.md")).unwrap();
    let copied = copy(home.path()).unwrap();
    let expected = Copied { new: 1, replaced: 0, unchanged: all - 2, kept: vec![FIRST] };
    assert_eq!(copied, expected);
    assert_eq!(std::fs::read_to_string(home.path().join(FIRST)).unwrap(), "mine");
    let text = report(&copied, home.path());
    assert!(text.contains(&format!("kept {FIRST}, because you have changed it")), "{text}");
    assert!(text.contains(".mine"), "{text}");
}

#[test]
fn a_file_of_an_older_version_is_replaced_only_if_the_user_has_not_changed_it() {
    let home = tempfile::tempdir().unwrap();
    copy(home.path()).unwrap();
    let path = home.path().join(FIRST);
    std::fs::write(&path, "older").unwrap();
    let mut list = read_list(home.path());
    list.files.insert(FIRST.to_owned(), hash(b"older"));
    std::fs::write(home.path().join(LIST), serde_json::to_vec(&list).unwrap()).unwrap();
    assert_eq!(copy(home.path()).unwrap().replaced, 1);
    assert!(std::fs::metadata(&path).unwrap().len() > 1000);

    std::fs::write(&path, "older").unwrap();
    std::fs::write(home.path().join(LIST), "{ damaged").unwrap();
    assert_eq!(copy(home.path()).unwrap().kept, [FIRST]);
}

#[test]
fn links_are_not_followed() {
    let home = tempfile::tempdir().unwrap();
    let outside = home.path().join("outside");
    std::fs::write(&outside, "secret").unwrap();
    let folder = home.path().join("tutorials");
    std::fs::create_dir(&folder).unwrap();
    std::os::unix::fs::symlink(&outside, folder.join(FIRST)).unwrap();
    std::os::unix::fs::symlink(home.path().join("nowhere"), folder.join("README.md")).unwrap();
    assert_eq!(copy(&folder).unwrap().kept, [FIRST, "README.md"]);
    assert_eq!(std::fs::read_to_string(&outside).unwrap(), "secret");
    assert!(!home.path().join("nowhere").exists());
}

#[test]
fn a_file_in_the_place_of_the_folder_is_an_error_with_the_next_step() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("file");
    std::fs::write(&file, "").unwrap();
    let error = copy(&file).unwrap_err();
    assert_eq!(error.code(), "notebooks::not_a_folder");
    let error = copy(&file.join("below")).unwrap_err();
    assert_eq!(error.code(), "notebooks::write");
    assert!(error.hint().unwrap().contains("graft notebooks DIR"));
}
