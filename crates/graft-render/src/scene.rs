//! A chart as shapes. Live plot and final figure are painted from the same layout, so that nothing
//! moves when one replaces the other.

mod frame;
mod labels;
mod marks;
mod point_labels;
mod ticks;

pub(crate) use frame::{Frame, HEIGHT, WIDTH};
use graft_protocol::{Chart, SeriesStyle};

/// The shapes in painting order.
#[derive(Debug, Default)]
pub(crate) struct Scene {
    pub shapes: Vec<Shape>,
}

/// One shape, in the units of [`WIDTH`] and [`HEIGHT`] from the upper left corner.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Shape {
    Line { points: Vec<(f64, f64)>, width: f64, ink: Ink },
    Dot { at: (f64, f64), radius: f64, ink: Ink },
    Text { at: (f64, f64), text: String, size: f64, bold: bool, anchor: Anchor, ink: Ink },
}

/// Horizontal alignment of a text relative to its position, which is on the baseline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Anchor {
    Start,
    Middle,
    End,
}

/// The role of a shape's color; the painter chooses the color for the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ink {
    Text,
    Muted,
    Grid,
    /// The color of the line with this index.
    Series(usize),
    /// The pale form of that color.
    Pale(usize),
}

/// Lays out `chart`.
pub(crate) fn scene(chart: &Chart) -> Scene {
    let mut scene = Scene::default();
    let frame = Frame::of(chart);
    frame.draw(chart, &mut scene.shapes);
    labels::draw(chart, &frame, &mut scene.shapes);
    let inks = inks(chart);
    for (series, ink) in chart.series.iter().zip(&inks) {
        marks::draw(series, *ink, &frame, &mut scene.shapes);
    }
    point_labels::draw(chart, &inks, &frame, &mut scene.shapes);
    labels::draw_ends(chart, &inks, &frame, &mut scene.shapes);
    scene
}

/// Returns the inks of the series. A faint series has the pale color of the next line.
pub(crate) fn inks(chart: &Chart) -> Vec<Ink> {
    let mut next = 0;
    let ink = |style| match style {
        SeriesStyle::Faint => Ink::Pale(next),
        SeriesStyle::Line | SeriesStyle::Dots | SeriesStyle::Points => {
            next += 1;
            Ink::Series(next - 1)
        }
    };
    chart.series.iter().map(|series| series.style).map(ink).collect()
}
