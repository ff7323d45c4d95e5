//! A line chart, drawn in the style of the loss plots.

use graft_protocol::{Block, Series, SeriesStyle, chart::NonFinite};

use crate::{Show, Shown, lab};

/// A line chart, drawn in the style of the loss plots.
///
/// # Examples
/// ```
/// use graft::prelude::*;
///
/// let chart = Chart::new("loss")
///     .axes("step", "nats per token")
///     .line("training", &[(0.0, 3.1), (1.0, 2.7)])
///     .dots("validation", &[(1.0, 2.8)]);
/// lab().display(&chart);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Chart {
    chart: graft_protocol::Chart,
}

impl Chart {
    /// An empty chart.
    pub fn new(title: &str) -> Self {
        Self { chart: graft_protocol::Chart { title: title.to_owned(), ..Default::default() } }
    }

    /// Labels the axes.
    #[must_use]
    pub fn axes(mut self, x: &str, y: &str) -> Self {
        self.chart.x_label = x.to_owned();
        self.chart.y_label = y.to_owned();
        self
    }

    /// Makes the vertical axis logarithmic.
    #[must_use]
    pub fn log_y(mut self) -> Self {
        self.chart.log_y = true;
        self
    }

    /// Adds a line. A point with a non-finite y leaves a gap.
    #[must_use]
    pub fn line(self, name: &str, points: &[(f64, f64)]) -> Self {
        self.series(name, points, SeriesStyle::Line)
    }

    /// Adds a line with a dot at every point.
    #[must_use]
    pub fn dots(self, name: &str, points: &[(f64, f64)]) -> Self {
        self.series(name, points, SeriesStyle::Dots)
    }

    fn series(mut self, name: &str, points: &[(f64, f64)], style: SeriesStyle) -> Self {
        let points = points.iter().map(|(x, y)| (*x, NonFinite(*y))).collect();
        self.chart.series.push(Series { name: name.to_owned(), style, points, labels: Vec::new() });
        self
    }

    /// Shows the value. evcxr calls this for the last expression of a cell.
    pub fn evcxr_display(&self) {
        lab().display(self);
    }
}

impl From<graft_protocol::Chart> for Chart {
    fn from(chart: graft_protocol::Chart) -> Self {
        Self { chart }
    }
}

impl Show for Chart {
    fn shown(&self) -> Shown {
        Shown::Block(Block::Chart(self.chart.clone()))
    }
}
