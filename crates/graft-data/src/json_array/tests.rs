use std::sync::atomic::AtomicBool;

use graft_spec::{Settings, Value};

use super::*;
use crate::options::ReadOptions;

fn read(text: &[u8], settings: &Settings) -> Result<(Vec<String>, Vec<String>), DataError> {
    let stop = AtomicBool::new(false);
    let options = ReadOptions::new(settings, "{text}")?;
    // A small buffer, so that elements cross its border.
    let source = Box::new(std::io::BufReader::with_capacity(3, text));
    let mut collector = Collector::new(&options, u64::MAX);
    collector.begin("a.json", None, true);
    parse(Lines::new(source, "a.json", &stop), &mut collector)?;
    let found = collector.finish("a.json", String::new())?;
    let texts = found.examples.iter().map(|example| example.completion.to_string()).collect();
    Ok((texts, found.report.notes))
}

fn texts(text: &str) -> Vec<String> {
    read(text.as_bytes(), &Settings::default()).expect(text).0
}

fn problem(text: &str) -> String {
    read(text.as_bytes(), &Settings::default()).expect_err(text).to_string()
}

#[test]
fn the_elements_of_an_array_are_rows_however_they_are_spread_over_lines() {
    assert_eq!(texts("[{\"text\":\"a\"},{\"text\":\"b\"}]"), ["a", "b"]);
    assert_eq!(
        texts("[\n  {\n \"text\": \"a ] } \\\" ,\"\n  },\n  {\"text\":\"b\", \"n\":[1,{}]}\n]\n"),
        ["a ] } \" ,", "b"]
    );
    assert_eq!(texts("{\n\"text\":\"a\"\n}\n{\n\"text\":\"b\"\n}"), ["a", "b"]);
}

#[test]
fn a_bad_element_is_named_with_its_line_and_skipped_when_asked_for() {
    let text = "[\n{\"text\":\"a\"},\n{\"text\":},\n{\"text\":\"c\"}, 7]";
    assert_eq!(problem(text), "`a.json` line 3: it is not valid JSON: expected value (column 9)");
    let settings = Settings::default().with("skip_bad", Value::Bool(true));
    let (texts, notes) = read(text.as_bytes(), &settings).expect("reads");
    assert_eq!(texts, ["a", "c"]);
    assert!(notes[0].starts_with("skipped 2 bad rows"), "{notes:?}");
}

#[test]
fn an_array_that_does_not_end_or_continue_is_refused() {
    let truncated = "the JSON ends in the middle of an example or of the list";
    assert_eq!(problem("[{\"text\":\"a\"}"), format!("`a.json` line 1: {truncated}"));
    assert_eq!(problem("[{\"text\":\"a\"},\n{\"te"), format!("`a.json` line 2: {truncated}"));
    assert_eq!(
        problem("[{\"text\":\"a\"},,]"),
        "`a.json` line 1: unexpected `,` between two examples"
    );
    assert_eq!(
        problem("[{\"text\":\"a\"}] x"),
        "`a.json` line 1: unexpected `x` between two examples"
    );
    assert_eq!(problem("[]"), "`a.json` has no examples");
    assert!(problem("[{\"text\":\"\0\"}]").contains("binary or damaged"));
}

#[test]
fn an_element_without_end_is_refused() {
    let long = format!("[{{\"text\":\"{}", "a".repeat(MOST_EXAMPLE + 10));
    assert!(problem(&long).ends_with("line 1 is longer than 16 MB, the limit for one example"));
}
