//! The reference page: the documentation of every magic, as data and as Markdown.

use std::fmt::Write;

use graft_spec::KeySpec;

use crate::{
    help::{VerbDoc, values},
    verbs,
};

/// Returns the documentation of every magic, in the order of the registry.
pub fn reference() -> Vec<VerbDoc> {
    verbs::all().iter().map(VerbDoc::of).collect()
}

/// Returns the reference page. A test keeps `README.md` of this crate equal to it.
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
    key_rows(page, &verb.keys)?;
    if !verb.combine_keys.is_empty() {
        writeln!(page, "\nKeys of `%{} combine`:", verb.name)?;
        key_rows(page, &verb.combine_keys)?;
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

fn key_rows(page: &mut String, keys: &[&KeySpec]) -> std::fmt::Result {
    if keys.is_empty() {
        return Ok(());
    }
    writeln!(page, "\n| key | short | value | default | meaning |\n|---|---|---|---|---|")?;
    keys.iter().try_for_each(|key| key_row(page, key))
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

This page is generated from the definitions in `src/verbs/` and in `graft-spec`: `GRAFT_BLESS=1 cargo test -p graft-magic` writes it, and a test keeps it up to date.

A magic begins with `%` in the first column. `%%name` on the first line applies to the whole cell. `!cmd` runs in the shell, and `:dep` is a command of evcxr.
`key=value` and `--key value` are equivalent. `%name?` or `-h` explains a magic, Tab completes it, and `--rust` prints the equivalent Rust code.

`{expression}` in a value or in an argument without quotes is replaced by the value of a Rust expression: `%lora attach r={rank} lora_alpha={2 * rank}`, `%lora save out/{name}`. A format may follow a colon, as in `lr={lr:e}`. Braces in quotes, in a prompt of several words and in `template=` stay as they are, and `{{x}}` is `{x}`.
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
