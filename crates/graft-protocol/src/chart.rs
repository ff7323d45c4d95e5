//! Line charts as data; graft-render draws them as SVG and PNG.

use serde::{Deserialize, Serialize};

/// A line chart.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Chart {
    /// Title above the chart.
    pub title: String,
    /// Name and unit of the horizontal axis.
    pub x_label: String,
    /// Name and unit of the vertical axis.
    pub y_label: String,
    /// Right end of the horizontal axis if it is known in advance (the planned number of steps).
    pub x_max: Option<f64>,
    /// Whether the vertical axis is logarithmic.
    pub log_y: bool,
    /// Whether the horizontal axis is logarithmic.
    #[serde(default)]
    pub log_x: bool,
    /// The lines, in drawing order.
    pub series: Vec<Series>,
    /// Line below the chart: step, speed, outcome.
    pub caption: String,
}

/// One line of a chart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Series {
    /// Name in the legend.
    pub name: String,
    /// Drawing style.
    pub style: SeriesStyle,
    /// `(x, y)`; a point with a non-finite y leaves a gap.
    pub points: Vec<(f64, NonFinite)>,
    /// Names of the points of [`SeriesStyle::Points`] and [`SeriesStyle::Dots`], drawn where there
    /// is room.
    #[serde(default)]
    pub labels: Vec<String>,
}

/// A y value that may be NaN.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct NonFinite(#[serde(with = "graft_spec::number")] pub f64);

/// How a series is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SeriesStyle {
    /// A solid line.
    Line,
    /// A thin pale line: the raw values of a smoothed series.
    Faint,
    /// A line with a dot at every point, for few measured values such as validation losses.
    Dots,
    /// Dots without a line: measurements that have no order, such as one per student.
    Points,
}
