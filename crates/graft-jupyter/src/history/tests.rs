use super::*;

fn filled(mut history: History) -> History {
    for (line, text) in [(1, "1+1"), (2, "2+2"), (3, "1+1"), (4, "let x = 1;")] {
        history.add(line, text);
    }
    history.set_output("1");
    history
}

fn texts(history: &mut History, request: HistoryRequest) -> Vec<String> {
    let text = |entry| match entry {
        HistoryEntry::Input(session, line, text) => format!("{session}/{line} {text}"),
        HistoryEntry::InputOutput(session, line, (text, output)) => {
            format!("{session}/{line} {text} -> {output:?}")
        }
    };
    history.answer(&request).into_iter().map(text).collect()
}

fn request(kind: &str) -> HistoryRequest {
    HistoryRequest { hist_access_type: kind.to_owned(), ..HistoryRequest::default() }
}

#[test]
fn a_tail_lists_the_last_cells_oldest_first() {
    let mut history = filled(History::in_memory());
    assert_eq!(
        texts(&mut history, HistoryRequest { n: Some(2), ..request("tail") }),
        ["1/3 1+1", "1/4 let x = 1;"]
    );
    assert_eq!(
        texts(&mut history, HistoryRequest { n: Some(1), output: true, ..request("tail") }),
        ["1/4 let x = 1; -> Some(\"1\")"]
    );
}

#[test]
fn a_range_excludes_its_stop_and_other_sessions() {
    let mut history = filled(History::in_memory());
    assert_eq!(
        texts(&mut history, HistoryRequest { start: Some(2), stop: Some(4), ..request("range") }),
        ["1/2 2+2", "1/3 1+1"]
    );
    assert_eq!(
        texts(&mut history, HistoryRequest { session: 7, ..request("range") }),
        Vec::<String>::new()
    );
}

#[test]
fn a_search_is_a_glob_with_unique_and_n() {
    let mut history = filled(History::in_memory());
    assert_eq!(
        texts(&mut history, HistoryRequest { pattern: Some("?+?".into()), ..request("search") }),
        ["1/1 1+1", "1/2 2+2", "1/3 1+1"]
    );
    assert_eq!(
        texts(
            &mut history,
            HistoryRequest { pattern: Some("1*1".into()), unique: true, ..request("search") }
        ),
        ["1/3 1+1"]
    );
    assert_eq!(
        texts(
            &mut history,
            HistoryRequest { pattern: Some("*+*".into()), n: Some(2), ..request("search") }
        ),
        ["1/2 2+2", "1/3 1+1"]
    );
    assert_eq!(
        texts(&mut history, HistoryRequest { pattern: Some("let".into()), ..request("search") }),
        Vec::<String>::new()
    );
}

#[test]
fn the_next_kernel_finds_the_cells_of_the_previous_one() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("graft/history.sqlite");
    let of_file = || History { file: Some(file.clone()), store: None };
    drop(filled(of_file()));
    let mut next = of_file();
    next.add(1, "new");
    assert_eq!(
        texts(&mut next, HistoryRequest { n: Some(2), ..request("tail") }),
        ["1/4 let x = 1;", "2/1 new"]
    );
    assert_eq!(
        texts(&mut next, HistoryRequest { session: -1, stop: Some(2), ..request("range") }),
        ["1/1 1+1"]
    );
    assert_eq!(texts(&mut next, HistoryRequest { session: 0, ..request("range") }), ["2/1 new"]);
    // Two concurrent kernels have separate sessions.
    let mut other = of_file();
    other.add(1, "concurrent");
    assert_eq!(
        texts(&mut next, HistoryRequest { n: Some(1), ..request("tail") }),
        ["3/1 concurrent"]
    );
}

#[test]
fn only_the_owner_can_read_the_history() {
    use std::os::unix::fs::PermissionsExt;
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("graft/history.sqlite");
    let open = || History { file: Some(file.clone()), store: None };
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let private = |history: &History| {
        for entry in std::fs::read_dir(file.parent().unwrap()).unwrap() {
            let path = entry.unwrap().path();
            assert_eq!(mode(&path), 0o600, "{}", path.display());
        }
        assert!(history.store.is_some());
    };
    let history = filled(open());
    assert_eq!(mode(file.parent().unwrap()), 0o700);
    private(&history);
    // Permissions from an earlier version.
    for entry in std::fs::read_dir(file.parent().unwrap()).unwrap() {
        std::fs::set_permissions(entry.unwrap().path(), std::fs::Permissions::from_mode(0o644))
            .unwrap();
    }
    private(&filled(open()));
}

#[test]
fn a_corrupt_file_is_renamed_and_an_unwritable_folder_is_not_an_error() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("history.sqlite");
    std::fs::write(&file, "this is not a database, however long the file may be").unwrap();
    let mut history = filled(History { file: Some(file.clone()), store: None });
    assert_eq!(
        texts(&mut history, HistoryRequest { n: Some(1), ..request("tail") }),
        ["1/4 let x = 1;"]
    );
    assert!(
        std::fs::read_to_string(home.path().join("history.sqlite.damaged"))
            .unwrap()
            .starts_with("this is not")
    );
    let mut nowhere =
        filled(History { file: Some("/proc/none/history.sqlite".into()), store: None });
    assert_eq!(
        texts(&mut nowhere, HistoryRequest { n: Some(1), ..request("tail") }),
        ["1/4 let x = 1;"]
    );
}
