//! Drawing with plotters from a cell.

use graft_spec::Failure;
use plotters::{
    coord::Shift,
    drawing::{DrawingArea, IntoDrawingArea},
    prelude::SVGBackend,
};

use crate::{Error, Result};

/// The drawing area of the closure of [`Lab::draw`](crate::Lab::draw).
pub type Drawing<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// The result of the closure of [`Lab::draw`](crate::Lab::draw). `?` converts any error.
pub type Painted = std::result::Result<(), Box<dyn std::error::Error + Send + Sync>>;

/// Largest side in pixels: browsers do not show larger images.
const LONGEST_SIDE: u32 = 16_384;

const CODE: &str = "graft::drawing";

/// The SVG that `paint` draws.
pub(crate) fn svg(
    (width, height): (u32, u32),
    paint: impl FnOnce(&Drawing<'_>) -> Painted,
) -> Result<String> {
    if !(1..=LONGEST_SIDE).contains(&width) || !(1..=LONGEST_SIDE).contains(&height) {
        let message = format!("a drawing of {width} x {height} pixels cannot be shown");
        return Err(Error::new(
            CODE,
            message,
            format!("both sides from 1 to {LONGEST_SIDE}, such as `lab().draw(640, 360, …)`"),
        ));
    }
    graft_font::register();
    let mut text = String::new();
    {
        let area = SVGBackend::with_string(&mut text, (width, height)).into_drawing_area();
        let painted = paint(&area).and_then(|()| area.present().map_err(Into::into));
        painted.map_err(|error| Failure::new(CODE, format!("the drawing failed: {error}")))?;
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use plotters::prelude::*;

    use super::*;

    #[test]
    fn a_chart_with_words_is_drawn_without_a_font_of_the_system() {
        let text = svg((300, 200), |area| {
            area.fill(&WHITE)?;
            let mut chart = ChartBuilder::on(area)
                .caption("losses", ("sans-serif", 20))
                .build_cartesian_2d(0.0..1.0, 0.0..1.0)?;
            chart.draw_series(LineSeries::new([(0.0, 0.0), (1.0, 1.0)], &RED))?;
            Ok(())
        });
        let text = text.unwrap();
        assert!(
            text.contains("losses")
                && text.contains("<polyline")
                && text.trim_end().ends_with("</svg>")
        );
    }

    #[test]
    fn what_went_wrong_in_the_closure_is_said() {
        let error = svg((300, 200), |_| Err("no points".into())).unwrap_err();
        assert_eq!(
            (error.code(), error.to_string().as_str()),
            ("graft::drawing", "the drawing failed: no points")
        );
        assert!(svg((0, 9), |_| Ok(())).unwrap_err().hint().is_some());
    }
}
