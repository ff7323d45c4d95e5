//! `json.dumps` of Python.

use std::fmt::Write;

use minijinja::{
    Error, ErrorKind, Value,
    value::{Kwargs, ValueKind},
};

use super::text;

/// Deepest nesting of lists and objects.
const DEEPEST: usize = 200;

/// The options of `json.dumps`.
#[derive(Debug, Default)]
pub(super) struct Style {
    ascii: bool,
    indent: Option<String>,
    separators: Option<(String, String)>,
    sorted: bool,
}

impl Style {
    /// Reads the options that a template passes by name.
    pub(super) fn read(options: &Kwargs) -> Result<Self, Error> {
        let indent = match options.get::<Option<Value>>("indent")? {
            None => None,
            Some(text) if text.as_str().is_some() => text.as_str().map(str::to_owned),
            Some(width) => {
                let width = width.as_i64().or_else(|| Some(i64::from(width.is_true())));
                width.map(|width| " ".repeat(width.clamp(0, 64) as usize))
            }
        };
        let separators = match options.get::<Option<Value>>("separators")? {
            None => None,
            Some(pair) => {
                let pair: Vec<String> = pair.try_iter()?.map(|it| text::str(&it)).collect();
                let [item, key] = <[String; 2]>::try_from(pair)
                    .map_err(|_| invalid("`separators` of `tojson` must be a pair of texts"))?;
                Some((item, key))
            }
        };
        let flag = |name| options.get::<Option<bool>>(name).map(|it| it.unwrap_or(false));
        let style =
            Self { ascii: flag("ensure_ascii")?, indent, separators, sorted: flag("sort_keys")? };
        options.assert_all_used()?;
        Ok(style)
    }

    fn item_separator(&self) -> &str {
        match (&self.separators, &self.indent) {
            (Some((item, _)), _) => item,
            (None, Some(_)) => ",",
            (None, None) => ", ",
        }
    }

    fn key_separator(&self) -> &str {
        self.separators.as_ref().map_or(": ", |(_, key)| key)
    }

    /// The line break before an item at a depth.
    fn line(&self, out: &mut String, depth: usize) {
        if let Some(indent) = &self.indent {
            out.push('\n');
            (0..depth).for_each(|_| out.push_str(indent));
        }
    }
}

/// A value as JSON text.
pub(super) fn dumps(value: &Value, style: &Style) -> Result<String, Error> {
    let mut out = String::new();
    write(&mut out, value, style, 0)?;
    Ok(out)
}

fn write(out: &mut String, value: &Value, style: &Style, depth: usize) -> Result<(), Error> {
    if depth > DEEPEST {
        return Err(invalid("the value is nested too deeply for `tojson`"));
    }
    match value.kind() {
        ValueKind::None => out.push_str("null"),
        ValueKind::Bool => out.push_str(if value.is_true() { "true" } else { "false" }),
        ValueKind::Number => out.push_str(&number(value)),
        ValueKind::String => string(out, value.as_str().unwrap_or_default(), style.ascii),
        ValueKind::Seq => {
            let items: Vec<Value> = value.try_iter()?.collect();
            delimited(out, ['[', ']'], &items, style, depth, |out, item| {
                write(out, item, style, depth + 1)
            })?;
        }
        ValueKind::Map => {
            let mut keys: Vec<Value> = value.try_iter()?.collect();
            if style.sorted {
                keys.sort();
            }
            delimited(out, ['{', '}'], &keys, style, depth, |out, key| {
                string(out, &key_text(key)?, style.ascii);
                out.push_str(style.key_separator());
                write(out, &value.get_item(key)?, style, depth + 1)
            })?;
        }
        _ => {
            return Err(invalid(&format!("a value of type {} is not JSON", value.kind())));
        }
    }
    Ok(())
}

fn delimited(
    out: &mut String,
    [open, close]: [char; 2],
    items: &[Value],
    style: &Style,
    depth: usize,
    mut each: impl FnMut(&mut String, &Value) -> Result<(), Error>,
) -> Result<(), Error> {
    out.push(open);
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push_str(style.item_separator());
        }
        style.line(out, depth + 1);
        each(out, item)?;
    }
    if !items.is_empty() {
        style.line(out, depth);
    }
    out.push(close);
    Ok(())
}

/// The text of a key, which need not be a text in Python.
fn key_text(key: &Value) -> Result<String, Error> {
    Ok(match key.kind() {
        ValueKind::String => key.as_str().unwrap_or_default().to_owned(),
        ValueKind::None => "null".to_owned(),
        ValueKind::Bool => key.is_true().to_string(),
        ValueKind::Number => number(key),
        other => return Err(invalid(&format!("a value of type {other} is not a JSON key"))),
    })
}

fn number(value: &Value) -> String {
    match text::str(value).as_str() {
        "nan" => "NaN".to_owned(),
        "inf" => "Infinity".to_owned(),
        "-inf" => "-Infinity".to_owned(),
        other => other.to_owned(),
    }
}

fn string(out: &mut String, text: &str, ascii: bool) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            other if other < ' ' || (ascii && !matches!(other, ' '..='~')) => {
                for unit in other.encode_utf16(&mut [0; 2]) {
                    // Writing to a text cannot fail.
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
            other => out.push(other),
        }
    }
    out.push('"');
}

fn invalid(problem: &str) -> Error {
    Error::new(ErrorKind::InvalidOperation, problem.to_owned())
}
