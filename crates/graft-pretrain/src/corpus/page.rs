//! One page of the documentation, as text.

use serde::{Deserialize, Serialize};

/// A page as a list of blocks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    /// The book of the page: `book`, `reference`, `std`, ...
    pub book: String,
    /// The path in the documentation folder.
    pub path: String,
    /// The split of the page.
    pub split: Split,
    /// The text.
    pub blocks: Vec<Block>,
}

/// A passage of a page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Block {
    /// A heading with its level, 1 to 6.
    Heading(u8, String),
    /// A paragraph, a list item or the rows of a table.
    Paragraph(String),
    /// A code block with its indentation.
    Code(String),
}

/// A part of the corpus.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// For pretraining and fine-tuning.
    Train,
    /// For validation during training.
    Validation,
    /// For the reported measurements.
    Test,
}

impl Page {
    /// The page as Markdown-like text: `#` before headings, fences around code, an empty line
    /// between blocks.
    pub fn text(&self) -> String {
        self.blocks.iter().map(Block::text).collect::<Vec<_>>().join("\n\n")
    }
}

impl Block {
    /// The block as Markdown-like text.
    pub fn text(&self) -> String {
        match self {
            Self::Heading(level, text) => format!("{} {text}", "#".repeat(usize::from(*level))),
            Self::Paragraph(text) => text.clone(),
            Self::Code(text) => format!("```\n{text}\n```"),
        }
    }
}

/// Chosen so that every book of the `which-book` data set has dozens of paragraphs in each split.
/// With an empty salt the Nomicon would have five for validation.
const SPLIT_SALT: &str = "117";

/// The split of a page: 8 % test, 7 % validation. A hash of its key alone decides, so that new
/// pages do not move others.
pub fn split_of(key: &str) -> Split {
    match hash(&format!("{SPLIT_SALT}/{key}")) % 100 {
        0..8 => Split::Test,
        8..15 => Split::Validation,
        _ => Split::Train,
    }
}

/// FNV-1a with a final mix, because its low bits are poor. Unlike the standard hasher it is stable
/// across platforms and versions.
pub(crate) fn hash(text: &str) -> u64 {
    let mut state = 0xcbf2_9ce4_8422_2325_u64;
    for byte in text.bytes() {
        state = (state ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    state ^= state >> 33;
    state = state.wrapping_mul(0xff51_afd7_ed55_8ccd);
    state ^ (state >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn about_fifteen_percent_of_pages_are_held_out() {
        let held_out = (0..10_000)
            .filter(|number| split_of(&format!("book/page-{number}.html")) != Split::Train)
            .count();
        assert!((1_300..1_700).contains(&held_out), "{held_out}");
    }

    #[test]
    fn a_page_prints_as_markdown() {
        let blocks = vec![
            Block::Heading(2, "Title".into()),
            Block::Paragraph("Words.".into()),
            Block::Code("let x = 1;".into()),
        ];
        let page =
            Page { book: "book".into(), path: "book/a.html".into(), split: Split::Train, blocks };
        assert_eq!(page.text(), "## Title\n\nWords.\n\n```\nlet x = 1;\n```");
    }
}
