//! Title, legend, axis labels, caption, and the last value at the end of each line.

use graft_protocol::{Chart, SeriesStyle};

use super::{Anchor, Frame, HEIGHT, Ink, Shape, WIDTH, inks, marks};
use crate::number;

const EDGE: f64 = 16.0;
const LEGEND_SIZE: f64 = 12.0;
const END_SIZE: f64 = 12.0;

/// Upper estimate of the width of a text in common sans-serif fonts, since the page chooses the
/// font.
pub(crate) fn text_width(text: &str, size: f64) -> f64 {
    let share = |next: char| match next {
        'i' | 'j' | 'l' | '.' | ',' | ':' | ';' | '|' | '\'' | '!' | ' ' => 0.33,
        'f' | 't' | 'r' | '(' | ')' | '-' | '[' | ']' | '/' => 0.42,
        'm' | 'w' | 'M' | 'W' | '%' | '@' | '—' | '…' => 1.0,
        next if next.is_ascii_uppercase() => 0.72,
        next if next.is_ascii() => 0.64,
        _ => 1.0,
    };
    text.chars().map(share).sum::<f64>() * size
}

/// Shortens `text` to `width`, with an ellipsis if it was cut.
fn cut(text: &str, size: f64, width: f64) -> String {
    let flat = text.replace(['\n', '\r', '\t'], " ");
    if text_width(&flat, size) <= width {
        return flat;
    }
    let mut used = text_width("…", size);
    let kept: String = flat
        .chars()
        .take_while(|next| {
            used += text_width(next.encode_utf8(&mut [0; 4]), size);
            used <= width
        })
        .collect();
    format!("{}…", kept.trim_end())
}

/// Width of bold letters relative to regular ones.
const BOLD: f64 = 1.15;

/// Height of the title, the legend and the name of the vertical axis.
pub(crate) fn head_height(chart: &Chart) -> f64 {
    let rows = legend(chart).iter().map(|entry| entry.row + 1).max().unwrap_or(0);
    let title = if chart.title.is_empty() { 8.0 } else { 34.0 };
    title + rows as f64 * 20.0 + if chart.y_label.is_empty() { 10.0 } else { 26.0 }
}

/// Draws title, legend, names of the axes and caption.
pub(crate) fn draw(chart: &Chart, frame: &Frame, shapes: &mut Vec<Shape>) {
    let mut text = |at, text: &str, size, bold, anchor, ink| {
        shapes.push(Shape::Text {
            at,
            text: cut(text, if bold { size * BOLD } else { size }, WIDTH - 2.0 * EDGE),
            size,
            bold,
            anchor,
            ink,
        });
    };
    let mut y = 8.0;
    if !chart.title.is_empty() {
        text((EDGE, 26.0), &chart.title, 15.0, true, Anchor::Start, Ink::Text);
        y = 34.0;
    }
    text((EDGE, frame.top - 9.0), &chart.y_label, 11.0, false, Anchor::Start, Ink::Muted);
    text(
        ((frame.left + frame.right) / 2.0, frame.bottom + 34.0),
        &chart.x_label,
        11.0,
        false,
        Anchor::Middle,
        Ink::Muted,
    );
    text((EDGE, HEIGHT - 10.0), &chart.caption, 11.5, false, Anchor::Start, Ink::Text);
    if !frame.has_points {
        let middle = ((frame.left + frame.right) / 2.0, (frame.top + frame.bottom) / 2.0);
        text(middle, "no points yet", 13.0, false, Anchor::Middle, Ink::Muted);
    }
    draw_legend(chart, y, shapes);
}

/// Draws the entries of the legend below `y`.
fn draw_legend(chart: &Chart, y: f64, shapes: &mut Vec<Shape>) {
    for entry in legend(chart) {
        let line = y + entry.row as f64 * 20.0 + 10.0;
        let width = if matches!(entry.ink, Ink::Pale(_)) { 1.5 } else { 2.5 };
        if entry.style != SeriesStyle::Points {
            shapes.push(Shape::Line {
                points: vec![(entry.x, line), (entry.x + 22.0, line)],
                width,
                ink: entry.ink,
            });
        }
        if matches!(entry.style, SeriesStyle::Dots | SeriesStyle::Points) {
            shapes.push(marks::point((entry.x + 11.0, line), 3.5, entry.ink));
        }
        let at = (entry.x + 28.0, line + 4.0);
        shapes.push(Shape::Text {
            at,
            text: entry.name,
            size: LEGEND_SIZE,
            bold: false,
            anchor: Anchor::Start,
            ink: Ink::Text,
        });
    }
}

struct Entry {
    name: String,
    ink: Ink,
    style: SeriesStyle,
    x: f64,
    row: usize,
}

/// Lays out the names of the series above the plot, where they hide no data. A full row begins
/// another.
fn legend(chart: &Chart) -> Vec<Entry> {
    let (mut x, mut row) = (EDGE, 0);
    let mut entries = Vec::new();
    for (series, ink) in chart.series.iter().zip(inks(chart)) {
        let name = cut(&series.name, LEGEND_SIZE, WIDTH / 2.0);
        let width = 28.0 + text_width(&name, LEGEND_SIZE) + 18.0;
        if x + width > WIDTH - EDGE && x > EDGE {
            (x, row) = (EDGE, row + 1);
        }
        entries.push(Entry { name, ink, style: series.style, x, row });
        x += width;
    }
    entries
}

/// Returns the last value of each line except the faint ones; single points have none.
fn ends(chart: &Chart) -> Vec<(usize, (f64, f64), String)> {
    let last = |points: &[(f64, graft_protocol::chart::NonFinite)]| {
        points.iter().rev().find(|(_, y)| y.0.is_finite()).map(|(x, y)| (*x, y.0))
    };
    let has_end = |style| matches!(style, SeriesStyle::Line | SeriesStyle::Dots);
    let lines = chart.series.iter().enumerate().filter(|(_, series)| has_end(series.style));
    lines
        .filter_map(|(index, series)| {
            last(&series.points).map(|(x, y)| (index, (x, y), number::significant(y, 3)))
        })
        .collect()
}

/// Width of the margin on the right for the last values.
pub(crate) fn ends_width(chart: &Chart) -> f64 {
    ends(chart).iter().map(|(_, _, label)| text_width(label, END_SIZE) + 8.0).fold(0.0, f64::max)
}

/// Draws the last values on the right edge, moved apart if they would overlap.
pub(crate) fn draw_ends(chart: &Chart, inks: &[Ink], frame: &Frame, shapes: &mut Vec<Shape>) {
    let mut placed: Vec<(f64, String, Ink)> = ends(chart)
        .into_iter()
        .filter_map(|(index, (x, y), label)| Some((frame.place(x, y)?.1, label, *inks.get(index)?)))
        .collect();
    placed.sort_by(|left, right| left.0.total_cmp(&right.0));
    let room = placed.len() as f64 * 15.0;
    let mut free = frame.top;
    for (index, (y, label, ink)) in placed.into_iter().enumerate() {
        let highest = frame.bottom - room + index as f64 * 15.0 + 8.0;
        let line = (y + 4.0).min(highest.max(free)).max(free);
        free = line + 15.0;
        shapes.push(Shape::Text {
            at: (frame.right + 8.0, line),
            text: label,
            size: END_SIZE,
            bold: true,
            anchor: Anchor::Start,
            ink,
        });
    }
}
