//! JSON Lines: one object per line.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::DataError;
use super::collect::Collector;
use super::csv::MOST_FIELDS;
use super::detect::with_name;
use super::lines::Lines;
use super::record::Field;

/// Reads JSON Lines into `collector`.
pub(super) fn parse(lines: &mut Lines<'_>, collector: &mut Collector<'_>) -> Result<(), DataError> {
    let source_name = lines.name();
    let mut is_first = true;
    while let Some(text) = lines.next()? {
        let text = text.trim();
        if text.is_empty() {
            continue;
        }
        if is_first && text.starts_with('[') {
            return Err(array(source_name));
        }
        is_first = false;
        let row = fields(text);
        let line = lines.number();
        let row = row.map_err(|problem| DataError::Malformed {
            source_name: source_name.to_owned(),
            line,
            problem,
        })?;
        collector.fields(line, row)?;
    }
    Ok(())
}

/// The error for a file that is a single JSON array.
fn array(source_name: &str) -> DataError {
    let step = "write one object per line: python3 -c \"import json; [print(json.dumps(row)) for row in json.load(open('FILE'))]\" > 'FILE.jsonl', \
         then %data load FILE.jsonl";
    DataError::Foreign {
        source_name: source_name.to_owned(),
        format: "one JSON array",
        hint: with_name(step, source_name),
    }
}

/// The fields of an object. The contents of nested lists and objects are skipped.
fn fields(text: &str) -> Result<Vec<(String, Field)>, String> {
    if !text.starts_with('{') {
        return Err("it is not a JSON object".to_owned());
    }
    serde_json::from_str(text).map(|Row(fields)| fields).map_err(|error| match error.is_eof() {
        true => {
            "the JSON object does not end on this line; JSON Lines has one complete object per line"
                .to_owned()
        }
        false => {
            let text = error.to_string();
            let problem = text.split(" at line ").next().unwrap_or_default();
            format!("it is not valid JSON: {problem} (column {})", error.column())
        }
    })
}

struct Row(Vec<(String, Field)>);

impl<'de> Deserialize<'de> for Row {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Row;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Row, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    if fields.len() == MOST_FIELDS {
                        return Err(A::Error::custom(format!(
                            "it has more than {MOST_FIELDS} fields"
                        )));
                    }
                    fields.push(field);
                }
                Ok(Row(fields))
            }
        }
        deserializer.deserialize_map(Fields)
    }
}

impl<'de> Deserialize<'de> for Field {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FieldVisitor)
    }
}

/// Reads one value; the contents of lists and objects are skipped.
struct FieldVisitor;

impl<'de> Visitor<'de> for FieldVisitor {
    type Value = Field;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_str<E>(self, text: &str) -> Result<Field, E> {
        Ok(Field::Text(text.to_owned()))
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Field, E> {
        Ok(Field::Text(flag.to_string()))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Field, E> {
        Ok(Field::Text(number.to_string()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Field, E> {
        Ok(Field::Text(number.to_string()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Field, E> {
        Ok(Field::Float(number))
    }

    fn visit_unit<E>(self) -> Result<Field, E> {
        Ok(Field::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Field, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Field::List)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Field, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Field::Object)
    }
}

#[cfg(test)]
mod tests;
