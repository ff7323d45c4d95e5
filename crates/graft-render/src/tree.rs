//! The module tree.

use graft_protocol::TreeLine;
use maud::{Markup, html};

use crate::{paint::Paint, width};

/// As preformatted text; lines with an adapter are bold.
pub(crate) fn html(lines: &[TreeLine]) -> Markup {
    let names = widest(lines);
    html! {
        pre style="margin:4px 0 8px;background:transparent;line-height:1.35;overflow-x:auto" {
            @for line in lines {
                @let (name, note) = parts(line, names);
                @if line.strong { strong { (name) (note) } } @else { (name) span style="opacity:0.75" { (note) } }
                "\n"
            }
        }
    }
}

/// As indented text.
pub(crate) fn plain(lines: &[TreeLine]) -> String {
    painted(lines, Paint::Plain)
}

/// As indented text; lines with an adapter are green.
pub(crate) fn painted(lines: &[TreeLine], paint: Paint) -> String {
    let names = widest(lines);
    let line = |line: &TreeLine| {
        let (name, note) = parts(line, names);
        let whole = format!("{name}{note}").trim_end().to_owned();
        if line.strong { paint.fresh(&whole) } else { whole }
    };
    lines.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn widest(lines: &[TreeLine]) -> usize {
    lines
        .iter()
        .filter(|line| !line.note.is_empty())
        .map(|line| 2 * line.depth + width::of(&line.name))
        .max()
        .unwrap_or(0)
}

/// Returns the indented name, padded so that all notes start in the same column, and the note.
fn parts(line: &TreeLine, names: usize) -> (String, String) {
    let name = format!("{}{}", "  ".repeat(line.depth), line.name);
    if line.note.is_empty() {
        (name, String::new())
    } else {
        (width::pad(&name, names + 2, false), line.note.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_are_aligned_and_adapters_are_highlighted() {
        let line = |depth, name: &str, note: &str, strong| TreeLine {
            depth,
            name: name.to_owned(),
            note: note.to_owned(),
            strong,
        };
        let lines = [
            line(0, "model", "", false),
            line(1, "embed_tokens", "embedding 2,048 × 192", false),
            line(2, "q_proj", "linear + lora r=8", true),
        ];
        assert_eq!(
            plain(&lines),
            "model\n  embed_tokens  embedding 2,048 × 192\n    q_proj      linear + lora r=8"
        );
        assert!(
            html(&lines)
                .into_string()
                .contains("<strong>    q_proj      linear + lora r=8</strong>")
        );
        assert!(
            painted(&lines, Paint::Ansi)
                .ends_with("\u{1b}[32m    q_proj      linear + lora r=8\u{1b}[0m")
        );
    }
}
