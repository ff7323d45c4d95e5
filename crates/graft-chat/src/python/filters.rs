//! Filters of Jinja that accept more than those of the engine.

use minijinja::{Error, Value, value::Kwargs};

use super::text::{self, strip};

/// Widest indentation in spaces.
const WIDEST: i64 = 1000;

/// Indents all lines but the first; `width` is a number of spaces or the text to insert.
pub(super) fn indent(
    value: &Value,
    width: Option<Value>,
    first: Option<bool>,
    blank: Option<bool>,
    options: Kwargs,
) -> Result<String, Error> {
    let width = width.or(options.get("width")?);
    let first = first.or(options.get("first")?).unwrap_or(false);
    let blank = blank.or(options.get("blank")?).unwrap_or(false);
    options.assert_all_used()?;
    let indentation = match width {
        Some(text) if text.as_str().is_some() => text.to_string(),
        Some(width) => " ".repeat(width.as_i64().unwrap_or(4).clamp(0, WIDEST) as usize),
        None => "    ".to_owned(),
    };
    let text = text::str(value);
    let mut out = String::with_capacity(text.len());
    for (number, line) in text.split('\n').enumerate() {
        if number > 0 {
            out.push('\n');
        }
        if (number > 0 || first) && (number == 0 || blank || !line.is_empty()) {
            out.push_str(&indentation);
        }
        out.push_str(line);
    }
    Ok(out)
}

/// A whole number, or `default` for a text that is none.
pub(super) fn int(
    value: &Value,
    default: Option<Value>,
    base: Option<u32>,
    options: Kwargs,
) -> Result<Value, Error> {
    let default = default.or(options.get("default")?).unwrap_or_else(|| Value::from(0));
    let base = base.or(options.get("base")?).unwrap_or(10).clamp(2, 36);
    options.assert_all_used()?;
    if let Some(text) = value.as_str() {
        let text = strip(text);
        let whole = i64::from_str_radix(text, base).ok();
        let whole = whole.or_else(|| text.parse::<f64>().ok().and_then(truncated));
        return Ok(whole.map_or(default, Value::from));
    }
    if value.is_integer() {
        return Ok(value.clone());
    }
    let number = as_float(value).and_then(truncated);
    Ok(number.map_or(default, Value::from))
}

/// A number with a fraction, or `default` for a text that is none.
pub(super) fn float(
    value: &Value,
    default: Option<Value>,
    options: Kwargs,
) -> Result<Value, Error> {
    let default = default.or(options.get("default")?).unwrap_or_else(|| Value::from(0.0));
    options.assert_all_used()?;
    let number = match value.as_str() {
        Some(text) => strip(text).parse().ok(),
        None => as_float(value),
    };
    Ok(number.map_or(default, Value::from))
}

fn as_float(value: &Value) -> Option<f64> {
    f64::try_from(value.clone())
        .ok()
        .or_else(|| bool::try_from(value.clone()).ok().map(|it| f64::from(u8::from(it))))
}

fn truncated(number: f64) -> Option<i64> {
    (number.is_finite() && number.abs() < 9e18).then_some(number as i64)
}
