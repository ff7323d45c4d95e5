use super::*;

fn cells(text: &str) -> Vec<String> {
    Script::from_text(text).cells.into_iter().map(|cell| cell.text).collect()
}

#[test]
fn a_plain_file_is_one_cell_without_its_shebang() {
    assert_eq!(
        cells("#!/usr/bin/env -S graft run\n%model load tiny\n\nlet a = 1;\n"),
        ["\n%model load tiny\n\nlet a = 1;\n"]
    );
    assert_eq!(cells("#![allow(unused)]\nlet a = 1;"), ["#![allow(unused)]\nlet a = 1;"]);
    assert_eq!(cells("\n\n"), Vec::<String>::new());
}

#[test]
fn markers_split_it_and_cells_keep_the_line_numbers_of_the_file() {
    assert_eq!(
        cells("%seed 1\n// %% second\n%%time\n\nlet b = 2;\n"),
        ["%seed 1\n", "\n\n%%time\n\nlet b = 2;\n"]
    );
}

#[test]
fn without_markers_a_cell_magic_ends_at_the_first_blank_line() {
    assert_eq!(
        cells("%seed 1\n%%data pairs\n{}\n\n%train"),
        ["%seed 1\n", "\n%%data pairs\n{}\n", "\n\n\n\n%train"]
    );
}

#[test]
fn a_notebook_gives_its_code_cells() {
    let text = r##"{"cells": [{"cell_type": "markdown", "source": "# a"}, {"cell_type": "code", "source": ["%seed 1\n", "1 + 1"]}, {"cell_type": "code", "source": ""}], "nbformat": 4}"##;
    let cells = Script::from_notebook(serde_json::from_str(text).unwrap()).cells;
    assert_eq!(cells, [ScriptCell { text: "%seed 1\n1 + 1".to_owned(), number: Some(1) }]);
    assert_eq!(cells[0].location(Path::new("a.ipynb"), 1), "a.ipynb, code cell 1, line 2");
}

#[test]
fn a_missing_file_and_an_invalid_notebook_have_different_codes() {
    assert_eq!(
        Script::read(Path::new("/no/such/file.graft")).unwrap_err().code(),
        "terminal::unreadable"
    );
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("broken.ipynb");
    std::fs::write(&path, "{").unwrap();
    assert_eq!(Script::read(&path).unwrap_err().code(), "terminal::not_a_notebook");
}

#[test]
#[cfg(target_os = "linux")]
fn only_a_regular_file_from_text_is_run() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe.graft");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let code = |path: &Path| Script::read(path).unwrap_err().code();
    assert_eq!(
        [code(&pipe), code(folder.path()), code(Path::new("/dev/zero"))],
        ["file::not_regular"; 3]
    );
    std::fs::write(folder.path().join("latin.graft"), b"%seed 1\n// caf\xe9\n").unwrap();
    let error = Script::read(&folder.path().join("latin.graft")).unwrap_err();
    assert!(error.to_string().ends_with("latin.graft` is not valid UTF-8 (line 2)"), "{error}");
}
