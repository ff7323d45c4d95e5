//! Keeps each passage once. Held-out pages have priority, so that none of their passages remains in
//! a training page.

use std::collections::HashSet;

use super::{Block, HELD_OUT_BOOK, Page, Split, page};

/// Removes repeated blocks, then headings without text, then empty pages. The order of the pages
/// does not change.
pub(super) fn keep_first(pages: Vec<Page>) -> Vec<Page> {
    let mut order: Vec<usize> = (0..pages.len()).collect();
    order.sort_by_key(|&index| precedence(&pages[index]));
    let mut pages: Vec<Option<Page>> = pages.into_iter().map(Some).collect();
    let mut kept: Vec<Option<Page>> = vec![None; pages.len()];
    let mut seen = HashSet::new();
    for index in order {
        let mut page = pages[index].take().expect("invariant: the order names each page once");
        page.blocks.retain(|block| match block {
            Block::Heading(..) => true,
            Block::Paragraph(text) | Block::Code(text) => seen.insert(key(text)),
        });
        page.blocks = drop_empty_sections(page.blocks);
        kept[index] = (!page.blocks.is_empty()).then_some(page);
    }
    kept.into_iter().flatten().collect()
}

fn precedence(page: &Page) -> u8 {
    match page.split {
        _ if page.book == HELD_OUT_BOOK => 0,
        Split::Test => 1,
        Split::Validation => 2,
        Split::Train => 3,
    }
}

/// Two passages are equal if their letters are equal: the pages of `i8` to `u128` differ only in
/// digits and signs.
fn key(text: &str) -> u64 {
    let mut letters = String::with_capacity(text.len());
    for character in text.chars().filter(|character| character.is_alphabetic()) {
        letters.extend(character.to_lowercase());
    }
    if letters.is_empty() { page::hash(text) } else { page::hash(&letters) }
}

/// Drops every heading without text before the next heading of its level or above.
fn drop_empty_sections(blocks: Vec<Block>) -> Vec<Block> {
    let mut kept = Vec::with_capacity(blocks.len());
    let mut level_below = 0; // deepest heading level with text below it, from the end; 0: none
    let mut has_text = false;
    for block in blocks.into_iter().rev() {
        match &block {
            Block::Heading(level, _) if has_text || level_below > *level => {
                level_below = *level;
                has_text = false;
                kept.push(block);
            }
            Block::Heading(..) => {}
            _ => {
                has_text = true;
                kept.push(block);
            }
        }
    }
    kept.reverse();
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(path: &str, split: Split, blocks: &[Block]) -> Page {
        Page { book: "book".into(), path: path.into(), split, blocks: blocks.to_vec() }
    }

    #[test]
    fn a_passage_of_a_test_page_leaves_the_training_pages() {
        let shared = Block::Paragraph("The same words.".into());
        let own = Block::Paragraph("Other words.".into());
        let pages = keep_first(vec![
            page("a", Split::Train, &[shared.clone(), own.clone()]),
            page("b", Split::Test, std::slice::from_ref(&shared)),
        ]);
        assert_eq!(pages[0].blocks, [own]);
        assert_eq!(pages[1].blocks, [shared]);
    }

    #[test]
    fn passages_that_differ_in_digits_only_are_kept_once() {
        let pages = keep_first(vec![
            page("a", Split::Train, &[Block::Paragraph("The largest i32 is 5.".into())]),
            page("b", Split::Train, &[Block::Paragraph("The largest i64 is 9.".into())]),
        ]);
        assert_eq!(pages.len(), 1);
    }

    #[test]
    fn a_heading_stays_only_above_text() {
        let text = Block::Paragraph("Words.".into());
        let blocks = vec![
            Block::Heading(1, "kept".into()),
            Block::Heading(2, "empty".into()),
            Block::Heading(2, "kept too".into()),
            text.clone(),
            Block::Heading(2, "last".into()),
        ];
        assert_eq!(
            drop_empty_sections(blocks),
            [Block::Heading(1, "kept".into()), Block::Heading(2, "kept too".into()), text]
        );
    }
}
