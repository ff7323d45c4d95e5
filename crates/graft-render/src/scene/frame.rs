//! Axes, grid and the mapping from values to positions.

use graft_protocol::{Chart, SeriesStyle};

use super::{Anchor, Ink, Shape, labels, ticks};

/// Width of every scene.
pub(crate) const WIDTH: f64 = 720.0;
/// Height of every scene.
pub(crate) const HEIGHT: f64 = 380.0;

const TICK_SIZE: f64 = 11.0;

/// The plotting area and its scales.
#[derive(Debug)]
pub(crate) struct Frame {
    pub left: f64,
    pub right: f64,
    pub top: f64,
    pub bottom: f64,
    x: (f64, f64),
    y: (f64, f64),
    log_x: bool,
    log_y: bool,
    /// Whether there is a point that can be drawn.
    pub has_points: bool,
}

impl Frame {
    /// Chooses scales that include every point, and margins with room for every label.
    pub(crate) fn of(chart: &Chart) -> Self {
        let drawable = |y: f64| y.is_finite() && (!chart.log_y || y > 0.0);
        let across = |x: f64| x.is_finite() && (!chart.log_x || x > 0.0);
        let points = || {
            chart
                .series
                .iter()
                .flat_map(|series| &series.points)
                .filter(|(x, y)| across(*x) && drawable(y.0))
        };
        let x = range(points().map(|point| point.0)).map(|(low, high)| {
            (low, chart.x_max.filter(|max| max.is_finite()).map_or(high, |max| high.max(max)))
        });
        let y = range(points().map(|point| point.1.0));
        let x = x.map(|x| if is_scatter(chart) { spread(x, chart.log_x) } else { x });
        let from_zero = |(low, high): (f64, f64)| {
            if chart.x_max.is_some() && low > 0.0 { (0.0, high) } else { (low, high) }
        };
        let mut frame = Self {
            left: 0.0,
            right: WIDTH - 16.0 - labels::ends_width(chart),
            top: labels::head_height(chart),
            bottom: HEIGHT - if chart.caption.is_empty() { 44.0 } else { 64.0 },
            x: widened(
                from_zero(x.unwrap_or((0.0, chart.x_max.unwrap_or(1.0)))),
                chart.log_x && y.is_some(),
                false,
            ),
            log_x: chart.log_x && y.is_some(),
            y: widened(y.unwrap_or((0.0, 1.0)), chart.log_y && y.is_some(), true),
            log_y: chart.log_y && y.is_some(),
            has_points: y.is_some(),
        };
        let widest = frame
            .y_ticks()
            .iter()
            .map(|(_, label)| labels::text_width(label, TICK_SIZE))
            .fold(0.0, f64::max);
        frame.left = 16.0 + widest + 8.0;
        frame
    }

    /// Returns the position of a point; `None` if it cannot be drawn.
    pub(crate) fn place(&self, x: f64, y: f64) -> Option<(f64, f64)> {
        let across = share(x, self.x, self.log_x);
        let up = share(y, self.y, self.log_y);
        (across.is_finite() && up.is_finite()).then_some((
            self.left + across * (self.right - self.left),
            self.bottom - up * (self.bottom - self.top),
        ))
    }

    fn y_ticks(&self) -> Vec<(f64, String)> {
        if !self.has_points {
            return Vec::new();
        }
        if self.log_y {
            return ticks::log_ticks(self.y.0, self.y.1)
                .into_iter()
                .map(|value| (value, ticks::log_label(value)))
                .collect();
        }
        let (values, step) = ticks::ticks(self.y.0, self.y.1, 5, false);
        values.into_iter().map(|value| (value, ticks::label(value, step))).collect()
    }

    /// Returns as many ticks as fit without touching.
    fn x_ticks(&self, whole: bool) -> Vec<(f64, String)> {
        if self.log_x {
            return ticks::log_ticks(self.x.0, self.x.1)
                .into_iter()
                .map(|value| (value, ticks::log_label(value)))
                .collect();
        }
        for wanted in [8, 6, 4, 3, 2, 1] {
            let (values, step) = ticks::ticks(self.x.0, self.x.1, wanted, whole);
            let labels: Vec<(f64, String)> =
                values.into_iter().map(|value| (value, ticks::label(value, step))).collect();
            let needed: f64 =
                labels.iter().map(|(_, label)| labels::text_width(label, TICK_SIZE) + 18.0).sum();
            if needed < self.right - self.left {
                return labels;
            }
        }
        Vec::new()
    }

    /// Draws grid, axis and tick labels.
    pub(crate) fn draw(&self, chart: &Chart, shapes: &mut Vec<Shape>) {
        let text = |at, text, anchor| Shape::Text {
            at,
            text,
            size: TICK_SIZE,
            bold: false,
            anchor,
            ink: Ink::Muted,
        };
        for (value, label) in self.y_ticks() {
            let Some((_, y)) = self.place(self.x.0, value) else { continue };
            shapes.push(Shape::Line {
                points: vec![(self.left, y), (self.right, y)],
                width: 1.0,
                ink: Ink::Grid,
            });
            shapes.push(text((self.left - 8.0, y + 4.0), label, Anchor::End));
        }
        shapes.push(Shape::Line {
            points: vec![(self.left, self.bottom), (self.right, self.bottom)],
            width: 1.0,
            ink: Ink::Muted,
        });
        for (value, label) in self.x_ticks(is_whole(chart)) {
            let Some((x, _)) = self.place(value, self.y.0) else { continue };
            shapes.push(Shape::Line {
                points: vec![(x, self.bottom), (x, self.bottom + 4.0)],
                width: 1.0,
                ink: Ink::Muted,
            });
            shapes.push(text((x, self.bottom + 17.0), label, Anchor::Middle));
        }
    }
}

/// Returns the relative position of a value on an axis, from 0 to 1.
fn share(value: f64, (low, high): (f64, f64), log: bool) -> f64 {
    if log { (value / low).ln() / (high / low).ln() } else { (value - low) / (high - low) }
}

fn range(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    values.fold(None, |range, value| {
        Some(
            range.map_or((value, value), |(low, high): (f64, f64)| {
                (low.min(value), high.max(value))
            }),
        )
    })
}

/// Returns whether the chart consists of single points.
fn is_scatter(chart: &Chart) -> bool {
    !chart.series.is_empty()
        && chart.series.iter().all(|series| series.style == SeriesStyle::Points)
}

/// Widens a range, so that points have room on both sides and few sizes do not look far apart.
fn spread((low, high): (f64, f64), log: bool) -> (f64, f64) {
    if log {
        let ratio = (high / low).powf(0.08).max(2.0);
        return (low / ratio, high * ratio);
    }
    let margin = 0.08 * (high - low);
    (low - margin, high + margin)
}

/// Adds a margin around a range. A range of a single value is given some width.
fn widened((low, high): (f64, f64), log: bool, pad: bool) -> (f64, f64) {
    if log {
        let ratio = (high / low).powf(0.05).max(1.02);
        return (low / ratio, high * ratio);
    }
    if high > low {
        let margin = if pad { 0.05 * (high - low) } else { 0.0 };
        return if (high - low).is_finite() { (low - margin, high + margin) } else { (low, high) };
    }
    let margin = if low == 0.0 { 1.0 } else { low.abs() * 0.1 };
    (low - margin, high + margin)
}

/// Returns whether the horizontal axis shows whole numbers, such as steps.
fn is_whole(chart: &Chart) -> bool {
    chart
        .series
        .iter()
        .filter(|series| series.style != SeriesStyle::Faint)
        .flat_map(|series| &series.points)
        .all(|(x, _)| x.fract() == 0.0)
}
