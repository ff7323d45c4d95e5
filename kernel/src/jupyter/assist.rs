//! Completion, inspection and completeness: magics answer from their definitions, Rust from the engine.
//!
//! Nothing here takes a lock of the engine for longer than the engine's own bound, so all of it answers while a cell runs.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use graft_magic::Completion;
use graft_protocol::Snapshot;

use super::code_points;
use super::reply::{
    CompleteMetadata, CompleteReply, CompleteType, InspectReply, IsCompleteReply, mime_bundle,
};
use super::request::Cursor;
use crate::launch::Launch;
use graft_engine::{Completeness, RustCompletion, completeness};
use graft_frontend::Rich;

/// Most completions sent; a list of every name in scope helps nobody.
const MOST: usize = 500;

/// Completes at the cursor.
pub(crate) async fn complete(launch: &Launch, cursor: &Cursor) -> CompleteReply {
    let at = position(cursor);
    if let Some(completion) = graft_magic::complete(&cursor.code, at, &snapshot(launch), &files) {
        return from_magic(completion);
    }
    let found = match launch.peek() {
        Some(engine) => {
            engine.complete_rust(&cursor.code, code_points::to_byte(&cursor.code, at)).await
        }
        None => None,
    };
    from_rust(&cursor.code, at, found.unwrap_or_default())
}

/// Explains what is at the cursor.
pub(crate) async fn inspect(launch: &Launch, cursor: &Cursor) -> InspectReply {
    let at = position(cursor);
    let rich = match graft_magic::inspect(&cursor.code, at, &snapshot(launch), cursor.detail_level)
    {
        Some(inspection) => Some(Rich::from_blocks(&inspection.blocks)),
        None => inspect_rust(launch, &cursor.code, code_points::to_byte(&cursor.code, at)).await,
    };
    InspectReply {
        status: "ok",
        found: rich.is_some(),
        data: rich.map(|rich| mime_bundle(&rich)).unwrap_or_default(),
        metadata: BTreeMap::new(),
    }
}

/// Whether Enter runs the text or opens a line.
pub(crate) fn is_complete(text: &str) -> IsCompleteReply {
    let rust = match graft_magic::is_complete(text) {
        graft_magic::Completeness::Complete => Completeness::Complete,
        graft_magic::Completeness::Incomplete => Completeness::Incomplete { indent: String::new() },
        graft_magic::Completeness::Unknown => {
            return IsCompleteReply { status: "unknown", indent: None };
        }
        graft_magic::Completeness::Rust(text) => completeness::of(&text),
    };
    match rust {
        Completeness::Complete => IsCompleteReply { status: "complete", indent: None },
        Completeness::Incomplete { indent } => {
            IsCompleteReply { status: "incomplete", indent: Some(indent) }
        }
        Completeness::Invalid => IsCompleteReply { status: "invalid", indent: None },
    }
}

/// Files and folders whose path begins with `typed`; folders end in `/`. Hidden ones only when asked for by their dot.
pub(crate) fn files(typed: &str) -> Vec<String> {
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

async fn inspect_rust(launch: &Launch, code: &str, byte: usize) -> Option<Rich> {
    let inspection = launch.peek()?.inspect_rust(code, byte).await?;
    let mut rich = Rich::plain(inspection.plain);
    rich.mime.insert("text/html".to_owned(), graft_render::visible(&inspection.html).into_owned());
    Some(rich)
}

fn snapshot(launch: &Launch) -> Arc<Snapshot> {
    launch.peek().map(|engine| engine.snapshot()).unwrap_or_default()
}

fn position(cursor: &Cursor) -> usize {
    let end = cursor.code.chars().count();
    cursor.cursor_pos.map_or(end, |at| at.min(end))
}

fn from_magic(completion: Completion) -> CompleteReply {
    let Completion { start, end, items } = completion;
    let types = items.iter().map(|item| CompleteType {
        text: item.text.clone(),
        kind: item.kind.word().to_owned(),
        signature: item.help.clone(),
        start,
        end,
    });
    let metadata = CompleteMetadata { types: types.collect() };
    CompleteReply {
        status: "ok",
        matches: items.into_iter().map(|item| item.text).collect(),
        cursor_start: start,
        cursor_end: end,
        metadata,
    }
}

/// A reply has one range for all matches, so those that replace another range than the first are left out.
fn from_rust(code: &str, at: usize, found: Vec<RustCompletion>) -> CompleteReply {
    let range = found.first().map(|first| (first.start, first.end));
    let (start, end) = range.map_or((at, at), |(start, end)| {
        (code_points::from_byte(code, start), code_points::from_byte(code, end))
    });
    let kept = found.into_iter().filter(|item| Some((item.start, item.end)) == range).take(MOST);
    let (mut matches, mut types) = (Vec::new(), Vec::new());
    for item in kept {
        matches.push(item.text.clone());
        types.push(CompleteType {
            text: item.text,
            kind: item.kind,
            signature: String::new(),
            start,
            end,
        });
    }
    CompleteReply {
        status: "ok",
        matches,
        cursor_start: start,
        cursor_end: end,
        metadata: CompleteMetadata { types },
    }
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
        assert_eq!((reply.cursor_start, reply.cursor_end), (13, 15));
        assert_eq!(reply.matches, ["len"]);
        assert_eq!(reply.metadata.types.len(), reply.matches.len());
    }

    #[test]
    fn a_cell_is_judged_by_its_magics_and_by_its_rust() {
        assert_eq!(is_complete("%status").status, "complete");
        assert_eq!(is_complete("%%time\nx").status, "incomplete");
        assert_eq!(is_complete("fn f() {").status, "incomplete");
        assert_eq!(is_complete("let x = 1;").status, "complete");
        assert_eq!(is_complete("}").status, "invalid");
        assert_eq!(is_complete("!echo \"").status, "unknown");
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
