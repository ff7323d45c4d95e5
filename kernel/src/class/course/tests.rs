use super::*;

/// All files below a folder, with their texts.
fn files(folder: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() {
                folders.push(entry);
            } else {
                let name = entry.strip_prefix(folder).unwrap().display().to_string();
                found.push((name, std::fs::read_to_string(entry).unwrap()));
            }
        }
    }
    found.sort();
    found
}

#[test]
fn a_course_has_all_files_with_its_name_and_kernel() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("new/PEFT course (2026)");
    let report = create(&folder, None, "my-graft").unwrap().report();
    let written = files(&folder);
    assert_eq!(written.len(), FILES.len());
    for (name, text) in &written {
        assert!(!text.contains("@COURSE@") && !text.contains("@KERNEL@"), "{name}: {text}");
        assert!(report.contains(name.as_str()), "{report}");
    }
    assert!(written[0].1.contains("# PEFT-course--2026"), "{}", written[0].1);
    assert!(report.contains("nbgrader generate_assignment ps1"), "{report}");
    assert!(report.contains("PEFT course (2026)'"), "the folder is quoted: {report}");
    let notebook: serde_json::Value = serde_json::from_str(&written[2].1).unwrap();
    assert_eq!(notebook["metadata"]["kernelspec"]["name"], "my-graft");
    assert_eq!(notebook["metadata"]["kernelspec"]["language"], "rust");
}

#[test]
fn a_file_is_never_replaced_and_a_failure_leaves_nothing() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("course");
    create(&folder, Some("a"), "graft").unwrap();
    let before = files(&folder);
    let error = create(&folder, Some("b"), "graft").unwrap_err();
    assert!(matches!(error, CourseError::Exists { .. }), "{error}");
    assert_eq!(files(&folder), before);

    // `source` is a file, so the notebook, which is written last, has no folder.
    let other = home.path().join("other");
    std::fs::create_dir(&other).unwrap();
    std::fs::write(other.join("source"), "mine").unwrap();
    let error = create(&other, None, "graft").unwrap_err();
    assert!(matches!(error, CourseError::File { .. }), "{error}");
    assert_eq!(files(&other), [("source".to_owned(), "mine".to_owned())]);
}

#[test]
fn other_files_in_the_folder_stay() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("notes.md"), "mine").unwrap();
    create(home.path(), Some("c"), "graft").unwrap();
    assert_eq!(files(home.path()).len(), FILES.len() + 1);
}

#[test]
fn a_name_cannot_change_the_meaning_of_a_file() {
    let home = tempfile::tempdir().unwrap();
    for name in ["", "a b", "a\"b", "a\nb", "../a", "-a", &"a".repeat(65)] {
        let error = create(&home.path().join("x"), Some(name), "graft").unwrap_err();
        assert!(matches!(error, CourseError::Name { .. }), "{name}: {error}");
        let error = create(&home.path().join("x"), Some("ok"), name).unwrap_err();
        assert!(matches!(error, CourseError::Name { .. }), "{name}: {error}");
    }
    assert!(files(home.path()).is_empty());
    assert_eq!(name_of(Path::new("/srv/Größe 1/")), "Gr--e-1");
    assert_eq!(name_of(Path::new("/")), "course");
}

#[test]
fn every_magic_of_the_sample_parses_and_every_region_is_closed() {
    let notebook: serde_json::Value = serde_json::from_str(FILES[2].1).unwrap();
    let mut points = 0.0;
    for cell in notebook["cells"].as_array().unwrap() {
        let lines = cell["source"].as_array().unwrap();
        let source: String = lines.iter().map(|line| line.as_str().unwrap()).collect();
        assert_eq!(source.matches("BEGIN ").count(), source.matches("END ").count(), "{source}");
        if cell["cell_type"] == "code" {
            graft_magic::parse_cell(&source, &graft_protocol::Snapshot::default())
                .unwrap_or_else(|failure| panic!("{source}: {failure}"));
        }
        points += cell["metadata"]["nbgrader"]["points"].as_f64().unwrap_or_default();
    }
    assert_eq!(points, 7.0, "the README names this number");
}
