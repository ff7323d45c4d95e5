//! The text of the Rust documentation: pages of Markdown-like text, each in one split, without
//! repeated passages.

mod dedupe;
mod extract;
mod page;
mod walk;

use std::fs::{self, File};
use std::io::{BufRead, BufReader, BufWriter, Write};

use rayon::prelude::*;

pub use extract::blocks_of;
pub(crate) use page::hash;
pub use page::{Block, Page, Split, split_of};

use crate::paths::Paths;
use crate::{PretrainError, Result};

/// The book that is held out of pretraining: the domain of the `error-codes` data set.
pub const HELD_OUT_BOOK: &str = "error_codes";

/// Extracts every page, removes repetitions and writes `corpus.jsonl`.
///
/// # Errors
/// Errors of reading the documentation and writing the file.
pub fn build(paths: &Paths) -> Result<Vec<Page>> {
    let sources = walk::sources(&paths.documentation)?;
    let pages: Result<Vec<Page>> =
        sources.par_iter().map(|source| read_page(paths, source)).collect();
    let pages = dedupe::keep_first(pages?);
    fs::create_dir_all(&paths.work).map_err(|source| PretrainError::io(&paths.work, source))?;
    write(paths, &pages)?;
    Ok(pages)
}

/// Reads the pages that [`build`] wrote.
///
/// # Errors
/// [`PretrainError::Io`] and [`PretrainError::Record`].
pub fn read(paths: &Paths) -> Result<Vec<Page>> {
    let path = paths.corpus();
    let file = File::open(&path).map_err(|source| PretrainError::io(&path, source))?;
    let mut pages = Vec::new();
    for (index, line) in BufReader::new(file).lines().enumerate() {
        let line = line.map_err(|source| PretrainError::io(&path, source))?;
        pages.push(serde_json::from_str(&line).map_err(|source| PretrainError::Record {
            path: path.clone(),
            line: index + 1,
            source,
        })?);
    }
    Ok(pages)
}

fn read_page(paths: &Paths, source: &walk::BookPage) -> Result<Page> {
    let path = paths.documentation.join(&source.path);
    let html = fs::read_to_string(&path).map_err(|error| PretrainError::io(&path, error))?;
    Ok(Page {
        book: source.book.clone(),
        split: split_of(&source.key),
        path: source.path.clone(),
        blocks: blocks_of(&html),
    })
}

fn write(paths: &Paths, pages: &[Page]) -> Result<()> {
    let path = paths.corpus();
    let wrap = |source| PretrainError::io(&path, source);
    let mut file = BufWriter::new(File::create(&path).map_err(wrap)?);
    for page in pages {
        let line = serde_json::to_string(page).expect("invariant: a page is plain data");
        writeln!(file, "{line}").map_err(wrap)?;
    }
    file.flush().map_err(wrap)
}
