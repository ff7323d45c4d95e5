//! One series as lines and dots.

use graft_protocol::{Series, SeriesStyle};

use super::{Anchor, Frame, Ink, Shape};
use crate::palette;

/// Maximum number of points drawn per segment: more than two per unit of width are not visible.
const MOST_POINTS: usize = 1400;

/// Radius of a single point.
pub(super) const POINT_RADIUS: f64 = 4.5;

/// Number of corners of a ring.
const RING_CORNERS: usize = 24;

/// The mark of a single point: a dot, or a ring if another series has the same color.
pub(super) fn point(at: (f64, f64), radius: f64, ink: Ink) -> Shape {
    match ink {
        Ink::Series(index) if (index / palette::SERIES.len()) % 2 == 1 => {
            let corner = |corner: usize| {
                let angle = std::f64::consts::TAU * corner as f64 / RING_CORNERS as f64;
                (at.0 + (radius - 1.0) * angle.cos(), at.1 + (radius - 1.0) * angle.sin())
            };
            Shape::Line { points: (0..=RING_CORNERS).map(corner).collect(), width: 2.0, ink }
        }
        _ => Shape::Dot { at, radius, ink },
    }
}

/// Draws `series`. A point that is not finite leaves a gap, and a cross on the horizontal axis
/// marks it.
pub(crate) fn draw(series: &Series, ink: Ink, frame: &Frame, shapes: &mut Vec<Shape>) {
    let width = match series.style {
        SeriesStyle::Faint => 1.0,
        SeriesStyle::Line | SeriesStyle::Dots | SeriesStyle::Points => 2.0,
    };
    let places: Vec<Option<(f64, f64)>> =
        series.points.iter().map(|(x, y)| frame.place(*x, y.0)).collect();
    if series.style == SeriesStyle::Points {
        let mark = |at: &(f64, f64)| point(*at, POINT_RADIUS, ink);
        return shapes.extend(places.iter().flatten().take(MOST_POINTS).map(mark));
    }
    for stretch in places.split(Option::is_none).filter(|stretch| !stretch.is_empty()) {
        let points: Vec<(f64, f64)> = stretch.iter().flatten().copied().collect();
        match points.as_slice() {
            [only] if series.style != SeriesStyle::Dots => {
                shapes.push(Shape::Dot { at: *only, radius: width + 0.5, ink })
            }
            [_] => {}
            _ => shapes.push(Shape::Line { points: thinned(points), width, ink }),
        }
    }
    if series.style == SeriesStyle::Dots && places.len() <= MOST_POINTS / 4 {
        shapes.extend(places.iter().flatten().map(|at| Shape::Dot { at: *at, radius: 3.5, ink }));
    }
    if series.style != SeriesStyle::Faint {
        shapes.extend(crosses(series, ink, frame));
    }
}

/// Marks the values that are not finite with at most ten crosses.
fn crosses(series: &Series, ink: Ink, frame: &Frame) -> Vec<Shape> {
    let bad = series.points.iter().filter(|(_, y)| !y.0.is_finite()).take(10);
    let place = |x: f64| {
        (frame.left + (frame.place(x, 1.0).map_or(0.0, |at| at.0 - frame.left)), frame.bottom - 4.0)
    };
    bad.map(|(x, y)| Shape::Text {
        at: place(*x),
        text: format!("× {}", y.0),
        size: 12.0,
        bold: true,
        anchor: Anchor::Middle,
        ink,
    })
    .collect()
}

/// Keeps the minimum and maximum of each small group, so that peaks stay visible.
fn thinned(points: Vec<(f64, f64)>) -> Vec<(f64, f64)> {
    if points.len() <= MOST_POINTS {
        return points;
    }
    let group = points.len().div_ceil(MOST_POINTS / 2);
    let mut kept = Vec::with_capacity(MOST_POINTS + 2);
    for chunk in points.chunks(group) {
        let by_height = |left: &&(f64, f64), right: &&(f64, f64)| left.1.total_cmp(&right.1);
        let (Some(low), Some(high)) =
            (chunk.iter().min_by(by_height), chunk.iter().max_by(by_height))
        else {
            continue;
        };
        let (first, second) = if low.0 <= high.0 { (low, high) } else { (high, low) };
        kept.push(*first);
        if first != second {
            kept.push(*second);
        }
    }
    kept.extend(points.last());
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_of_the_same_color_have_different_marks() {
        let colors = palette::SERIES.len();
        let mark = |index| point((10.0, 20.0), 4.5, Ink::Series(index));
        assert!(matches!(mark(0), Shape::Dot { radius: 4.5, .. }));
        assert!(matches!(mark(2 * colors), Shape::Dot { .. }));
        let Shape::Line { points, .. } = mark(colors) else { panic!("a ring") };
        assert_eq!(points.len(), RING_CORNERS + 1);
        let far = points.iter().map(|(x, y)| ((x - 10.0).hypot(y - 20.0) - 3.5).abs());
        assert!(far.fold(0.0, f64::max) < 1e-9);
    }
}
