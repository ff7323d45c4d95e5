use std::fs;
use std::io::Write;

use super::*;
use crate::{Kind, SplitName};
use graft_spec::{Hint, Value};

fn file(name: &str, bytes: &[u8]) -> Result<Dataset, DataError> {
    load(name, bytes, &Settings::default())
}

fn load(name: &str, bytes: &[u8], settings: &Settings) -> Result<Dataset, DataError> {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join(name);
    fs::write(&path, bytes).expect("writes");
    load_file(&path, settings, Limits::NONE)
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).expect("compresses");
    encoder.finish().expect("compresses")
}

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

const TABLE: &str = "text,label\nfine day,good\nawful day,bad\n";

#[test]
fn the_ending_or_the_first_line_decides_the_format() {
    let plain = Settings::default();
    let kinds = [
        ("{\"text\": \"a\"}", Kind::Text),
        ("prompt,completion\na,b", Kind::Completion),
        ("One passage\nof two lines.\n\nAnother.", Kind::Text),
    ];
    for (text, kind) in kinds {
        assert_eq!(parse_inline("set", text, &plain).expect(text).kind, kind);
    }
    let set = file("words.txt", b"One passage\nof two lines.\n\nAnother.").expect("reads");
    assert_eq!((set.name.as_str(), set.train.len()), ("words", 2));
    assert_eq!(set.train[0].completion, "One passage\nof two lines.");
}

#[test]
fn invalid_utf_8_is_reported_with_its_line() {
    let error = file("a.jsonl", b"{\"text\": \"a\"}\n{\"text\": \"\xff\"}").expect_err("no UTF-8");
    assert!(
        error.to_string().ends_with("a.jsonl` line 2 is not valid UTF-8 (byte 24 of the file)"),
        "{error}"
    );
}

#[test]
fn an_empty_file_and_a_missing_one_are_refused_with_a_hint() {
    let error = file("a.csv", b"text,label\n").expect_err("empty");
    assert_eq!(error.code(), "data::empty");
    let error = load_file(Path::new("nowhere.jsonl"), &Settings::default(), Limits::NONE)
        .expect_err("missing");
    assert_eq!(error.to_string(), "cannot read `nowhere.jsonl`");
    assert!(error.hint().expect("a hint").contains("which-book"));
}

#[test]
fn a_byte_order_mark_is_not_part_of_the_first_field() {
    assert_eq!(
        file("a.csv", b"\xef\xbb\xbftext,label\na,x\nb,y\n").expect("reads").labels(),
        ["x", "y"]
    );
}

#[test]
fn the_built_in_sets_are_whole() {
    let books = builtin("which-book").expect("reads").expect("is built in");
    assert!(books.labels().len() >= 5, "{:?}", books.labels());
    for label in 0..books.labels().len() {
        for split in SplitName::ALL {
            let count =
                books.split(split).iter().filter(|example| example.label == Some(label)).count();
            assert!(count >= 30, "{count} {split} examples of {}", books.labels()[label]);
        }
    }
    assert!(books.train[0].prompt.ends_with("\nThis is from:"));
    let codes = builtin("error-codes").expect("reads").expect("is built in");
    assert_eq!(codes.kind, Kind::Text);
    assert!(codes.train.len() > 500 && codes.test.len() > 50);
    let pairs = builtin("prose-or-code").expect("reads").expect("is built in");
    assert_eq!(pairs.kind, Kind::Preference);
    assert!(pairs.train.len() > 200 && pairs.validation.len() > 40 && pairs.test.len() > 40);
    assert_eq!(builtin("nothing").expect("no error"), None);
}

#[test]
fn no_text_of_a_held_out_split_is_trained_on() {
    for name in BUILTIN {
        let set = builtin(name).expect("reads").expect("is built in");
        let train: std::collections::HashSet<_> =
            set.train.iter().map(|example| (&example.prompt, &example.completion)).collect();
        assert!(
            set.validation
                .iter()
                .chain(&set.test)
                .all(|example| !train.contains(&(&example.prompt, &example.completion))),
            "{name}"
        );
    }
}

#[test]
fn a_table_is_read_whatever_its_delimiter_its_encoding_and_its_compression() {
    let expected = file("set.csv", TABLE.as_bytes()).expect("csv");
    assert_eq!(expected.labels(), ["bad", "good"]);
    let tabs = TABLE.replace(',', "\t");
    let marked = format!("\u{feff}{TABLE}");
    let forms: [(&str, Vec<u8>, &str); 9] = [
        ("set.tsv", tabs.clone().into_bytes(), "tsv"),
        ("set.csv", TABLE.replace(',', ";").into_bytes(), "csv with `;` between the fields"),
        ("set.csv", tabs.clone().into_bytes(), "csv with tabs between the fields"),
        ("set", tabs.clone().into_bytes(), "tsv"),
        ("set.csv", marked.clone().into_bytes(), "csv"),
        ("set.csv", utf16(&marked), "csv (UTF-16)"),
        ("set.tsv", utf16(&tabs), "tsv (UTF-16)"),
        ("set.csv.gz", gzip(TABLE.as_bytes()), "csv (gzip)"),
        ("set.csv", gzip(&utf16(&marked)), "csv (gzip, UTF-16)"),
    ];
    for (name, bytes, format) in forms {
        let set = file(name, &bytes).expect(format);
        assert_eq!((set.name.as_str(), set.report.format.as_str()), ("set", format));
        assert_eq!(
            (set.train, set.validation, set.test),
            (expected.train.clone(), expected.validation.clone(), expected.test.clone()),
            "{format}"
        );
    }
}

#[test]
fn formats_that_are_not_read_are_named_whatever_the_ending_says() {
    for (bytes, format) in
        [(&b"BZh91\x93"[..], "compressed with bzip2"), (b"%PDF-1.7\n", "a PDF document")]
    {
        for name in ["set.jsonl", "set.csv", "set.txt", "set"] {
            let error = file(name, bytes).expect_err(format);
            assert_eq!(error.code(), "data::format");
            assert!(error.to_string().contains(&format!("is {format};")), "{error}");
            assert!(!error.hint().expect("a hint").contains("iconv"));
        }
    }
    let twice = file("set.csv.gz", &gzip(&gzip(TABLE.as_bytes()))).expect_err("twice");
    assert!(twice.to_string().contains("compressed with gzip more than once"));
}

#[test]
fn a_table_whose_first_word_begins_like_a_binary_format_is_a_table() {
    let set =
        file("people.csv", b"ORCID,text,label\n0000-0001,fine day,good\n0000-0002,awful day,bad\n")
            .expect("a table");
    assert_eq!(
        (set.labels().join(" "), set.report.format),
        ("bad good".to_owned(), "csv".to_owned())
    );
    let error = file("people.csv", b"ORC\n\x03\0\0\x11\x0a").expect_err("binary");
    assert!(error.to_string().contains("is an ORC file;"), "{error}");
}

#[test]
fn a_web_page_is_refused_unless_it_is_asked_for_as_text() {
    let page = b"<!DOCTYPE html>\n<html><body>Sign in</body></html>\n";
    assert_eq!(file("set.csv", page).expect_err("a page").code(), "data::format");
    let settings = Settings::default()
        .with("format", Value::Text("txt".into()))
        .with("text", Value::Text("running".into()))
        .with("validation", Value::Float(0.0))
        .with("test", Value::Float(0.0));
    assert_eq!(load("page.html", page, &settings).expect("text").train.len(), 1);
}

#[test]
fn the_hint_for_other_encodings_is_a_command_that_works() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("mine.csv");
    fs::write(&path, b"text,label\ncaf\xe9,good\nna\xefve,bad\n").expect("writes");
    let hint = load_file(&path, &Settings::default(), Limits::NONE)
        .expect_err("latin1")
        .hint()
        .expect("a hint");
    let command =
        &hint[hint.find("iconv").expect("a command")..hint.find(", then").expect("its end")];
    let Ok(status) = std::process::Command::new("sh").arg("-c").arg(command).status() else {
        return;
    };
    if status.success() {
        let set =
            load_file(&folder.path().join("mine.utf8.csv"), &Settings::default(), Limits::NONE)
                .expect("reads");
        assert!(
            set.train.iter().any(|example| example.prompt.starts_with("café")),
            "{:?}",
            set.train
        );
    }
}

#[test]
fn a_text_that_looks_like_records_is_said_to_be_read_as_text() {
    let set = file("set.txt", b"{\"text\": \"a\"}\n\n{\"text\": \"b\"}\n").expect("reads");
    assert_eq!(set.kind, Kind::Text);
    assert!(set.report.notes[0].contains("format=jsonl"), "{:?}", set.report.notes);
}

#[test]
fn data_whose_own_splits_lack_a_validation_split_are_not_too_small() {
    let notes = |split: &str| {
        let rows: Vec<String> = (0..100)
            .map(|row| format!("{{\"text\": \"{row}\", \"split\": \"{split}\"}}"))
            .collect();
        file("set.jsonl", rows.join("\n").as_bytes()).expect("reads").report.notes
    };
    let expected = "the data has no test and no validation split; validation=0.1 takes a part of \
                    the training examples";
    assert_eq!(notes("train"), [expected]);
}

#[test]
fn a_file_too_small_to_hold_anything_out_is_reported() {
    let notes = |rows: usize| {
        let lines: Vec<String> = (0..rows).map(|row| format!("{{\"text\": \"{row}\"}}")).collect();
        file("set.jsonl", lines.join("\n").as_bytes()).expect("reads").report.notes
    };
    assert_eq!(
        notes(4),
        [
            "4 examples: too few to hold any out for validation and test; validation=0.5 holds out half of them"
        ]
    );
    assert_eq!(notes(20), [""; 0]);
}

#[test]
#[cfg(target_os = "linux")]
fn only_regular_files_are_read() {
    let folder = tempfile::tempdir().expect("folder");
    let at = |name: &str| folder.path().join(name);
    let status = std::process::Command::new("mkfifo").arg(at("pipe.csv")).status().expect("mkfifo");
    assert!(status.success());
    std::os::unix::fs::symlink(at("loop.csv"), at("loop.csv")).expect("a link to itself");
    let problem =
        |path: &Path| load_file(path, &Settings::default(), Limits::NONE).expect_err("refused");
    assert!(
        problem(&at("pipe.csv")).to_string().contains("is a named pipe (FIFO), not a regular file")
    );
    assert!(
        problem(Path::new("/dev/zero")).to_string().contains("is a device, not a regular file")
    );
    assert_eq!(problem(&at("loop.csv")).code(), "data::io");
    let nothing = tempfile::tempdir().expect("folder");
    assert_eq!(problem(nothing.path()).code(), "data::empty_folder");
    fs::write(at("empty.csv"), "").expect("writes");
    assert_eq!(problem(&at("empty.csv")).code(), "data::empty");
}

#[test]
fn a_line_without_end_is_refused_also_where_it_is_compressed_to_nothing() {
    let zeros = vec![b'a'; 50 << 20];
    assert_eq!(file("long.jsonl", &zeros).expect_err("long").code(), "data::long_line");
    assert_eq!(file("long.csv.gz", &gzip(&zeros)).expect_err("long").code(), "data::long_line");
    let paragraph = [&b"a\n\n"[..], &b"word\n".repeat(5 << 20)].concat();
    let error = file("long.txt", &paragraph).expect_err("long");
    assert_eq!(error.code(), "data::long_line");
    assert!(error.to_string().contains("the paragraph that begins on line 3"), "{error}");
    let quoted = [&b"text\n\""[..], &b"word\n".repeat(5 << 20)].concat();
    assert_eq!(
        file("long.csv", &quoted).expect_err("long").to_string().split(" line ").nth(1),
        Some("2: a quote is never closed")
    );
}

#[test]
fn a_file_that_grows_while_it_is_read_is_refused() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("log.txt");
    fs::write(&path, "one\n\ntwo\n\n").expect("writes");
    let opened = open(&path, false, u64::MAX).expect("opens");
    fs::OpenOptions::new()
        .append(true)
        .open(&path)
        .expect("opens")
        .write_all(b"three")
        .expect("grows");
    let (Stream::Text(mut text), unchanged) = opened.into_parts() else { panic!("no text") };
    let mut read = String::new();
    text.read_to_string(&mut read).expect("reads");
    assert_eq!(read, "one\n\ntwo\n\n", "not more than there was");
    assert_eq!(unchanged.check().expect_err("it grew").code(), "data::changed");
}

#[test]
fn a_broken_archive_is_refused() {
    let whole = gzip(TABLE.repeat(1000).as_bytes());
    assert_eq!(file("cut.csv.gz", &whole[..whole.len() / 2]).expect_err("cut").code(), "data::io");
}

#[test]
fn a_json_array_is_read_like_json_lines() {
    let rows = b"[{\"text\": \"a\", \"label\": \"x\"},\n {\"text\": \"b\", \"label\": \"y\"}]";
    let set = file("rows.json", rows).expect("reads");
    assert_eq!((set.labels(), set.report.format.as_str()), (&["x".into(), "y".into()][..], "json"));
    let set = file("rows", rows).expect("by content");
    assert_eq!(set.report.format, "json");
    let spread = b"{\n  \"text\": \"a\"\n}\n{\n  \"text\": \"b\"\n}\n";
    assert_eq!(file("rows.json", spread).expect("reads").train.len(), 2);
}

#[test]
fn long_lines_are_skipped_when_asked_for() {
    let long = format!("{{\"text\": \"{}\"}}", "a".repeat(50 << 20));
    let bytes = format!("{{\"text\": \"one\"}}\n{long}\n{{\"text\": \"three\"}}\n");
    let error = file("a.jsonl", bytes.as_bytes()).expect_err("long");
    assert!(error.to_string().contains("line 2 is longer than 16 MB"), "{error}");
    assert!(error.hint().expect("a hint").contains("skip_bad=true"));
    let settings = Settings::default().with("skip_bad", Value::Bool(true));
    let set = load("a.jsonl", bytes.as_bytes(), &settings).expect("reads");
    assert_eq!(set.train.iter().map(|row| &*row.completion).collect::<Vec<_>>(), ["one", "three"]);
    assert!(set.report.notes[0].starts_with("skipped 1 bad row: "), "{:?}", set.report.notes);
}

#[test]
fn a_text_is_cut_as_it_is_asked_for_and_says_how() {
    let read = |unit: &str, text: &str| {
        let settings = Settings::default()
            .with("text", Value::Text(unit.into()))
            .with("validation", Value::Float(0.0))
            .with("test", Value::Float(0.0));
        load("a.txt", text.as_bytes(), &settings).expect("reads")
    };
    let text = "one\ntwo\n\nthree\n";
    let texts = |unit: &str| {
        let set = read(unit, text);
        set.train.iter().map(|row| row.completion.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(texts("auto"), ["one\ntwo", "three"]);
    assert_eq!(texts("paragraphs"), ["one\ntwo", "three"]);
    assert_eq!(texts("lines"), ["one", "two", "three"]);
    assert_eq!(texts("running"), ["one\ntwo\n\nthree"]);
    assert!(read("auto", text).report.format.contains("text=lines"));
    assert_eq!(read("auto", "one\ntwo\n").train.len(), 2);
}

#[test]
fn the_files_of_a_folder_are_one_set_with_the_splits_of_their_names() {
    let folder = tempfile::tempdir().expect("folder");
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("creates");
        fs::write(path, text).expect("writes");
    };
    write("README.md", "# about\n");
    write(".hidden.csv", "nothing");
    write("data/train-00000-of-00002.csv", TABLE);
    write("data/train-00001-of-00002.jsonl", "{\"text\":\"so so\",\"label\":\"bad\"}\n");
    write("data/validation.csv.gz", "");
    fs::write(folder.path().join("data/validation.csv.gz"), gzip(TABLE.as_bytes()))
        .expect("writes");
    let set = load_file(folder.path(), &Settings::default(), Limits::NONE).expect("reads");
    assert_eq!((set.train.len(), set.validation.len(), set.test.len()), (3, 2, 0));
    assert_eq!(set.report.format, "3 files, csv, jsonl, csv (gzip)");
    write("data/test.csv", "text,label\nodd,gud\n");
    let error = load_file(folder.path(), &Settings::default(), Limits::NONE).expect_err("unseen");
    assert_eq!(error.code(), "data::unseen_label");
    assert!(error.to_string().contains("data/test.csv` line 2: the label `gud`"), "{error}");
}

#[test]
fn validation_and_test_can_be_files_of_their_own() {
    let folder = tempfile::tempdir().expect("folder");
    let at = |name: &str| folder.path().join(name);
    fs::write(at("a.csv"), TABLE).expect("writes");
    fs::write(at("b.jsonl"), "{\"text\":\"so so\",\"label\":\"bad\"}\n").expect("writes");
    let settings = Settings::default()
        .with("validation", Value::Text(at("b.jsonl").display().to_string()))
        .with("test", Value::Text(at("a.csv").display().to_string()));
    let set = load_file(&at("a.csv"), &settings, Limits::NONE).expect("reads");
    assert_eq!((set.train.len(), set.validation.len(), set.test.len()), (2, 1, 2));
    let settings = Settings::default().with("test", Value::Text("nowhere.csv".into()));
    let error = load_file(&at("a.csv"), &settings, Limits::NONE).expect_err("missing");
    assert_eq!(error.to_string(), "cannot read `nowhere.csv`");
}
