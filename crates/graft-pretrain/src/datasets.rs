//! The data sets bundled with Graft: `which-book`, `error-codes` and `rust-docs`, as JSON Lines
//! with a `split` field.

use std::fs;

use serde::Serialize;

use crate::corpus::{self, Block, HELD_OUT_BOOK, Page, Split};
use crate::paths::Paths;
use crate::{PretrainError, Result};

/// The classes of `which-book`: folder of the book, label.
const BOOKS: &[(&str, &str)] = &[
    ("book", "book"),
    ("reference", "reference"),
    ("cargo", "cargo"),
    ("rustc", "rustc"),
    ("nomicon", "nomicon"),
    ("std", "std"),
    ("rust-by-example", "examples"),
];

/// Length of a `which-book` paragraph in characters: at most about 160 tokens.
const PARAGRAPH_LENGTH: std::ops::RangeInclusive<usize> = 120..=500;

/// Most `which-book` paragraphs of one class in train, validation and test.
const MOST_PER_CLASS: [usize; 3] = [450, 60, 60];

/// Most characters of a passage, about 220 tokens.
const PASSAGE_LENGTH: usize = 700;

/// Shorter passages are left out of `rust-docs`: their first tokens, which have no context, would
/// dominate the loss.
const LEAST_PASSAGE: usize = 300;

/// Most `rust-docs` passages in train, validation and test.
const MOST_PASSAGES: [usize; 3] = [300, 150, 150];

/// A line of a data set.
#[derive(Clone, Debug, Serialize)]
struct Record {
    text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<&'static str>,
    split: Split,
    page: String,
}

/// Writes the data sets. Returns one line per data set.
///
/// # Errors
/// Errors of reading the corpus and writing the files.
pub fn build(paths: &Paths) -> Result<Vec<String>> {
    let pages = corpus::read(paths)?;
    fs::create_dir_all(&paths.datasets)
        .map_err(|source| PretrainError::io(&paths.datasets, source))?;
    let sets = [
        ("which-book", which_book(&pages)),
        ("error-codes", error_codes(&pages)),
        ("rust-docs", rust_docs(&pages)),
    ];
    sets.iter().map(|(name, records)| write(paths, name, records)).collect()
}

/// Paragraphs of each book, selected by a hash of their text and shuffled by another.
fn which_book(pages: &[Page]) -> Vec<Record> {
    let mut records = Vec::new();
    for &(book, label) in BOOKS {
        for (split, most) in
            [Split::Train, Split::Validation, Split::Test].into_iter().zip(MOST_PER_CLASS)
        {
            let mut found: Vec<Record> = paragraphs(pages, book, split)
                .map(|(page, text)| record(page, text, Some(label)))
                .collect();
            found.sort_by_cached_key(|record| corpus::hash(&record.text));
            found.truncate(most);
            records.extend(found);
        }
    }
    records.sort_by_cached_key(|record| {
        (record.split, corpus::hash(&format!("mixed {}", record.text)))
    });
    records
}

fn paragraphs<'a>(
    pages: &'a [Page],
    book: &'a str,
    split: Split,
) -> impl Iterator<Item = (&'a Page, String)> {
    let pages = pages.iter().filter(move |page| page.book == book && page.split == split);
    pages.flat_map(|page| page.blocks.iter().map(move |block| (page, block))).filter_map(
        |(page, block)| match block {
            Block::Paragraph(text)
                if PARAGRAPH_LENGTH.contains(&text.chars().count()) && !text.contains('\n') =>
            {
                Some((page, text.clone()))
            }
            _ => None,
        },
    )
}

/// The explanations of the compiler's error codes, cut between blocks into examples of moderate
/// length.
fn error_codes(pages: &[Page]) -> Vec<Record> {
    let mut records: Vec<Record> =
        pages.iter().filter(|page| page.book == HELD_OUT_BOOK).flat_map(passages).collect();
    records.sort_by_key(|record| record.split);
    records
}

/// Passages of everything else, code and prose: the domain that the model was pretrained on.
/// Pretraining did not use the validation and test passages.
fn rust_docs(pages: &[Page]) -> Vec<Record> {
    let mut records = Vec::new();
    for (split, most) in
        [Split::Train, Split::Validation, Split::Test].into_iter().zip(MOST_PASSAGES)
    {
        let pages = pages.iter().filter(|page| page.book != HELD_OUT_BOOK && page.split == split);
        let mut found: Vec<Record> = pages
            .flat_map(passages)
            .filter(|record| (LEAST_PASSAGE..=PASSAGE_LENGTH).contains(&record.text.len()))
            .collect();
        found.sort_by_cached_key(|record| corpus::hash(&record.text));
        found.dedup_by(|one, other| one.text == other.text);
        found.truncate(most);
        records.extend(found);
    }
    records
}

/// Cuts a page between its blocks.
fn passages(page: &Page) -> Vec<Record> {
    let mut records = Vec::new();
    let mut text = String::new();
    for block in &page.blocks {
        let next = block.text();
        if !text.is_empty() && text.len() + next.len() > PASSAGE_LENGTH {
            records.push(record(page, std::mem::take(&mut text), None));
        }
        if !text.is_empty() {
            text.push_str("\n\n");
        }
        text.push_str(&next);
    }
    records.push(record(page, text, None));
    records
}

fn record(page: &Page, text: String, label: Option<&'static str>) -> Record {
    Record { text, label, split: page.split, page: page.path.clone() }
}

fn write(paths: &Paths, name: &str, records: &[Record]) -> Result<String> {
    let path = paths.datasets.join(format!("{name}.jsonl"));
    let mut text = String::new();
    for record in records {
        text.push_str(&serde_json::to_string(record).expect("invariant: a record is plain data"));
        text.push('\n');
    }
    fs::write(&path, &text).map_err(|source| PretrainError::io(&path, source))?;
    let count = |split| records.iter().filter(|record| record.split == split).count();
    Ok(format!(
        "{name}: {} train, {} validation, {} test examples, {} bytes",
        count(Split::Train),
        count(Split::Validation),
        count(Split::Test),
        text.len()
    ))
}
