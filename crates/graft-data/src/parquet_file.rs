//! Parquet files: row by row, and only the columns that are used.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};

use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::{Field as Value, Row as ParquetRow};
use parquet::schema::types::Type;

use super::DataError;
use super::collect::Collector;
use super::lines::MOST_EXAMPLE;
use super::place::Place;
use super::record::{Field, Row};
use super::roles::may_be_structured;
use super::shape::plan;

mod json;

/// The names of the classes of a column, from the metadata that Hugging Face datasets writes.
type ClassNames = HashMap<String, Vec<String>>;

/// Reads a Parquet file into `collector`. `check` is called before every row, to stop the reading.
pub(crate) fn parse(
    file: File,
    check: &dyn Fn(usize) -> Result<(), DataError>,
    collector: &mut Collector<'_>,
) -> Result<(), DataError> {
    let source_name = collector.source_name().to_owned();
    // The reader panics on some damaged files.
    catch_unwind(AssertUnwindSafe(|| read(file, check, collector)))
        .unwrap_or_else(|_| Err(damaged(&source_name, "it contradicts itself")))
}

fn damaged(source_name: &str, problem: &str) -> DataError {
    DataError::DamagedParquet { source_name: source_name.to_owned(), problem: problem.to_owned() }
}

fn read(
    file: File,
    check: &dyn Fn(usize) -> Result<(), DataError>,
    collector: &mut Collector<'_>,
) -> Result<(), DataError> {
    let source_name = collector.source_name().to_owned();
    let failed = |error: parquet::errors::ParquetError| damaged(&source_name, &error.to_string());
    let reader = SerializedFileReader::new(file).map_err(failed)?;
    let metadata = reader.metadata().file_metadata();
    let class_names = class_names(metadata.key_value_metadata());
    let projection = projection(metadata.schema(), collector);
    let mut number = 0;
    for row in reader.get_row_iter(projection).map_err(failed)? {
        check(number)?;
        number += 1;
        let place = Place::Row(number);
        let row = row.map_err(failed)?;
        let flow = match fields(&row, collector, &class_names) {
            Ok(fields) => collector.row(place, fields)?,
            Err(problem) => {
                let error = collector.malformed(place, problem);
                collector.bad(error)?
            }
        };
        if flow.is_break() {
            return Ok(());
        }
    }
    Ok(())
}

/// The columns that have a role; `None` for all of them if their names have no shape, so that the
/// first row reports it. The others are listed as ignored.
fn projection(schema: &Type, collector: &mut Collector<'_>) -> Option<Type> {
    let names: Vec<Option<&str>> =
        schema.get_fields().iter().map(|field| Some(field.name())).collect();
    let plan = plan(&names, collector.mapping()).ok()?;
    let mut used = Vec::new();
    for (index, field) in schema.get_fields().iter().enumerate() {
        if plan.role(index).is_some() {
            used.push(field.clone());
        } else {
            collector.ignore(field.name());
        }
    }
    Type::group_type_builder(schema.name()).with_fields(used).build().ok()
}

fn fields<'r>(
    row: &'r ParquetRow,
    collector: &Collector<'_>,
    class_names: &ClassNames,
) -> Result<Row<'r>, String> {
    row.get_column_iter()
        .map(|(name, value)| {
            let is_kept = may_be_structured(name) || collector.mapping().is_structured(name);
            let field = match (class_names.get(name), class_number(value)) {
                (Some(names), Some(number)) => class(names, number),
                _ => field(value, is_kept)?,
            };
            Ok((Cow::Borrowed(name.as_str()), field))
        })
        .collect()
}

/// The name of a class; -1 is an example without a label.
fn class(names: &[String], number: i64) -> Field<'static> {
    match usize::try_from(number).ok().map(|number| names.get(number)) {
        None => Field::Null,
        Some(Some(name)) => Field::Text(Cow::Owned(name.clone())),
        Some(None) => Field::Text(Cow::Owned(number.to_string())),
    }
}

fn class_number(value: &Value) -> Option<i64> {
    match value {
        Value::Long(number) => Some(*number),
        Value::Int(number) => Some(i64::from(*number)),
        Value::Short(number) => Some(i64::from(*number)),
        Value::Byte(number) => Some(i64::from(*number)),
        _ => None,
    }
}

fn field(value: &Value, is_kept: bool) -> Result<Field<'_>, String> {
    let text = |text: String| Field::Text(Cow::Owned(text));
    Ok(match value {
        Value::Null => Field::Null,
        Value::Str(string) => limited(string)?,
        Value::Bytes(bytes) => bytes.as_utf8().map_or(Ok(Field::Bytes), limited)?,
        Value::Float16(number) => Field::Float(f64::from(number.to_f32())),
        Value::Float(number) => Field::Float(f64::from(*number)),
        Value::Double(number) => Field::Float(*number),
        Value::ListInternal(_) if !is_kept => Field::List(None),
        Value::ListInternal(_) => {
            let mut out = String::new();
            json::push(&mut out, value);
            if out.len() > MOST_EXAMPLE {
                return Err(too_long());
            }
            Field::List(Some(out))
        }
        Value::Group(_) | Value::MapInternal(_) => Field::Object,
        other => text(other.to_string()),
    })
}

fn limited(text: &str) -> Result<Field<'_>, String> {
    if text.len() > MOST_EXAMPLE {
        return Err(too_long());
    }
    Ok(Field::Text(Cow::Borrowed(text)))
}

fn too_long() -> String {
    format!("it is longer than {} MB, the limit for one example", MOST_EXAMPLE >> 20)
}

/// The class names in the metadata of Hugging Face datasets.
fn class_names(metadata: Option<&Vec<parquet::file::metadata::KeyValue>>) -> ClassNames {
    let entry = metadata.into_iter().flatten().find(|entry| entry.key == "huggingface");
    let value: serde_json::Value = entry
        .and_then(|entry| serde_json::from_str(entry.value.as_deref()?).ok())
        .unwrap_or_default();
    let features = value.pointer("/info/features").and_then(serde_json::Value::as_object);
    let names = |feature: &serde_json::Value| -> Option<Vec<String>> {
        let names =
            feature.get("names").filter(|_| feature["_type"] == "ClassLabel")?.as_array()?;
        names.iter().map(|name| name.as_str().map(str::to_owned)).collect()
    };
    features
        .into_iter()
        .flatten()
        .filter_map(|(column, feature)| Some((column.clone(), names(feature)?)))
        .collect()
}

#[cfg(test)]
mod tests;
