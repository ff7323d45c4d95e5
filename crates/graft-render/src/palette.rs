//! Colors: the hues of Okabe and Ito, which color-blind readers can distinguish, at a medium
//! lightness that is legible on light and dark pages.

/// A color as red, green, blue.
pub(crate) type Rgb = (u8, u8, u8);

/// Colors of the lines of a chart on a light background.
pub(crate) const SERIES: [Rgb; 6] =
    [(0, 114, 178), (213, 94, 0), (0, 145, 106), (184, 92, 147), (170, 119, 0), (40, 140, 200)];

/// Colors of the same lines on a background of any color.
pub(crate) const SERIES_ON_PAGE: [&str; 6] =
    ["#2b8fd0", "#e0691a", "#12a07a", "#c76ba4", "#c08a10", "#4aa8dd"];

/// Background of a figure.
pub(crate) const PAPER: Rgb = (255, 255, 255);
/// Color of text.
pub(crate) const TEXT: Rgb = (31, 35, 40);
/// Color of ticks and small print.
pub(crate) const MUTED: Rgb = (89, 99, 110);
/// Color of grid lines.
pub(crate) const GRID: Rgb = (228, 232, 236);

/// Returns the color of a line by its index.
pub(crate) fn series(index: usize) -> Rgb {
    SERIES.get(index % SERIES.len()).copied().unwrap_or(TEXT)
}

/// Returns the color of a line by its index, for a background of any color.
pub(crate) fn series_on_page(index: usize) -> &'static str {
    SERIES_ON_PAGE.get(index % SERIES_ON_PAGE.len()).copied().unwrap_or("currentColor")
}

/// Returns the pale form of a color. It is opaque, because overlapping transparent strokes leave
/// spots.
pub(crate) fn pale((red, green, blue): Rgb) -> Rgb {
    let mix = |from: u8, to: u8| (f64::from(from) * 0.30 + f64::from(to) * 0.70).round() as u8;
    (mix(red, PAPER.0), mix(green, PAPER.1), mix(blue, PAPER.2))
}
