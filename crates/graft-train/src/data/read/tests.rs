use super::*;
use crate::data::{Kind, SplitName};
use graft_protocol::Hint;

fn file(name: &str, bytes: &[u8]) -> Result<Dataset, DataError> {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join(name);
    fs::write(&path, bytes).expect("writes");
    load_file(&path, &Settings::default())
}

#[test]
fn the_ending_or_the_first_line_decides_the_format() {
    let plain = Settings::default();
    let kinds = [("{\"text\": \"a\"}", Kind::Text), ("prompt,completion\na,b", Kind::Completion), ("One passage\nof two lines.\n\nAnother.", Kind::Text)];
    for (text, kind) in kinds {
        assert_eq!(parse_inline("set", text, &plain).expect(text).kind, kind);
    }
    let set = file("words.txt", b"One passage\nof two lines.\n\nAnother.").expect("reads");
    assert_eq!((set.name.as_str(), set.train.len()), ("words", 2));
    assert_eq!(set.train[0].completion, "One passage\nof two lines.");
}

#[test]
fn bytes_that_are_no_text_are_named_with_their_line() {
    let error = file("a.jsonl", b"{\"text\": \"a\"}\n{\"text\": \"\xff\"}").expect_err("no UTF-8");
    assert!(error.to_string().ends_with("a.jsonl` line 2 is no UTF-8 text (byte 24 of the file)"), "{error}");
}

#[test]
fn an_empty_file_and_a_missing_one_are_refused_with_what_to_do() {
    let error = file("a.csv", b"text,label\n").expect_err("empty");
    assert_eq!(error.code(), "data::empty");
    let error = load_file(Path::new("nowhere.jsonl"), &Settings::default()).expect_err("missing");
    assert_eq!(error.to_string(), "cannot read `nowhere.jsonl`");
    assert!(error.hint().expect("a hint").contains("which-book"));
}

#[test]
fn a_byte_order_mark_is_no_part_of_the_first_field() {
    assert_eq!(file("a.csv", b"\xef\xbb\xbftext,label\na,x\nb,y\n").expect("reads").labels(), ["x", "y"]);
}

#[test]
fn the_built_in_sets_are_whole() {
    let books = builtin("which-book").expect("reads").expect("is built in");
    assert!(books.labels().len() >= 5, "{:?}", books.labels());
    for label in 0..books.labels().len() {
        for split in SplitName::ALL {
            let count = books.split(split).iter().filter(|example| example.label == Some(label)).count();
            assert!(count >= 30, "{count} {split} examples of {}", books.labels()[label]);
        }
    }
    assert!(books.train[0].prompt.ends_with("\nThis is from:"));
    let codes = builtin("error-codes").expect("reads").expect("is built in");
    assert_eq!(codes.kind, Kind::Text);
    assert!(codes.train.len() > 500 && codes.test.len() > 50);
    assert_eq!(builtin("nothing").expect("no error"), None);
}

#[test]
fn no_text_of_a_held_out_split_is_trained_on() {
    for name in BUILTIN {
        let set = builtin(name).expect("reads").expect("is built in");
        let train: std::collections::HashSet<_> = set.train.iter().map(|example| (&example.prompt, &example.completion)).collect();
        assert!(set.validation.iter().chain(&set.test).all(|example| !train.contains(&(&example.prompt, &example.completion))), "{name}");
    }
}
