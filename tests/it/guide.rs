//! The user guide and every other Markdown page: chapters, links and anchors resolve.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use graft_tests::root;

/// Folders whose pages are checked, and those that hold no pages of ours.
const FOLDERS: &[&str] = &["crates", "docs", "kernel", "notebooks", "tests"];
const SKIPPED: &[&str] = &["target", "assets", "node_modules"];

/// Every Markdown page of the repository.
fn pages() -> Vec<PathBuf> {
    let mut pages = markdown_in(&root(), false);
    for folder in FOLDERS {
        pages.extend(markdown_in(&root().join(folder), true));
    }
    pages.sort();
    pages
}

/// The Markdown files of a folder, and of the folders inside it if `deep`.
fn markdown_in(folder: &Path, deep: bool) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder that is there") {
        let path = entry.expect("an entry that was just listed").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            if deep && !name.starts_with('.') && !SKIPPED.contains(&name.as_str()) {
                found.extend(markdown_in(&path, true));
            }
        } else if name.ends_with(".md") {
            found.push(path);
        }
    }
    found
}

/// The lines of a page outside fenced code.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut is_code = false;
    text.lines().filter(move |line| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        !is_code && !is_fence
    })
}

/// The targets of links and images that are not web addresses.
fn local_links(text: &str) -> Vec<String> {
    prose(text)
        .flat_map(|line| line.split("](").skip(1))
        .filter_map(|rest| rest.split([')', ' ']).next())
        .filter(|target| !target.contains("://") && !target.starts_with("mailto:"))
        .map(str::to_owned)
        .collect()
}

/// The anchors of a page's headings, as GitHub and mdBook name them.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = prose(text).filter(|line| line.starts_with('#'));
    headings
        .map(|line| {
            let kept = line.trim_start_matches('#').trim().to_lowercase();
            let kept = kept.chars().filter(|it| it.is_alphanumeric() || " -_".contains(*it));
            kept.map(|it| if it == ' ' { '-' } else { it }).collect()
        })
        .collect()
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path)
        .unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()))
}

/// A page's path without the checkout's own folder.
fn shown(page: &Path) -> String {
    page.strip_prefix(root()).unwrap_or(page).display().to_string()
}

#[test]
fn every_link_and_anchor_resolves() {
    let mut broken = Vec::new();
    let mut checked = 0;
    for page in pages() {
        let text = read(&page);
        for link in local_links(&text) {
            checked += 1;
            let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = if file.is_empty() { page.clone() } else { page.with_file_name(file) };
            if !target.exists() {
                broken.push(format!("{} links to {link}, which does not exist", shown(&page)));
            } else if !anchor.is_empty() && !anchors(&read(&target)).contains(anchor) {
                broken.push(format!("{} links to {link}: no such heading", shown(&page)));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    assert!(checked > 100, "only {checked} links were found");
}

#[test]
fn the_summary_lists_every_chapter_once() {
    let source = root().join("docs/src");
    let listed = local_links(&read(&source.join("SUMMARY.md")));
    let unique: BTreeSet<&str> = listed.iter().map(String::as_str).collect();
    assert_eq!(unique.len(), listed.len(), "a chapter is listed twice: {listed:?}");
    let files = markdown_in(&source, true);
    let chapters: BTreeSet<String> = files
        .iter()
        .map(|path| path.strip_prefix(&source).unwrap().display().to_string())
        .filter(|name| name != "SUMMARY.md")
        .collect();
    assert_eq!(unique, chapters.iter().map(String::as_str).collect());
}

/// A link that leaves the book works in the repository and is dead in the built guide.
#[test]
fn chapters_link_only_to_chapters() {
    for chapter in markdown_in(&root().join("docs/src"), true) {
        for link in local_links(&read(&chapter)) {
            let leaves = Path::new(&link).components().any(|it| it == Component::ParentDir);
            assert!(!leaves, "{} links to {link}", shown(&chapter));
        }
    }
}

#[test]
fn included_pages_exist() {
    let mut included = 0;
    for chapter in markdown_in(&root().join("docs/src"), true) {
        for rest in read(&chapter).split("{{#include ").skip(1) {
            let target = rest.split([':', '}']).next().unwrap_or_default();
            let path = chapter.with_file_name(target);
            assert!(path.is_file(), "{} includes {target}", shown(&chapter));
            included += 1;
        }
    }
    assert!(included > 0, "the reference is included");
}

#[test]
fn every_decision_is_listed_and_in_the_guide() {
    let folder = root().join("docs/decisions");
    let (list, chapter) =
        (read(&folder.join("README.md")), read(&root().join("docs/src/decisions.md")));
    for page in markdown_in(&folder, false) {
        let name = page.file_name().unwrap().to_string_lossy().into_owned();
        if name != "README.md" {
            assert!(list.contains(&format!("({name})")), "{name} is not in the list");
            assert!(chapter.contains(&format!("/{name}}}}}")), "{name} is not in the guide");
        }
    }
}
