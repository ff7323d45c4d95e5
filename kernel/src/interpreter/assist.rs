//! Completion, inspection and completeness: magics answer from their definitions, Rust from the
//! engine.
//!
//! No function here holds a lock of the engine longer than the engine's own time limit, so all of
//! them answer while a cell runs.

use std::path::Path;
use std::sync::Arc;

use graft_engine::{RustCompletion, completeness};
use graft_frontend::Rich;
use graft_jupyter::{Completeness, CompletionItem, Completions};
use graft_magic::Completion;
use graft_protocol::Snapshot;

use super::{code_points, known_names};
use crate::engine_handle::EngineHandle;

/// Limit on the number of completions; a list of every name in scope is of no use.
const MAX_COMPLETIONS: usize = 500;

/// Completes the code at a cursor, in code points.
pub(super) async fn complete(engine: &EngineHandle, code: &str, cursor: usize) -> Completions {
    if let Some(completion) = graft_magic::complete(code, cursor, &snapshot(engine), &files) {
        return from_magic(completion);
    }
    let Some(engine) = engine.get() else { return known_names::complete(code, cursor, &[]) };
    match engine.complete_rust(code, code_points::to_byte(code, cursor)).await {
        Some(found) => from_rust(code, cursor, found),
        None => known_names::complete(code, cursor, &engine.variables()),
    }
}

/// Describes the name at a cursor, in code points.
pub(super) async fn inspect(
    engine: &EngineHandle,
    code: &str,
    cursor: usize,
    detail_level: u8,
) -> Option<Rich> {
    match graft_magic::inspect(code, cursor, &snapshot(engine), detail_level) {
        Some(inspection) => Some(Rich::from_blocks(&inspection.blocks)),
        None => inspect_rust(engine, code, code_points::to_byte(code, cursor)).await,
    }
}

/// Whether Enter should run the code or start a new line.
pub(super) fn is_complete(code: &str) -> Completeness {
    let rust = match graft_magic::is_complete(code) {
        graft_magic::Completeness::Complete => return Completeness::Complete,
        graft_magic::Completeness::Incomplete => {
            return Completeness::Incomplete { indent: String::new() };
        }
        graft_magic::Completeness::Unknown => return Completeness::Unknown,
        graft_magic::Completeness::Rust(code) => completeness::of(&code),
    };
    match rust {
        graft_engine::Completeness::Complete => Completeness::Complete,
        graft_engine::Completeness::Incomplete { indent } => Completeness::Incomplete { indent },
        graft_engine::Completeness::Invalid => Completeness::Invalid,
    }
}

/// Files and folders whose path starts with `typed`; folders end in `/`. Hidden files are listed
/// only if the typed name starts with a dot.
fn files(typed: &str) -> Vec<String> {
    let (folder, start) = typed.rfind('/').map_or(("", typed), |slash| typed.split_at(slash + 1));
    let real = match folder.strip_prefix("~/") {
        Some(rest) => std::env::home_dir().unwrap_or_default().join(rest),
        None => Path::new(if folder.is_empty() { "." } else { folder }).to_owned(),
    };
    let Ok(entries) = std::fs::read_dir(real) else { return Vec::new() };
    let mut found: Vec<String> = entries
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let wanted =
                name.starts_with(start) && (start.starts_with('.') || !name.starts_with('.'));
            let slash = if entry.path().is_dir() { "/" } else { "" };
            wanted.then(|| format!("{folder}{name}{slash}"))
        })
        .collect();
    found.sort();
    found
}

async fn inspect_rust(engine: &EngineHandle, code: &str, byte: usize) -> Option<Rich> {
    let inspection = engine.get()?.inspect_rust(code, byte).await?;
    let mut rich = Rich::plain(inspection.plain);
    rich.mime.insert("text/html".to_owned(), graft_render::visible(&inspection.html).into_owned());
    Some(rich)
}

fn snapshot(engine: &EngineHandle) -> Arc<Snapshot> {
    engine.get().map(|engine| engine.snapshot()).unwrap_or_default()
}

fn from_magic(completion: Completion) -> Completions {
    let Completion { start, end, items } = completion;
    let items = items.into_iter().map(|item| CompletionItem {
        text: item.text,
        kind: item.kind.word().to_owned(),
        signature: item.help,
    });
    Completions { start, end, items: items.collect() }
}

/// All completions of a reply replace the same range, so those with another range than the first
/// are dropped.
fn from_rust(code: &str, cursor: usize, found: Vec<RustCompletion>) -> Completions {
    let range = found.first().map(|first| (first.start, first.end));
    let (start, end) = range.map_or((cursor, cursor), |(start, end)| {
        (code_points::from_byte(code, start), code_points::from_byte(code, end))
    });
    let items = found
        .into_iter()
        .filter(|item| Some((item.start, item.end)) == range)
        .take(MAX_COMPLETIONS)
        .map(|item| CompletionItem { text: item.text, kind: item.kind, signature: String::new() });
    Completions { start, end, items: items.collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rust_completion_after_emoji_is_placed_by_code_point() {
        let code = "let 😀e\u{301} = xs.le";
        let end = code.len();
        let found = vec![
            RustCompletion { text: "len".into(), kind: "function".into(), start: end - 2, end },
            RustCompletion { text: "other".into(), kind: "function".into(), start: 0, end },
        ];
        let reply = from_rust(code, code.chars().count(), found);
        assert_eq!((reply.start, reply.end), (13, 15));
        let texts: Vec<&str> = reply.items.iter().map(|item| item.text.as_str()).collect();
        assert_eq!(texts, ["len"]);
    }

    #[test]
    fn completeness_follows_the_magics_and_the_rust_of_a_cell() {
        let incomplete = |code| matches!(is_complete(code), Completeness::Incomplete { .. });
        assert_eq!(is_complete("%status"), Completeness::Complete);
        assert!(incomplete("%%time\nx"));
        assert!(incomplete("fn f() {"));
        assert_eq!(is_complete("let x = 1;"), Completeness::Complete);
        assert_eq!(is_complete("}"), Completeness::Invalid);
        assert_eq!(is_complete("!echo \""), Completeness::Unknown);
    }

    #[test]
    fn files_complete_inside_their_folder_and_hide_dots() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("data.csv"), "").unwrap();
        std::fs::write(folder.path().join(".dot"), "").unwrap();
        std::fs::create_dir(folder.path().join("deep")).unwrap();
        let base = format!("{}/", folder.path().display());
        assert_eq!(files(&format!("{base}d")), [format!("{base}data.csv"), format!("{base}deep/")]);
        assert_eq!(files(&format!("{base}.")), [format!("{base}.dot")]);
    }
}
