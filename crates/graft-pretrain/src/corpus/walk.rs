//! Finds the files of the documentation that are pages with text of their own.

use std::fs;
use std::path::Path;

use crate::{PretrainError, Result};

/// Books made with mdBook and library documentation made with rustdoc.
const BOOKS: &[&str] = &[
    "book",
    "reference",
    "rust-by-example",
    "cargo",
    "rustc",
    "rustdoc",
    "nomicon",
    "edition-guide",
    "embedded-book",
    "unstable-book",
    "clippy",
    "style-guide",
    "error_codes",
    "std",
    "core",
    "alloc",
    "proc_macro",
    "test",
];

/// Folders with translations, redirects of older editions, generated intrinsics and other
/// repetitions.
const SKIPPED_FOLDERS: &[&str] = &[
    "es",
    "ja",
    "ko",
    "zh",
    "2018-edition",
    "first-edition",
    "second-edition",
    "arch",
    "core_arch",
    "core_simd",
    "simd",
    "FontAwesome",
    "compiler-flags",
];

/// Files that repeat or list other pages.
const SKIPPED_FILES: &[&str] = &[
    "print.html",
    "toc.html",
    "404.html",
    "all.html",
    "help.html",
    "settings.html",
    "SUMMARY.html",
    "title-page.html",
];

/// A page to read.
#[derive(Clone, Debug)]
pub(super) struct BookPage {
    /// The book of the page.
    pub(super) book: String,
    /// The path in the documentation folder.
    pub(super) path: String,
    /// The key of its split: the path, without the crate for library pages, because `std`
    /// repeats the pages of `core` and `alloc`.
    pub(super) key: String,
}

/// Every page, in a fixed order.
pub(super) fn sources(documentation: &Path) -> Result<Vec<BookPage>> {
    let mut found = Vec::new();
    for book in BOOKS {
        collect(documentation, book, book, &mut found)?;
    }
    Ok(found)
}

fn collect(root: &Path, book: &str, relative: &str, found: &mut Vec<BookPage>) -> Result<()> {
    let folder = root.join(relative);
    if !folder.is_dir() {
        return Ok(());
    }
    let wrap = |source| PretrainError::io(&folder, source);
    let mut entries: Vec<_> =
        fs::read_dir(&folder).map_err(wrap)?.collect::<std::io::Result<_>>().map_err(wrap)?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = format!("{relative}/{name}");
        if entry.path().is_dir() {
            if !SKIPPED_FOLDERS.contains(&name.as_str()) {
                collect(root, book, &path, found)?;
            }
        } else if name.ends_with(".html") && !SKIPPED_FILES.contains(&name.as_str()) {
            let key =
                if is_library(book) { path[book.len() + 1..].to_owned() } else { path.clone() };
            found.push(BookPage { book: book.to_owned(), path, key });
        }
    }
    Ok(())
}

/// Whether a book is the documentation of a library crate.
fn is_library(book: &str) -> bool {
    matches!(book, "std" | "core" | "alloc" | "proc_macro" | "test")
}
