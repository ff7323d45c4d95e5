//! Nested values of a Parquet file as JSON.

use std::fmt::Write;

use parquet::record::Field as Value;

use crate::json_text::push_string;

/// Appends a value. Fields without a value are left out: a column of structs has every field that
/// any row has, so that each message would have `tool_calls`.
pub(super) fn push(out: &mut String, value: &Value) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Str(text) => push_string(out, text),
        Value::Bytes(bytes) => push_string(out, &String::from_utf8_lossy(bytes.data())),
        Value::Bool(_)
        | Value::Byte(_)
        | Value::Short(_)
        | Value::Int(_)
        | Value::Long(_)
        | Value::UByte(_)
        | Value::UShort(_)
        | Value::UInt(_)
        | Value::ULong(_) => {
            write!(out, "{value}").expect("invariant: strings accept writes");
        }
        Value::Float(number) => push_number(out, f64::from(*number)),
        Value::Double(number) => push_number(out, *number),
        Value::Group(row) => push_object(
            out,
            row.get_column_iter()
                .filter(|(_, value)| !matches!(value, Value::Null))
                .map(|(name, value)| (name.clone(), value)),
        ),
        Value::MapInternal(map) => push_object(
            out,
            map.entries().iter().map(|(key, value)| (key.to_string().replace('"', ""), value)),
        ),
        Value::ListInternal(list) => {
            out.push('[');
            for (index, element) in list.elements().iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                push(out, element);
            }
            out.push(']');
        }
        other => push_string(out, &other.to_string()),
    }
}

fn push_object<'v>(out: &mut String, fields: impl Iterator<Item = (String, &'v Value)>) {
    out.push('{');
    for (index, (name, value)) in fields.enumerate() {
        if index > 0 {
            out.push(',');
        }
        push_string(out, &name);
        out.push(':');
        push(out, value);
    }
    out.push('}');
}

/// Appends a number; JSON has neither NaN nor infinity.
fn push_number(out: &mut String, number: f64) {
    if number.is_finite() {
        write!(out, "{number:?}").expect("invariant: strings accept writes");
    } else {
        out.push_str("null");
    }
}
