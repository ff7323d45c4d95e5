//! Every magic in the guide and in the README parses.

use std::path::{Path, PathBuf};

use graft_magic::{PartKind, parse_cell, script_cells};

/// Returns the pages to check.
fn pages() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let chapters = std::fs::read_dir(root.join("docs/src")).expect("the guide is there");
    let mut pages: Vec<PathBuf> = chapters
        .map(|entry| entry.expect("the folder can be listed").path())
        .filter(|path| path.extension().is_some_and(|it| it == "md"))
        .collect();
    pages.push(root.join("README.md"));
    pages.sort();
    pages
}

/// Returns the contents of the blocks that begin with "```text".
fn blocks(page: &str) -> Vec<String> {
    let mut blocks: Vec<String> = Vec::new();
    let mut is_open = false;
    for line in page.lines() {
        match line {
            "```text" => {
                is_open = true;
                blocks.push(String::new());
            }
            _ if line.starts_with("```") => is_open = false,
            _ if is_open => {
                if let Some(block) = blocks.last_mut() {
                    block.push_str(line);
                    block.push('\n');
                }
            }
            _ => {}
        }
    }
    blocks
}

#[test]
fn every_block_of_magics_in_the_guide_parses() {
    let mut checked = 0;
    for path in pages() {
        let page = std::fs::read_to_string(&path).expect("a page that was just listed");
        for block in blocks(&page) {
            for cell in script_cells(&block) {
                let parts = parse_cell(&cell, &Default::default())
                    .unwrap_or_else(|failure| panic!("{}\n{cell}\n{failure}", path.display()));
                for part in parts {
                    let is_rust = matches!(part.kind, PartKind::Rust(_));
                    assert!(!is_rust, "{}: `{}` is not a magic", path.display(), part.text);
                    checked += 1;
                }
            }
        }
    }
    assert!(checked > 100, "only {checked} lines were found");
}

/// Checks code in running text, such as `%lora scale 0.5`. `...` and words such as `METHOD` mark a
/// pattern.
#[test]
fn every_magic_in_running_text_parses() {
    let is_pattern = |code: &str| ["...", "NUMBER", "METHOD"].iter().any(|it| code.contains(it));
    let is_magic = |code: &str| code.starts_with('%') && code.contains(' ');
    let (mut checked, mut wrong) = (0, Vec::new());
    for path in pages() {
        let page = std::fs::read_to_string(&path).expect("a page that was just listed");
        let mut is_block = false;
        for line in page.lines() {
            is_block ^= line.starts_with("```");
            let codes = line.split('`').skip(1).step_by(2);
            for code in codes.filter(|code| !is_block && is_magic(code) && !is_pattern(code)) {
                checked += 1;
                if let Err(failure) = parse_cell(code, &Default::default()) {
                    wrong.push(format!("{}: `{code}`: {failure}", path.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(checked > 30, "only {checked} magics were found");
}
