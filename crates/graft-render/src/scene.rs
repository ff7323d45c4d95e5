//! A chart as shapes, laid out once: the live plot and the final figure differ only in who paints them, so nothing jumps when one replaces the other.

mod frame;
mod labels;
mod marks;
mod ticks;

pub(crate) use frame::{Frame, HEIGHT, WIDTH};
use graft_protocol::{Chart, SeriesStyle};

/// What there is to paint, first painted first.
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

/// Where a text's point lies; its baseline is always the height given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Anchor {
    Start,
    Middle,
    End,
}

/// What colour a shape has; the painter knows the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ink {
    Text,
    Muted,
    Grid,
    /// The line of that number.
    Series(usize),
    /// The pale form of that line.
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
    labels::draw_ends(chart, &inks, &frame, &mut scene.shapes);
    scene
}

/// A faint series has the pale form of the colour of the next line.
pub(crate) fn inks(chart: &Chart) -> Vec<Ink> {
    let mut next = 0;
    let ink = |style| match style {
        SeriesStyle::Faint => Ink::Pale(next),
        SeriesStyle::Line | SeriesStyle::Dots => {
            next += 1;
            Ink::Series(next - 1)
        }
    };
    chart.series.iter().map(|series| series.style).map(ink).collect()
}
