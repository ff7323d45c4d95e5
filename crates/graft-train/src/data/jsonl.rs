//! JSON lines: one object per line.

use std::collections::BTreeMap;

use serde_json::Value;

use super::DataError;
use super::record::Record;

pub(super) fn parse(source_name: &str, text: &str) -> Result<Vec<Record>, DataError> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines.map(|(index, line)| Record::from_fields(source_name, index + 1, fields(source_name, index + 1, line)?)).collect()
}

/// The scalar fields of an object as text: a label may be a number.
fn fields(source_name: &str, line: usize, text: &str) -> Result<BTreeMap<String, String>, DataError> {
    let malformed = |problem| DataError::Malformed { source_name: source_name.to_owned(), line, problem };
    let object: Value = serde_json::from_str(text).map_err(|error| malformed(format!("it is no JSON ({error})")))?;
    let Value::Object(object) = object else { return Err(malformed("it is no JSON object".to_owned())) };
    let scalar = |(name, value)| match value {
        Value::String(text) => Some((name, text)),
        Value::Number(number) => Some((name, number.to_string())),
        Value::Bool(flag) => Some((name, flag.to_string())),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    };
    Ok(object.into_iter().filter_map(scalar).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::SplitName;
    use crate::data::record::Content;
    use graft_protocol::Hint;

    #[test]
    fn records_keep_their_lines_and_splits_and_labels_may_be_numbers() {
        let records = parse("a.jsonl", "{\"text\":\"x\",\"label\":1,\"split\":\"dev\"}\n\n{\"text\":\"y\",\"label\":0}\n").expect("parses");
        assert_eq!(records[0].content, Content::Labelled { text: "x".into(), label: "1".into() });
        assert_eq!((records[0].split, records[1].line), (Some(SplitName::Validation), 3));
    }

    #[test]
    fn a_missing_field_is_named_with_the_fields_there_are() {
        let error = parse("a.jsonl", "{\"prompt\":\"x\",\"answer\":\"y\"}").expect_err("no completion");
        assert_eq!(error.to_string(), "`a.jsonl` line 1 has no `completion`; its fields are `answer`, `prompt`");
        assert_eq!(error.code(), "data::missing_field");
    }

    #[test]
    fn a_line_that_is_no_json_is_named() {
        let error = parse("a.jsonl", "{\"text\":\"x\"}\nplain words").expect_err("no JSON");
        assert!(error.to_string().starts_with("`a.jsonl` line 2: it is no JSON ("), "{error}");
    }

    #[test]
    fn an_empty_completion_is_refused() {
        let error = parse("a.jsonl", "{\"prompt\":\"x\",\"completion\":\" \"}").expect_err("empty");
        assert_eq!(error.to_string(), "`a.jsonl` line 1: its completion is empty");
    }
}
