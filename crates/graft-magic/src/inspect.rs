//! Shift-Tab on a magic: help for the key, the subcommand or the magic at the cursor.

use graft_protocol::{Block, Cell, Snapshot, Table};
use graft_spec::KeySpec;

use crate::{
    help::{VerbDoc, key_table, values},
    modules,
    place::{self, Place},
    verb::{Form, VerbSpec},
    verbs,
    words::{self, Word},
};

/// Help for the token at the cursor.
#[derive(Clone, Debug)]
pub struct Inspection {
    /// As text.
    pub plain: String,
    /// As blocks for the renderer.
    pub blocks: Vec<Block>,
}

/// Explains the magic at `cursor` (in code points). `None` if the cursor is in Rust or on an
/// unknown word.
///
/// With a `detail` of 1 or more, explains the whole magic even if the cursor is on a key.
pub fn inspect(text: &str, cursor: usize, snapshot: &Snapshot, detail: u8) -> Option<Inspection> {
    let Place::Magic(magic) = place::find(text, cursor) else { return None };
    let (sign, name, before) = magic.split();
    let verb = verbs::find(name)?;
    let blocks = match before {
        Some(_) if detail == 0 && !verb.is_raw() => {
            let start = sign.len() + name.len();
            let words = words::split_open(magic.text.get(start..)?, 0, 0).words;
            let column = magic.text.get(start..magic.cursor)?.chars().count();
            under(verb, sign == "%%", &words, column, snapshot)
                .unwrap_or_else(|| VerbDoc::of(verb).blocks())
        }
        _ => VerbDoc::of(verb).blocks(),
    };
    Some(Inspection { plain: plain(&blocks), blocks })
}

/// Returns the help for the word at `column`.
fn under(
    verb: &'static VerbSpec,
    cell: bool,
    words: &[Word],
    column: usize,
    snapshot: &Snapshot,
) -> Option<Vec<Block>> {
    let named = words
        .first()
        .and_then(Word::bare)
        .filter(|word| !cell && !word.is_empty())
        .and_then(|word| verb.form(word));
    let form = named.or_else(|| if cell { verb.cell.as_ref() } else { verb.form("") })?;
    let word = words.iter().find(|word| column >= word.span.start && column <= word.span.end)?;
    let name = word.pair().map_or_else(
        || word.text.trim_start_matches("--").to_owned(),
        |(key, _)| key.trim_start_matches('-').to_owned(),
    );
    match form.key(&name.replace('-', "_")) {
        Some(key) => Some(key_blocks(key, snapshot)),
        None if named.is_some() && words.first() == Some(word) => Some(form_blocks(verb, form)),
        None => None,
    }
}

fn key_blocks(key: &'static KeySpec, snapshot: &Snapshot) -> Vec<Block> {
    let short = if key.aliases.is_empty() {
        String::new()
    } else {
        format!(" (short: {})", key.aliases.join(", "))
    };
    let default =
        if key.default.is_empty() { String::new() } else { format!("; default {}", key.default) };
    let mut text = format!("{}{short}: {}\nvalue: {}{default}", key.name, key.help, values(key));
    let leaves = modules::leaves(snapshot);
    if key.kind == graft_spec::KeyKind::Modules && !leaves.is_empty() {
        text.push_str(&format!("\nthis model has {}", leaves.join(", ")));
    }
    vec![Block::Text(text)]
}

fn form_blocks(verb: &VerbSpec, form: &Form) -> Vec<Block> {
    let slots: Vec<_> =
        form.slots.iter().map(|slot| format!("\n{}: {}", slot.name, slot.help)).collect();
    let mut blocks = vec![Block::Text(format!(
        "%{} {}\n{}{}",
        verb.name,
        form.usage(),
        form.summary,
        slots.concat()
    ))];
    if !form.keys.is_empty() {
        blocks.push(Block::Table(key_table("keys", &form.keys)));
    }
    blocks
}

/// Formats help blocks as aligned text.
fn plain(blocks: &[Block]) -> String {
    let texts: Vec<_> = blocks
        .iter()
        .filter_map(|block| match block {
            Block::Text(text) => Some(text.clone()),
            Block::Table(table) => Some(aligned(table)),
            _ => None,
        })
        .collect();
    texts.join("\n\n")
}

fn aligned(table: &Table) -> String {
    let text = |cell: &Cell| match cell {
        Cell::Text(text) | Cell::Code(text) | Cell::Strong(text) => text.clone(),
        _ => String::new(),
    };
    let header: Vec<String> = table.columns.iter().map(|column| column.name.clone()).collect();
    let rows: Vec<Vec<String>> = std::iter::once(header)
        .chain(table.rows.iter().map(|row| row.iter().map(text).collect()))
        .collect();
    let widths: Vec<usize> = (0..table.columns.len())
        .map(|column| {
            rows.iter()
                .filter_map(|row| row.get(column))
                .map(|cell| cell.chars().count())
                .max()
                .unwrap_or(0)
        })
        .collect();
    let line = |row: &Vec<String>| {
        let cells: Vec<_> =
            row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        cells.join("  ").trim_end().to_owned()
    };
    let lines: Vec<_> = rows.iter().map(line).collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Option<String> {
        let cursor = text.chars().take_while(|next| *next != '|').count();
        inspect(&text.replacen('|', "", 1), cursor, &Snapshot::default(), 0)
            .map(|found| found.plain)
    }

    #[test]
    fn verb_subcommand_and_key_are_distinguished() {
        assert!(at("%lo|ra attach alpha=16").unwrap().starts_with("%lora: low-rank adapters"));
        assert!(at("%lora att|ach alpha=16").unwrap().starts_with("%lora attach [key=value ...]"));
        assert!(
            at("%lora attach alp|ha=16")
                .unwrap()
                .starts_with("lora_alpha (short: alpha): scale of the update")
        );
    }

    #[test]
    fn rust_and_unknown_verbs_are_not_answered() {
        assert!(at("let x| = 1;").is_none());
        assert!(at("%nosuch|").is_none());
    }
}
