use std::sync::atomic::AtomicBool;

use graft_spec::{Hint, Settings};

use super::*;
use crate::SplitName;
use crate::collect::Collected;
use crate::options::ReadOptions;

fn collected(text: &str) -> Result<Collected, DataError> {
    let stop = AtomicBool::new(false);
    let options = ReadOptions::new(&Settings::default(), "{text}")?;
    let mut lines = Lines::new(Box::new(text.as_bytes()), "a.jsonl", &stop);
    let mut collector = Collector::new(&options, u64::MAX);
    collector.begin("a.jsonl", None, true);
    parse(&mut lines, &mut collector)?;
    collector.finish("a.jsonl", String::new())
}

fn problem(text: &str) -> String {
    collected(text).err().expect(text).to_string()
}

#[test]
fn rows_keep_their_splits_and_labels_may_be_numbers() {
    let found = collected(
        "{\"text\":\"x\",\"label\":1,\"split\":\"dev\"}\n\n{\"text\":\"y\",\"label\":1}\n{\"text\":\"z\",\"label\":0}\n",
    )
    .expect("parses");
    assert_eq!((found.labels, found.examples[0].label), (vec!["0".into(), "1".into()], Some(1)));
    assert_eq!(found.splits, [Some(SplitName::Validation), None, None]);
}

#[test]
fn a_missing_field_is_named_with_the_fields_there_are() {
    let error = collected("{\"prompt\":\"x\",\"reply\":\"y\"}").err().expect("no completion");
    assert_eq!(
        error.to_string(),
        "`a.jsonl` line 1 has no `completion`; its fields are `prompt`, `reply`"
    );
    assert_eq!(error.code(), "data::missing_field");
    assert!(error.hint().expect("a hint").contains("columns=prompt:prompt,completion:reply"));
}

#[test]
fn a_line_that_is_not_one_object_is_named() {
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
    assert_eq!(
        problem("{\"text\":\"x\",\"label\":NaN}"),
        "`a.jsonl` line 1: NaN is not valid JSON (column 21); write null for a missing number"
    );
}

#[test]
fn an_empty_completion_is_refused() {
    assert_eq!(
        problem("{\"prompt\":\"x\",\"completion\":\" \"}"),
        "`a.jsonl` line 1: the completion is empty"
    );
}

#[test]
fn deeply_nested_values_are_skipped_without_recursion() {
    let deep =
        format!("{{\"text\":\"x\",\"meta\":{}1{}}}", "[".repeat(200_000), "]".repeat(200_000));
    assert_eq!(collected(&deep).expect("reads").examples.len(), 1);
    let open = format!("{{\"text\":\"x\",\"meta\":{}", "{\"a\":".repeat(200_000));
    assert_eq!(collected(&open).err().expect("open").code(), "data::malformed");
}

#[test]
fn a_million_fields_are_refused() {
    let fields: Vec<String> = (0..1_000_000).map(|number| format!("\"f{number}\":0")).collect();
    let error = problem(&format!("{{{}}}", fields.join(",")));
    assert!(error.contains("more than 10000 fields"), "{error}");
}
