//! A chart in braille characters: the plain-text form of every figure.

use graft_protocol::{Chart, SeriesStyle};

use crate::{number, visible::Visible, width};

const COLUMNS: usize = 64;
const ROWS: usize = 12;

/// Draws a chart as text: title, dots between labeled axes, and the names of the lines with their
/// last values.
pub fn chart_text(chart: &Chart) -> String {
    plain(&chart.shown())
}

/// [`chart_text`] for a chart whose texts have been made safe to show.
pub(crate) fn plain(chart: &Chart) -> String {
    let mut lines: Vec<String> = [&chart.title]
        .into_iter()
        .filter(|title| !title.is_empty())
        .map(|title| width::cut(title, COLUMNS + 10))
        .collect();
    let drawable = |y: f64| y.is_finite() && (!chart.log_y || y > 0.0);
    let solid = || {
        chart
            .series
            .iter()
            .filter(|series| series.style != SeriesStyle::Faint || chart.series.len() == 1)
    };
    let points: Vec<(f64, f64)> = solid()
        .flat_map(|series| &series.points)
        .filter(|(x, y)| x.is_finite() && (!chart.log_x || *x > 0.0) && drawable(y.0))
        .map(|(x, y)| (*x, y.0))
        .collect();
    if points.is_empty() {
        lines.push("(no points)".to_owned());
    } else {
        lines.extend(canvas(chart, &points));
    }
    lines.extend(solid().filter_map(|series| {
        if series.style == SeriesStyle::Points {
            return Some(format!("{}: {} points", series.name, series.points.len()));
        }
        let (x, last) = series.points.iter().rev().find(|(_, y)| y.0.is_finite())?;
        Some(format!(
            "{}: {} at {} {}",
            series.name,
            number::significant(last.0, 4),
            chart.x_label,
            place(*x)
        ))
    }));
    lines.extend([&chart.caption].into_iter().filter(|caption| !caption.is_empty()).cloned());
    lines.join("\n")
}

fn canvas(chart: &Chart, points: &[(f64, f64)]) -> Vec<String> {
    let height = |y: f64| if chart.log_y { y.ln() } else { y };
    let along = |x: f64| if chart.log_x { x.ln() } else { x };
    let bounds = |value: fn(&(f64, f64)) -> f64| {
        points.iter().map(value).fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), next| {
            (low.min(next), high.max(next))
        })
    };
    let (left, mut right) = bounds(|point| point.0);
    right = chart.x_max.filter(|max| max.is_finite()).map_or(right, |max| right.max(max));
    let (low, high) = bounds(|point| point.1);
    let mut dots = Dots { cells: vec![0; COLUMNS * ROWS] };
    for series in &chart.series {
        if series.style == SeriesStyle::Faint && chart.series.len() > 1 {
            continue;
        }
        let mut before = None;
        for (x, y) in &series.points {
            let across = share(along(*x), along(left), along(right)) * (2 * COLUMNS - 1) as f64;
            let up = share(height(y.0), height(low), height(high)) * (4 * ROWS - 1) as f64;
            let here = (across.is_finite() && up.is_finite())
                .then_some((across, (4 * ROWS - 1) as f64 - up));
            if let Some(to) = here {
                let is_point = series.style == SeriesStyle::Points;
                // Two dots high and wide: a single one is hard to see.
                let beside = (to.0 - 1.0, to.1 - 1.0);
                dots.line(before.filter(|_| !is_point).unwrap_or(to), to);
                if is_point {
                    dots.line(beside, to);
                }
            }
            before = here;
        }
    }
    let names = [number::significant(high, 3), number::significant(low, 3)];
    let margin = names.iter().map(|name| width::of(name)).max().unwrap_or(0);
    let mut lines = Vec::with_capacity(ROWS + 2);
    lines.extend(dot_rows(&dots, &names, margin));
    lines.push(format!("{} └{}", " ".repeat(margin), "─".repeat(COLUMNS)));
    lines.push(axis_line(chart, left, right, margin));
    lines
}

/// The rows of dots, the first and the last with the value on the vertical axis.
fn dot_rows(dots: &Dots, names: &[String; 2], margin: usize) -> Vec<String> {
    let mut lines = Vec::with_capacity(ROWS);
    for (row, cells) in dots.cells.chunks(COLUMNS).enumerate() {
        let name = if row == 0 {
            &*names[0]
        } else if row == ROWS - 1 {
            &*names[1]
        } else {
            ""
        };
        let drawn: String =
            cells.iter().filter_map(|dots| char::from_u32(0x2800 + u32::from(*dots))).collect();
        lines.push(
            format!("{} ┤{}", width::pad(name, margin, true), drawn.trim_end_matches('\u{2800}'))
                .trim_end()
                .to_owned(),
        );
    }
    lines
}

/// The values at the ends of the horizontal axis, and the names of the axes.
fn axis_line(chart: &Chart, left: f64, right: f64, margin: usize) -> String {
    let (first, last) = (place(left), format!("{} {}", chart.x_label, place(right)));
    let gap = COLUMNS.saturating_sub(width::of(&first) + width::of(&last));
    format!("{}  {first}{}{last}   {}", " ".repeat(margin), " ".repeat(gap), chart.y_label)
        .trim_end()
        .to_owned()
}

/// Formats a value on the horizontal axis; steps are whole numbers.
fn place(x: f64) -> String {
    if x.fract() == 0.0 && x.abs() < 1e15 {
        number::count(x as i64)
    } else {
        number::significant(x, 4)
    }
}

/// Returns the relative position of `value` between `low` and `high`; the middle if they are equal.
fn share(value: f64, low: f64, high: f64) -> f64 {
    if high > low { (value - low) / (high - low) } else { value * 0.0 + 0.5 }
}

/// A grid of braille cells with two by four dots each.
struct Dots {
    cells: Vec<u8>,
}

impl Dots {
    fn set(&mut self, x: usize, y: usize) {
        const BITS: [[u8; 2]; 4] = [[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]];
        let bit = BITS.get(y % 4).and_then(|row| row.get(x % 2)).copied().unwrap_or(0);
        if let Some(cell) = self.cells.get_mut((y / 4) * COLUMNS + x / 2) {
            *cell |= bit;
        }
    }

    fn line(&mut self, from: (f64, f64), to: (f64, f64)) {
        let steps = (to.0 - from.0).abs().max((to.1 - from.1).abs()).ceil().max(1.0);
        for step in 0..=steps as usize {
            let part = step as f64 / steps;
            self.set(
                (from.0 + part * (to.0 - from.0)).round() as usize,
                (from.1 + part * (to.1 - from.1)).round() as usize,
            );
        }
    }
}

#[cfg(test)]
mod tests;
