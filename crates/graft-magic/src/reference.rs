//! The reference page: every verb as data and as Markdown.

use std::fmt::Write;

use graft_spec::KeySpec;

use crate::{
    help::{VerbDoc, values},
    verbs,
};

/// The help of every verb, in the registry's order.
pub fn reference() -> Vec<VerbDoc> {
    verbs::all().iter().map(VerbDoc::of).collect()
}

/// The reference page; `README.md` of this crate is exactly this.
pub fn reference_markdown() -> String {
    let mut page = String::from(INTRODUCTION);
    for verb in reference() {
        section(&mut page, &verb).unwrap_or_default();
    }
    page
}

fn section(page: &mut String, verb: &VerbDoc) -> std::fmt::Result {
    writeln!(page, "\n## %{}\n\n{}.", verb.name, capital(verb.summary))?;
    if !verb.help.is_empty() {
        writeln!(page, "{}", verb.help)?;
    }
    if !verb.aliases.is_empty() {
        writeln!(page, "\nAlso: `%{}`.", verb.aliases.join("`, `%"))?;
    }
    writeln!(page, "\n| usage | what it does |\n|---|---|")?;
    for form in &verb.forms {
        let slots: Vec<_> =
            form.slots.iter().map(|(name, help)| format!("; {name}: {help}")).collect();
        writeln!(page, "| `{}` | {}{} |", form.usage, form.summary, slots.concat())?;
    }
    if !verb.keys.is_empty() {
        writeln!(page, "\n| key | short | value | default | meaning |\n|---|---|---|---|---|")?;
        verb.keys.iter().try_for_each(|key| key_row(page, key))?;
    }
    if !verb.more_keys.is_empty() {
        let names: Vec<_> = verb.more_keys.iter().map(|key| key.name).collect();
        writeln!(
            page,
            "\nWith keys of [`%train`](#train) it attaches and trains: `{}`.",
            names.join("`, `")
        )?;
    }
    writeln!(page, "\n```text\n{}\n```", verb.examples.join("\n"))
}

fn key_row(page: &mut String, key: &KeySpec) -> std::fmt::Result {
    let [value, help] = [values(key), key.help.to_owned()].map(|text| text.replace('|', "\\|"));
    writeln!(
        page,
        "| `{}` | {} | {value} | {} | {help} |",
        key.name,
        key.aliases.join(", "),
        key.default
    )
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

const INTRODUCTION: &str = "# The magics of Graft

This page is made from the definitions in `src/verbs/` and in `graft-protocol`; a test keeps it so (`GRAFT_BLESS=1 cargo test -p graft-magic` writes it anew).

A magic begins with `%` in the first column; `%%name` on the first line takes the whole cell; `!cmd` goes to the shell and `:dep` to evcxr.
`key=value` and `--key value` are the same. `%name?` or `-h` explains a magic, Tab completes it, and `--rust` prints the Rust that does the same.
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_readme_is_the_reference() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
        if std::env::var_os("GRAFT_BLESS").is_some() {
            std::fs::write(path, reference_markdown()).unwrap();
        }
        let readme = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            readme == reference_markdown(),
            "README.md is out of date: run GRAFT_BLESS=1 cargo test -p graft-magic"
        );
    }
}
