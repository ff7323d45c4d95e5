//! Confusion matrices: a table whose cells are shaded by the share of their row.

use graft_protocol::ConfusionMatrix;
use maud::{Markup, html};

use crate::{number, paint::Paint, width};

/// Opacity of the shade of a cell with all examples of its row.
const DARKEST: f64 = 0.75;
/// Colors that are readable on light and dark pages: correct predictions and errors.
const RIGHT: &str = "46,160,67";
const WRONG: &str = "213,94,0";
/// Widest name in plain text, in columns.
const WIDEST: usize = 20;

const CELL: &str =
    "padding:4px 9px;text-align:right;min-width:2.2em;border:1px solid rgba(128,128,128,0.25);";
const HEAD: &str = "padding:3px 9px;text-align:right;font-weight:600;border:0;max-width:12em;overflow-wrap:anywhere;";

/// As an HTML table.
pub(crate) fn html(matrix: &ConfusionMatrix) -> Markup {
    html! {
        table style="border-collapse:collapse;margin:4px 0 8px;font-variant-numeric:tabular-nums;border:0" {
            caption style="caption-side:top;text-align:left;font-weight:600;padding:4px 0;color:inherit" { (matrix.title) }
            thead { tr style="background:transparent" {
                th style=(HEAD) {}
                @for name in &matrix.names { th scope="col" style=(HEAD) { (name) } }
                th scope="col" style=(HEAD) { "recall" }
            } }
            tbody { @for (expected, (name, row)) in matrix.names.iter().zip(&matrix.counts).enumerate() {
                tr style="background:transparent" {
                    th scope="row" style=(HEAD) { (name) }
                    @for (predicted, count) in row.iter().enumerate() {
                        td style={ (CELL) "background:" (shade(*count, row, expected == predicted)) }
                            title={ "expected " (name) ", predicted " (matrix.names.get(predicted).map_or("", String::as_str)) } { (count) }
                    }
                    td style=(HEAD) { (recall(row, expected)) }
                }
            } }
        }
        div style="margin:2px 0 8px;opacity:0.75" { small { (matrix.note) } }
    }
}

/// The background of a cell.
fn shade(count: u64, row: &[u64], is_right: bool) -> String {
    let share = count as f64 / row.iter().sum::<u64>().max(1) as f64;
    let color = if is_right { RIGHT } else { WRONG };
    format!("rgba({color},{:.2})", DARKEST * share)
}

/// The share of the examples of a class that are predicted to be of it.
fn recall(row: &[u64], class: usize) -> String {
    let total: u64 = row.iter().sum();
    let right = row.get(class).copied().unwrap_or(0);
    if total == 0 { "–".to_owned() } else { number::percent(right as f64 / total as f64, 1) }
}

/// As plain text.
pub(crate) fn plain(matrix: &ConfusionMatrix) -> String {
    painted(matrix, Paint::Plain)
}

/// As aligned text. Correct predictions are green, errors yellow.
pub(crate) fn painted(matrix: &ConfusionMatrix, paint: Paint) -> String {
    let names: Vec<String> = matrix.names.iter().map(|name| width::cut(name, WIDEST)).collect();
    let first = names.iter().map(|name| width::of(name)).max().unwrap_or(0);
    let columns: Vec<usize> = names
        .iter()
        .enumerate()
        .map(|(class, name)| {
            let digits = matrix.counts.iter().filter_map(|row| row.get(class));
            let digits = digits.map(|count| count.to_string().len()).max().unwrap_or(1);
            digits.max(width::of(name))
        })
        .collect();
    let head = names.iter().zip(&columns).map(|(name, columns)| width::pad(name, *columns, true));
    let head = head.collect::<Vec<_>>().join("  ");
    let mut lines =
        vec![paint.strong(&matrix.title), format!("{}  {head}  recall", " ".repeat(first))];
    for (expected, (name, row)) in names.iter().zip(&matrix.counts).enumerate() {
        let cell = |(predicted, count): (usize, &u64)| {
            let text = width::pad(&count.to_string(), columns[predicted], true);
            match (*count > 0, predicted == expected) {
                (true, true) => paint.fresh(&text),
                (true, false) => paint.warning(&text),
                _ => text,
            }
        };
        let cells = row.iter().enumerate().map(cell).collect::<Vec<_>>().join("  ");
        let recall = width::pad(&recall(row, expected), 6, true);
        lines.push(format!("{}  {cells}  {recall}", width::pad(name, first, false)));
    }
    lines.push(matrix.note.clone());
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix() -> ConfusionMatrix {
        ConfusionMatrix {
            title: "which".to_owned(),
            names: ["<no>", "yes"].map(str::to_owned).to_vec(),
            counts: vec![vec![12, 3], vec![0, 0]],
            note: "rows: expected class; columns: predicted class".to_owned(),
        }
    }

    #[test]
    fn text_is_aligned_and_ends_with_the_recall_of_each_class() {
        assert_eq!(
            plain(&matrix()),
            "which\n\
             \u{20}     <no>  yes  recall\n\
             <no>    12    3  80.0 %\n\
             yes      0    0       –\n\
             rows: expected class; columns: predicted class"
        );
        assert!(painted(&matrix(), Paint::Ansi).contains("\u{1b}[32m  12\u{1b}[0m"));
    }

    #[test]
    fn html_escapes_names_and_shades_by_the_share_of_the_row() {
        let page = html(&matrix()).into_string();
        assert!(page.contains("&lt;no&gt;") && !page.contains("<no>"), "{page}");
        assert!(page.contains("rgba(46,160,67,0.60)"), "{page}");
        assert!(page.contains("rgba(213,94,0,0.15)"), "{page}");
        assert!(page.contains("title=\"expected &lt;no&gt;, predicted yes\">3</td>"), "{page}");
    }
}
