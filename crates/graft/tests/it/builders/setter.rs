//! The setter of one key.

use graft_spec::{KeyKind, KeySpec, Value};

use super::markup::{comment, sentence};

/// Widest line of the sources.
const WIDTH: usize = 100;

/// The type of the argument, and the function of `options.rs` that makes a value of it.
fn argument(key: &KeySpec) -> (&'static str, &'static str) {
    match key.kind {
        KeyKind::Bool => ("bool", "flag"),
        KeyKind::Integer { min, .. } if min < 0 => ("i64", "integer"),
        // Seeds take every value.
        KeyKind::Integer { max: i64::MAX, .. } => ("u64", "integer"),
        KeyKind::Integer { .. } | KeyKind::IntegerOrAuto { .. } => ("usize", "integer"),
        KeyKind::Float { .. } | KeyKind::FloatOrAuto { .. } | KeyKind::FloatOrPath { .. } => {
            ("f64", "number")
        }
        KeyKind::Text | KeyKind::Choice(_) | KeyKind::Path => ("&str", "text"),
        KeyKind::Modules | KeyKind::List => ("impl IntoIterator<Item = T>", "list"),
    }
}

/// The functions of `options.rs` that the setters of a key use.
pub(super) fn imports(key: &KeySpec) -> Vec<&'static str> {
    let mut names = vec![argument(key).1];
    names.extend(key.takes_auto().then_some("auto"));
    names.extend(key.takes_path().then_some("text"));
    names
}

/// The setter with its doc comment; two setters for a key that also takes `auto`.
pub(super) fn source(key: &KeySpec) -> String {
    let (kind, constructor) = argument(key);
    let generics = if constructor == "list" { "<T: Into<String>>" } else { "" };
    let start = format!("    pub fn {}{generics}(", key.name);
    let mut signature = format!("{start}self, value: {kind}) -> Self {{");
    if signature.chars().count() > WIDTH {
        signature = format!("{start}\n        self,\n        value: {kind},\n    ) -> Self {{");
    }
    let attribute = match key.name.contains(char::is_uppercase) {
        true => "    #[allow(non_snake_case, reason = \"HF PEFT's name\")]\n",
        false => "",
    };
    let mut text = format!(
        "\n{}{attribute}{signature}\n        Self {{ settings: self.settings.with(\"{}\", {constructor}(value)) }}\n    }}\n",
        comment("    ", &docs(key)),
        key.name
    );
    if key.takes_auto() {
        text.push_str(&format!(
            "\n    /// [`{0}`](Self::{0}) chosen by Graft: `{0}=auto`.\n    pub fn {0}_auto(self) -> Self {{\n\
             \x20       Self {{ settings: self.settings.with(\"{0}\", auto()) }}\n    }}\n",
            key.name
        ));
    }
    if key.takes_path() {
        text.push_str(&format!(
            "\n    /// [`{0}`](Self::{0}) from a file or folder: `{0}=FILE`.\n    pub fn {0}_file(self, value: &str) -> Self {{\n\
             \x20       Self {{ settings: self.settings.with(\"{0}\", text(value)) }}\n    }}\n",
            key.name
        ));
    }
    text
}

/// Help, default and range.
fn docs(key: &KeySpec) -> String {
    let mut facts = Vec::new();
    if !key.default.is_empty() {
        facts.push(format!("Default: `{}`.", key.default));
    }
    match key.kind {
        KeyKind::Integer { min, max } | KeyKind::IntegerOrAuto { min, max } => {
            facts.push(range(&grouped(min), (max < 100_000_000).then(|| grouped(max))));
        }
        KeyKind::Float { min, max }
        | KeyKind::FloatOrAuto { min, max }
        | KeyKind::FloatOrPath { min, max } => {
            facts.push(range(&decimal(min), (max < 1e5).then(|| decimal(max))));
        }
        KeyKind::Choice(words) => {
            let words: Vec<_> = words.iter().map(|word| format!("`{word}`")).collect();
            facts.push(format!("One of {}.", words.join(", ")));
        }
        _ => {}
    }
    let values = if let KeyKind::Choice(words) = key.kind { words } else { &[] };
    let help = sentence(key.help, values);
    if facts.is_empty() { help } else { format!("{help}\n\n{}", facts.join(" ")) }
}

fn range(min: &str, max: Option<String>) -> String {
    match max {
        Some(max) => format!("From {min} to {max}."),
        None => format!("At least {min}."),
    }
}

/// `1000.0` as `1,000`, `0.999` as it is.
fn decimal(value: f64) -> String {
    if value.fract() == 0.0 { grouped(value as i64) } else { value.to_string() }
}

/// `65536` as `65,536`.
fn grouped(value: i64) -> String {
    let digits = value.unsigned_abs().to_string();
    let mut text = String::new();
    for (place, digit) in digits.char_indices() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if value < 0 { format!("-{text}") } else { text }
}

/// `Lora::new().r(8)`: the first keys that have a default, set to it. Of the keys of `%runs use`,
/// which have none, the first.
pub(super) fn example(builder: &str, keys: &[KeySpec], count: usize) -> String {
    let given = keys.iter().filter(|key| !matches!(key.name, "bg" | "adapter_name"));
    let mut calls: Vec<String> = given
        .filter_map(|key| Some(format!(".{}({})", key.name, literal(&key.default_value()?))))
        .take(count)
        .collect();
    let text = keys.first().filter(|key| key.kind == KeyKind::Text && calls.is_empty());
    calls.extend(text.map(|key| format!(".{}(\"last\")", key.name)));
    format!("{builder}::new(){}", calls.concat())
}

fn literal(value: &Value) -> String {
    match value {
        Value::Float(value) => format!("{value:?}"),
        Value::Text(value) => format!("{value:?}"),
        Value::List(values) => format!("{values:?}"),
        Value::Bool(_) | Value::Integer(_) => value.to_string(),
    }
}
