//! Tables as HTML and as aligned text.

use graft_protocol::{Align, Cell, Column, Table};
use maud::{Markup, html};

use crate::{number, paint::Paint, width};

const CELL: &str = "padding:3px 12px;border:0;border-bottom:1px solid rgba(128,128,128,0.25);vertical-align:top;max-width:52em;white-space:normal;";
const HEAD: &str =
    "padding:3px 12px;border:0;border-bottom:2px solid rgba(128,128,128,0.55);font-weight:600;";
const TABLE: &str =
    "border-collapse:collapse;margin:4px 0 8px;font-variant-numeric:tabular-nums;border:0";

/// As an HTML table. Without its styles it still has a caption and header cells.
pub(crate) fn html(table: &Table) -> Markup {
    html! {
        table style=(TABLE) {
            @if !table.title.is_empty() { caption style="caption-side:top;text-align:left;font-weight:600;padding:4px 0;color:inherit" { (table.title) } }
            thead { tr style="background:transparent" {
                @for column in &table.columns { th style={ (HEAD) (align(column.align)) } { (column.name) } }
            } }
            tbody { @for row in &table.rows { tr style="background:transparent" {
                @for (cell, column) in row.iter().zip(&table.columns) { td style={ (CELL) (align(column.align)) } { (cell_html(cell)) } }
            } } }
        }
        @for line in &table.footer { div style="margin:2px 0 8px;white-space:pre-wrap" { (line) } }
    }
}

fn align(align: Align) -> &'static str {
    match align {
        Align::Left => "text-align:left",
        Align::Right => "text-align:right",
    }
}

fn cell_html(cell: &Cell) -> Markup {
    match cell {
        Cell::Code(text) => html! { code { (text) } },
        Cell::Strong(text) => html! { strong { (text) } },
        other => html! { (text(other)) },
    }
}

/// Formats the content of a cell.
pub(crate) fn text(cell: &Cell) -> String {
    match cell {
        Cell::Empty => String::new(),
        Cell::Text(text) | Cell::Code(text) | Cell::Strong(text) => text.clone(),
        Cell::Integer(value) => number::count(*value),
        Cell::Float(value, digits) => number::decimals(*value, *digits),
        Cell::Percent(value, digits) => number::percent(*value, *digits),
        Cell::Bytes(value) => number::bytes(*value),
    }
}

/// Width of a plain table in columns, about a page of text; longer cells are wrapped.
const PLAIN_WIDTH: usize = 120;

/// As aligned plain text.
pub(crate) fn plain(table: &Table) -> String {
    aligned(table, Paint::Plain, PLAIN_WIDTH)
}

/// As aligned text in at most `columns` columns; the widest text column shrinks first.
pub(crate) fn aligned(table: &Table, paint: Paint, columns: usize) -> String {
    let cells: Vec<Vec<String>> = table
        .rows
        .iter()
        .map(|row| row.iter().map(|cell| text(cell).replace(['\n', '\t'], " ")).collect())
        .collect();
    let widths = fit(
        natural_widths(table, &cells),
        &least_widths(table, &cells),
        &floors(table, &cells),
        columns,
    );
    let mut lines = Vec::with_capacity(cells.len() + 3);
    if !table.title.is_empty() {
        lines.push(paint.strong(&table.title));
    }
    let header: Vec<String> = table.columns.iter().map(|column| column.name.clone()).collect();
    lines.extend(line(table, &header, &widths).iter().map(|text| paint.strong(text)));
    lines.push(widths.iter().map(|width| "─".repeat(*width)).collect::<Vec<_>>().join("  "));
    for (row, source) in cells.iter().zip(&table.rows) {
        let strong = source.iter().any(|cell| matches!(cell, Cell::Strong(_)));
        lines.extend(
            line(table, row, &widths)
                .into_iter()
                .map(|text| if strong { paint.strong(&text) } else { text }),
        );
    }
    lines.extend(table.footer.iter().cloned());
    lines.join("\n")
}

fn natural_widths(table: &Table, cells: &[Vec<String>]) -> Vec<usize> {
    let widest = |index: usize| {
        cells.iter().filter_map(|row| row.get(index)).map(|cell| width::of(cell)).max().unwrap_or(0)
    };
    table
        .columns
        .iter()
        .enumerate()
        .map(|(index, column)| width::of(&column.name).max(widest(index)))
        .collect()
}

/// Returns the length of the longest word of each column, below which words would be broken.
fn least_widths(table: &Table, cells: &[Vec<String>]) -> Vec<usize> {
    let longest = |text: &str| text.split(' ').map(width::of).max().unwrap_or(0);
    let of_rows = |index: usize| {
        cells.iter().filter_map(|row| row.get(index)).map(|cell| longest(cell)).max().unwrap_or(0)
    };
    table
        .columns
        .iter()
        .enumerate()
        .map(|(index, column)| longest(&column.name).max(of_rows(index)))
        .collect()
}

/// Columns of text that is broken inside words.
const NARROWEST: usize = 8;

/// Returns the width below which a column never shrinks. A number is not broken, because its parts
/// would look like two numbers.
fn floors(table: &Table, cells: &[Vec<String>]) -> Vec<usize> {
    let widest = |index: usize| {
        cells.iter().filter_map(|row| row.get(index)).map(|cell| width::of(cell)).max().unwrap_or(0)
    };
    let floor = |(index, column): (usize, &Column)| match column.align {
        Align::Left => NARROWEST,
        Align::Right => widest(index).max(NARROWEST),
    };
    table.columns.iter().enumerate().map(floor).collect()
}

/// Shrinks the widest column that is above the length of its longest word, or the widest of all if
/// there is none, until the table fits or every column has its smallest width.
fn fit(mut widths: Vec<usize>, least: &[usize], floors: &[usize], columns: usize) -> Vec<usize> {
    let gaps = 2 * widths.len().saturating_sub(1);
    while widths.iter().sum::<usize>().saturating_add(gaps) > columns {
        let can_give =
            widths.iter().zip(least).enumerate().filter(|(_, (width, least))| width > least);
        let widest = can_give.max_by_key(|(_, (width, _))| **width).map(|(index, _)| index);
        let chosen = widest.or_else(|| {
            (0..widths.len())
                .filter(|index| widths.get(*index) > floors.get(*index))
                .max_by_key(|index| widths.get(*index).copied())
        });
        let Some(width) = chosen.and_then(|index| widths.get_mut(index)) else { break };
        *width -= 1;
    }
    widths
}

/// Formats one row; a cell wider than its column is wrapped.
fn line(table: &Table, row: &[String], widths: &[usize]) -> Vec<String> {
    let wrapped: Vec<Vec<String>> =
        row.iter()
            .zip(widths)
            .map(|(cell, width)| {
                if width::of(cell) > *width {
                    width::wrap(cell, *width)
                } else {
                    vec![cell.clone()]
                }
            })
            .collect();
    let height = wrapped.iter().map(Vec::len).max().unwrap_or(0);
    (0..height)
        .map(|index| {
            let cells: Vec<String> = wrapped
                .iter()
                .zip(widths)
                .zip(&table.columns)
                .map(|((lines, width), column)| {
                    width::pad(
                        lines.get(index).map_or("", String::as_str),
                        *width,
                        column.align == Align::Right,
                    )
                })
                .collect();
            cells.join("  ").trim_end().to_owned()
        })
        .collect()
}

#[cfg(test)]
mod tests;
