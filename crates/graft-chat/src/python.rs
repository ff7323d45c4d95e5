//! The environment of a template: Jinja with Python's types, set up as in transformers.

mod filters;
mod json;
mod methods;
mod text;

use chrono::{Local, format::StrftimeItems};
use minijinja::{
    AutoEscape, Environment, Error, ErrorKind, Output, State, UndefinedBehavior, Value,
    syntax::SyntaxConfig,
    value::{Kwargs, ValueKind},
};

use crate::render::Refusal;

pub(crate) use text::{strip, strip_end};

/// An environment with the options, filters, tests and functions of transformers.
pub(crate) fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
    // It fails only for custom delimiters that are empty or equal.
    if let Ok(syntax) = syntax {
        environment.set_syntax(syntax);
    }
    environment.set_undefined_behavior(UndefinedBehavior::Lenient);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.set_unknown_method_callback(methods::call);
    environment.set_formatter(write);
    minijinja_contrib::add_to_environment(&mut environment);
    environment.add_filter("tojson", to_json);
    environment.add_filter("indent", filters::indent);
    environment.add_filter("int", filters::int);
    environment.add_filter("float", filters::float);
    environment.add_filter("string", |value: &Value| text::str(value));
    environment.add_filter("trim", trim);
    environment.add_test("sequence", is_sequence);
    environment.add_test("iterable", |value: &Value| !value.is_none() && value.try_iter().is_ok());
    environment.add_function("raise_exception", raise_exception);
    environment.add_function("strftime_now", strftime_now);
    environment
}

/// Writes the value of an expression as `str` of Python does.
fn write(output: &mut Output<'_>, _: &mut State<'_, '_>, value: &Value) -> Result<(), Error> {
    let written = match value.as_str() {
        Some(text) => output.write_str(text),
        None => output.write_str(&text::str(value)),
    };
    written.map_err(Error::from)
}

/// `json.dumps` with `ensure_ascii=False`.
fn to_json(value: &Value, options: Kwargs) -> Result<String, Error> {
    let style = json::Style::read(&options)?;
    json::dumps(value, &style)
}

/// `str.strip` of any value.
fn trim(value: &Value, characters: Option<String>) -> String {
    let text = text::str(value);
    match characters {
        Some(characters) => text.trim_matches(|it| characters.contains(it)).to_owned(),
        None => strip(&text).to_owned(),
    }
}

/// Whether a value has a length and items. In Python, texts and dictionaries do too.
fn is_sequence(value: &Value) -> bool {
    matches!(value.kind(), ValueKind::Seq | ValueKind::String | ValueKind::Map)
        || value.is_undefined()
}

fn raise_exception(message: &Value) -> Result<Value, Error> {
    Err(Error::new(ErrorKind::InvalidOperation, "refused").with_source(Refusal(text::str(message))))
}

/// `datetime.now().strftime(format)`.
fn strftime_now(format: &str) -> Result<String, Error> {
    let invalid = || {
        let problem = format!("`{format}` is not a valid date format");
        Error::new(ErrorKind::InvalidOperation, problem)
    };
    let items = StrftimeItems::new(format).parse().map_err(|_| invalid())?;
    Ok(Local::now().format_with_items(items.iter()).to_string())
}

#[cfg(test)]
mod tests;
