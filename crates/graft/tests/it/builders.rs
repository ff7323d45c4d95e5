//! `src/options/builders` is generated from graft-spec: one file per builder, one setter per key.
//!
//! `GRAFT_BLESS=1 cargo test -p graft --test it builders` writes the files.

mod markup;
mod setter;

use std::{
    collections::BTreeMap,
    fmt::Write,
    path::{Path, PathBuf},
};

use graft_spec::{
    KeySpec,
    methods::{METHODS, MethodSpec},
    options::{OPTIONS, OptionsSpec},
};

use markup::{comment, links, sentence};

const HEADER: &str = "// Generated from graft-spec by tests/it/builders.rs. Do not edit: change the key's `KeySpec` and\n\
     // run `GRAFT_BLESS=1 cargo test -p graft --test it builders`.\n";

/// A struct with one setter per key.
struct Builder<'a> {
    name: &'a str,
    /// The module's doc comment, Markdown.
    title: String,
    /// The struct's doc comment, Markdown.
    docs: String,
    keys: &'a [KeySpec],
    /// The magic of a method; `None` for the options of a command.
    verb: Option<&'a str>,
}

#[test]
fn the_builders_are_those_of_the_spec() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/options");
    let expected = files();
    if std::env::var_os("GRAFT_BLESS").is_some() {
        drop(std::fs::remove_dir_all(folder.join("builders")));
        std::fs::create_dir_all(folder.join("builders")).unwrap();
        for (name, text) in &expected {
            std::fs::write(folder.join(name), text).unwrap();
        }
    }
    let again = "run GRAFT_BLESS=1 cargo test -p graft --test it builders";
    for (name, text) in &expected {
        let found = std::fs::read_to_string(folder.join(name)).unwrap_or_default();
        assert!(found == *text, "{} is out of date: {again}", name.display());
    }
    let entries = std::fs::read_dir(folder.join("builders")).unwrap();
    let found = entries.map(|entry| Path::new("builders").join(entry.unwrap().file_name()));
    let extra: Vec<PathBuf> = found.filter(|name| !expected.contains_key(name)).collect();
    assert!(extra.is_empty(), "{extra:?} belong to no builder: {again}");
}

/// Every file below `src/options`, with its content.
fn files() -> BTreeMap<PathBuf, String> {
    let mut files = BTreeMap::new();
    let (mut modules, mut names) = (Vec::new(), Vec::new());
    let options = OPTIONS.iter().map(|spec| (snake_case(spec.builder), options(spec)));
    let methods = METHODS.iter().map(|spec| (spec.verb.to_owned(), method(spec)));
    for (module, builder) in options.chain(methods) {
        names.push(format!("pub use {module}::{};\n", builder.name));
        files.insert(PathBuf::from(format!("builders/{module}.rs")), source(&builder));
        modules.push(format!("mod {module};\n"));
    }
    modules.sort();
    names.sort();
    let index = format!(
        "//! The builders: one struct per method and per set of options.\n{HEADER}\n{}\n{}",
        modules.concat(),
        names.concat()
    );
    files.insert(PathBuf::from("builders.rs"), index);
    files
}

fn options(spec: &OptionsSpec) -> Builder<'_> {
    let calls: Vec<_> =
        spec.calls.iter().map(|call| format!("[`{call}`](crate::{call})")).collect();
    let docs = format!(
        "Options of {}: the keys of {}.\n\n\
         An option that is not set has the default of its key.\n\n\
         # Examples\n```\nuse graft::prelude::*;\n\nlet options = {};\n```",
        calls.join(" and "),
        spec.magics,
        setter::example(spec.builder, spec.keys, 2)
    );
    let title = format!("The keys of {} as a builder.", spec.magics);
    Builder { name: spec.builder, title, docs, keys: spec.keys, verb: None }
}

fn method(spec: &MethodSpec) -> Builder<'_> {
    let docs = format!(
        "{} The method of `%{} attach`.\n\n```text\n{}\n```\n\n{}\n\n# Shapes\n{}\n\
         # Examples\n{}\n# Source\n{}",
        sentence(spec.summary, &[]),
        spec.verb,
        spec.equation,
        sentence(spec.help, &[]),
        spec.shapes,
        attach_example(spec),
        links(spec.source)
    );
    let title = format!("The keys of `%{}` as a builder.", spec.verb);
    Builder { name: spec.builder, title, docs, keys: spec.keys, verb: Some(spec.verb) }
}

/// An example that attaches the method to the embedded model.
fn attach_example(spec: &MethodSpec) -> String {
    // The embedded model has no biases.
    let (fence, model) = match spec.verb {
        "bitfit" => ("```no_run", "openai-community/gpt2"),
        _ => ("```", "tiny"),
    };
    let call = match spec.verb {
        "trainable_tokens" => format!("{}::new().token_indices([\"3\", \"40-44\"])", spec.builder),
        _ => setter::example(spec.builder, spec.keys, 1),
    };
    format!(
        "{fence}\nuse graft::prelude::*;\n\n# fn main() -> graft::Result<()> {{\n\
         let model = lab().load_model(\"{model}\")?;\nlet adapter = model.attach({call})?;\n\
         println!(\"{{adapter}}\");\n# Ok(())\n# }}\n```"
    )
}

fn source(builder: &Builder<'_>) -> String {
    let Builder { name, title, docs, keys, verb } = builder;
    // Which call is used decides whether a run is in the background.
    let keys: Vec<&KeySpec> = keys.iter().filter(|key| key.name != "bg").collect();
    let mut imports: Vec<&str> = keys.iter().flat_map(|key| setter::imports(key)).collect();
    imports.extend(verb.map(|_| "Method"));
    imports.sort_unstable_by_key(|name| (name.starts_with(char::is_lowercase), *name));
    imports.dedup();
    let imports = match imports.as_slice() {
        [one] => (*one).to_owned(),
        several => format!("{{{}}}", several.join(", ")),
    };
    let mut text = format!(
        "//! {title}\n{HEADER}\nuse graft_spec::Settings;\n\nuse crate::options::{imports};\n\n{}\
         #[derive(Clone, Debug, Default, PartialEq)]\n\
         #[must_use = \"a builder has no effect until it is passed to a call\"]\n\
         pub struct {name} {{\n    settings: Settings,\n}}\n\nimpl {name} {{\n\
         \x20   /// Starts with the default of every key.\n    pub fn new() -> Self {{\n        Self::default()\n    }}\n",
        comment("", docs)
    );
    keys.iter().for_each(|key| text.push_str(&setter::source(key)));
    text.push_str("}\n");
    let ending = match verb {
        Some(verb) => format!(
            "\nimpl Method for {name} {{\n    fn verb(&self) -> &'static str {{\n        \"{verb}\"\n    }}\n\n\
             \x20   fn into_settings(self) -> Settings {{\n        self.settings\n    }}\n}}\n"
        ),
        None => format!(
            "\nimpl From<{name}> for Settings {{\n    fn from(builder: {name}) -> Self {{\n\
             \x20       builder.settings\n    }}\n}}\n"
        ),
    };
    text.push_str(&ending);
    text
}

/// `RunWeights` to `run_weights`.
fn snake_case(name: &str) -> String {
    let mut text = String::new();
    for (place, letter) in name.char_indices() {
        if letter.is_uppercase() && place > 0 {
            text.push('_');
        }
        let _ = write!(text, "{}", letter.to_lowercase());
    }
    text
}
