//! Texts side by side: the base model and the adapter on one prompt.

use graft_protocol::SideText;
use maud::{Markup, html};

use crate::{paint::Paint, shade, width};

/// A table of one row, with the notes below the texts.
pub(crate) fn html(prompt: &str, columns: &[SideText]) -> Markup {
    let share = 100 / columns.len().max(1);
    let cell = "padding:4px 12px;border:0;text-align:left;vertical-align:top;white-space:normal;";
    html! {
        table style="border-collapse:collapse;margin:4px 0 8px;width:100%;max-width:72em;table-layout:fixed;border:0" {
            caption style="caption-side:top;text-align:left;padding:4px 12px;color:inherit;white-space:pre-wrap" { strong { (prompt) } }
            thead { tr style="background:transparent" { @for column in columns {
                th style={ (cell) "width:" (share) "%;border-bottom:2px solid rgba(128,128,128,0.55);font-weight:600" } { (column.title) }
            } } }
            tbody {
                tr style="background:transparent" { @for column in columns {
                    td style=(cell) { pre style="white-space:pre-wrap;overflow-wrap:anywhere;font-family:inherit;font-size:inherit;margin:0;padding:0;background:transparent" { (body(column)) } }
                } }
                @if columns.iter().any(|column| !column.note.is_empty()) { tr style="background:transparent" { @for column in columns {
                    td style={ (cell) "opacity:0.75" } { small { (column.note) } }
                } } }
                @if columns.iter().any(|column| !column.pieces.is_empty()) { tr style="background:transparent" {
                    td colspan=(columns.len()) style={ (cell) "opacity:0.75" } { small { (shade::LEGEND) } }
                } }
            }
        }
    }
}

/// The text, shaded if its probabilities are known.
fn body(column: &SideText) -> Markup {
    html! { @if column.pieces.is_empty() { (column.text) } @else { (shade::pieces(&column.pieces)) } }
}

/// As columns of plain text, `total` characters wide.
pub(crate) fn plain(prompt: &str, columns: &[SideText], total: usize) -> String {
    aligned(prompt, columns, total, Paint::Plain)
}

/// As columns of text, or one text below the other if the columns would be too narrow to read.
pub(crate) fn aligned(prompt: &str, columns: &[SideText], total: usize, paint: Paint) -> String {
    let each =
        (total.saturating_sub(3 * columns.len().saturating_sub(1)) / columns.len().max(1)).min(60);
    if each < 24 {
        return stacked(prompt, columns, paint);
    }
    let mut lines = vec![paint.strong(prompt)];
    let row = |cells: Vec<String>| {
        cells
            .iter()
            .map(|cell| width::pad(cell, each, false))
            .collect::<Vec<_>>()
            .join(" │ ")
            .trim_end()
            .to_owned()
    };
    lines.push(
        paint.hint(&row(columns
            .iter()
            .map(|column| width::cut(&flat(&column.title), each))
            .collect())),
    );
    lines.push(vec!["─".repeat(each); columns.len()].join("─┼─"));
    let bodies: Vec<Vec<String>> = columns
        .iter()
        .map(|column| width::wrap(&column.text.trim_end().replace('\t', "    "), each))
        .collect();
    for index in 0..bodies.iter().map(Vec::len).max().unwrap_or(0) {
        lines.push(row(bodies
            .iter()
            .map(|body| body.get(index).cloned().unwrap_or_default())
            .collect()));
    }
    lines.push(row(columns.iter().map(|column| width::cut(&flat(&column.note), each)).collect()));
    lines.join("\n").trim_end().to_owned()
}

/// One text below the other.
fn stacked(prompt: &str, columns: &[SideText], paint: Paint) -> String {
    let mut lines = vec![paint.strong(prompt)];
    for column in columns {
        lines.extend([
            paint.hint(&format!("── {} ──", column.title)),
            column.text.clone(),
            column.note.clone(),
        ]);
    }
    lines.join("\n")
}

/// Replaces line breaks and tabs by spaces.
fn flat(text: &str) -> String {
    text.replace(['\n', '\t'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns() -> Vec<SideText> {
        let side = |title: &str, text: &str| SideText {
            title: title.to_owned(),
            text: text.to_owned(),
            pieces: Vec::new(),
            note: "8 tokens".to_owned(),
        };
        vec![side("base", " is a thing that is\nnot"), side("default", " is a trait")]
    }

    #[test]
    fn the_plain_form_has_columns() {
        assert_eq!(
            plain("Clone", &columns(), 51),
            "Clone\n\
             base                     │ default\n\
             ─────────────────────────┼─────────────────────────\n \
             is a thing that is      │  is a trait\n\
             not                      │\n\
             8 tokens                 │ 8 tokens"
        );
    }

    #[test]
    fn a_narrow_terminal_shows_one_text_below_the_other() {
        assert_eq!(
            plain("P", &columns(), 40),
            "P\n── base ──\n is a thing that is\nnot\n8 tokens\n── default ──\n is a trait\n8 tokens"
        );
    }

    #[test]
    fn a_text_with_probabilities_is_shaded_and_has_a_legend() {
        let mut columns = columns();
        columns[1].pieces = vec![(" is a".to_owned(), 0.0), (" <trait".to_owned(), 0.25f64.ln())];
        let page = html("Clone", &columns).into_string();
        assert_eq!(page.matches("<span").count(), 2, "{page}");
        assert!(
            page.contains("is a thing that is\nnot</pre>") && page.contains(shade::LEGEND),
            "{page}"
        );
    }

    #[test]
    fn the_html_is_a_table_with_the_prompt_above() {
        let page = html("Clone <T>", &columns()).into_string();
        assert!(
            page.contains("<strong>Clone &lt;T&gt;</strong>")
                && page.matches("<th").count() == 3
                && page.contains("not</pre>"),
            "{page}"
        );
    }
}
