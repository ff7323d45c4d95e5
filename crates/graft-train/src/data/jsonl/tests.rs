use super::*;
use crate::Control;
use crate::data::SplitName;
use crate::data::record::{Content, Record};
use graft_spec::Hint;

fn read(text: &str) -> Result<Vec<Record>, DataError> {
    let control = Control::new();
    let mut lines = Lines::new(Box::new(text.as_bytes()), "a.jsonl", &control);
    let mut collector = Collector::new("a.jsonl", true, u64::MAX);
    parse(&mut lines, &mut collector)?;
    Ok(collector.finish(String::new())?.records)
}

#[test]
fn records_keep_their_lines_and_splits_and_labels_may_be_numbers() {
    let records =
        read("{\"text\":\"x\",\"label\":1,\"split\":\"dev\"}\n\n{\"text\":\"y\",\"label\":0}\n")
            .expect("parses");
    assert_eq!(records[0].content, Content::Labeled { text: "x".into(), label: "1".into() });
    assert_eq!((records[0].split, records[1].line), (Some(SplitName::Validation), 3));
}

#[test]
fn a_missing_field_is_named_with_the_fields_there_are() {
    let error = read("{\"prompt\":\"x\",\"answer\":\"y\"}").expect_err("no completion");
    assert_eq!(
        error.to_string(),
        "`a.jsonl` line 1 has no `completion`; its fields are `prompt`, `answer`"
    );
    assert_eq!(error.code(), "data::missing_field");
}

#[test]
fn a_line_that_is_not_one_object_is_named() {
    let problem = |text: &str| read(text).expect_err(text).to_string();
    assert_eq!(
        problem("{\"text\":\"x\"}\nplain words"),
        "`a.jsonl` line 2: it is not a JSON object"
    );
    assert_eq!(
        problem("{\"text\":\"x\",}"),
        "`a.jsonl` line 1: it is not valid JSON: trailing comma (column 13)"
    );
    assert_eq!(
        problem("{\n\"text\":\"x\"}"),
        "`a.jsonl` line 1: the JSON object does not end on this line; JSON Lines has one complete object per line"
    );
    let array = read("[\n{\"text\":\"x\"}]").expect_err("an array");
    assert_eq!(
        array.to_string(),
        "`a.jsonl` is one JSON array; %data load reads jsonl, csv, tsv and txt"
    );
    assert!(array.hint().expect("a hint").contains("json.load(open('a.jsonl'))"));
}

#[test]
fn an_empty_completion_is_refused() {
    let error = read("{\"prompt\":\"x\",\"completion\":\" \"}").expect_err("empty");
    assert_eq!(error.to_string(), "`a.jsonl` line 1: the completion is empty");
}

#[test]
fn deeply_nested_values_are_skipped_without_recursion() {
    let deep =
        format!("{{\"text\":\"x\",\"meta\":{}1{}}}", "[".repeat(200_000), "]".repeat(200_000));
    assert_eq!(read(&deep).expect("reads").len(), 1);
    let open = format!("{{\"text\":\"x\",\"meta\":{}", "{\"a\":".repeat(200_000));
    assert_eq!(read(&open).expect_err("open").code(), "data::malformed");
}

#[test]
fn a_million_fields_are_refused() {
    let fields: Vec<String> = (0..1_000_000).map(|number| format!("\"f{number}\":0")).collect();
    let error = read(&format!("{{{}}}", fields.join(","))).expect_err("too many");
    assert!(error.to_string().contains("more than 10000 fields"), "{error}");
}
