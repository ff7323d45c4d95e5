//! The names of single points, next to them where there is room.

use graft_protocol::{Chart, SeriesStyle};

use super::{Anchor, Frame, Ink, Shape, labels::text_width, marks::POINT_RADIUS};

const SIZE: f64 = 11.0;
/// Height of a line of text.
const LINE: f64 = 13.0;
/// Most characters of a name.
const MAX_CHARACTERS: usize = 18;

/// A rectangle: left, top, right, bottom.
type Area = [f64; 4];

/// A place of a text: its anchor point and the area that it covers.
type Place = ((f64, f64), Anchor, Area);

/// Two ends of a drawn line.
type Segment = ((f64, f64), (f64, f64));

/// Draws the names of the points of every series, beside the lines where there is room. A name that
/// would cover a point or another name is left out.
pub(super) fn draw(chart: &Chart, inks: &[Ink], frame: &Frame, shapes: &mut Vec<Shape>) {
    let points: Vec<((f64, f64), &str, Ink, SeriesStyle)> = chart
        .series
        .iter()
        .zip(inks)
        .filter(|(series, _)| matches!(series.style, SeriesStyle::Points | SeriesStyle::Dots))
        .flat_map(|(series, ink)| {
            let style = series.style;
            let named = series.points.iter().zip(&series.labels);
            named.map(move |(point, label)| (point, label, ink, style))
        })
        .filter_map(|((x, y), label, ink, style)| {
            Some((frame.place(*x, y.0)?, label.as_str(), *ink, style))
        })
        .collect();
    let mut taken: Vec<Area> = points.iter().map(|(at, ..)| around(*at)).collect();
    let lines = lines(chart, frame);
    for (at, label, ink, style) in points {
        let text = shortened(label);
        let width = text_width(&text, SIZE) * 0.9;
        let mut free = candidates(at, width, style);
        free.retain(|(_, _, area)| {
            let is_inside = area[0] >= 2.0
                && area[2] <= frame.right + 8.0
                && area[1] >= frame.top - 6.0
                && area[3] <= frame.bottom - 1.0;
            is_inside && !taken.iter().any(|other| overlaps(area, other))
        });
        let is_clear = |(_, _, area): &&Place| !lines.iter().any(|line| crosses(*line, area));
        let best = free.iter().find(is_clear).or(free.first()).copied();
        let Some((at, anchor, area)) = best else { continue };
        taken.push(area);
        shapes.push(Shape::Text { at, text, size: SIZE, bold: false, anchor, ink });
    }
}

fn shortened(label: &str) -> String {
    if label.chars().count() <= MAX_CHARACTERS {
        return label.to_owned();
    }
    format!("{}…", label.chars().take(MAX_CHARACTERS - 1).collect::<String>().trim_end())
}

fn around((x, y): (f64, f64)) -> Area {
    [x - POINT_RADIUS, y - POINT_RADIUS, x + POINT_RADIUS, y + POINT_RADIUS]
}

/// The segments of all lines.
fn lines(chart: &Chart, frame: &Frame) -> Vec<Segment> {
    let has_line = |style| !matches!(style, SeriesStyle::Points);
    let series = chart.series.iter().filter(|series| has_line(series.style));
    series
        .flat_map(|series| series.points.windows(2))
        .filter_map(|pair| {
            Some((frame.place(pair[0].0, pair[0].1.0)?, frame.place(pair[1].0, pair[1].1.0)?))
        })
        .collect()
}

/// Whether a segment has a point inside an area.
fn crosses(((x, y), end): Segment, area: &Area) -> bool {
    let (dx, dy) = (end.0 - x, end.1 - y);
    // The part of the segment, from 0 to 1, that is between the four sides.
    let (mut first, mut last) = (0.0f64, 1.0f64);
    for (step, room) in
        [(-dx, x - area[0]), (dx, area[2] - x), (-dy, y - area[1]), (dy, area[3] - y)]
    {
        if step == 0.0 {
            if room < 0.0 {
                return false;
            }
        } else if step < 0.0 {
            first = first.max(room / step);
        } else {
            last = last.min(room / step);
        }
    }
    first < last
}

/// The possible places of a text: right, left, above and below its point. Where a line connects the
/// points, above and below come first, and the text may also end above or below its point.
fn candidates((x, y): (f64, f64), width: f64, style: SeriesStyle) -> Vec<Place> {
    let gap = POINT_RADIUS + 3.0;
    let mut places = Vec::new();
    for shift in [0.0, -6.0, 6.0] {
        let (top, base) = (y - LINE / 2.0 + shift, y + 4.0 + shift);
        let (right, left) = (x + gap, x - gap);
        places.push(((right, base), Anchor::Start, [right, top, right + width, top + LINE]));
        places.push(((left, base), Anchor::End, [left - width, top, left, top + LINE]));
    }
    for (top, base) in [(y - gap - LINE, y - gap - 2.0), (y + gap - 2.0, y + gap + 8.0)] {
        let area = [x - width / 2.0, top, x + width / 2.0, top + LINE];
        places.push(((x, base), Anchor::Middle, area));
    }
    if style == SeriesStyle::Dots {
        places.rotate_right(2);
        for (top, base) in [(y - gap - LINE, y - gap - 2.0), (y + gap - 2.0, y + gap + 8.0)] {
            let right = x + gap;
            places.push(((right, base), Anchor::End, [right - width, top, right, top + LINE]));
        }
    }
    places
}

fn overlaps(one: &Area, other: &Area) -> bool {
    one[0] < other[2] && other[0] < one[2] && one[1] < other[3] && other[1] < one[3]
}

#[cfg(test)]
mod tests {
    use graft_protocol::{Series, chart::NonFinite};

    use super::*;
    use crate::scene::scene;

    fn chart(points: &[(f64, f64)]) -> Chart {
        let labels = (0..points.len()).map(|index| format!("student {index}")).collect();
        let points = points.iter().map(|(x, y)| (*x, NonFinite(*y))).collect();
        let series = Series { name: "lora".into(), style: SeriesStyle::Points, points, labels };
        Chart { log_x: true, series: vec![series], ..Chart::default() }
    }

    fn names(chart: &Chart) -> usize {
        let is_name = |shape: &&Shape| matches!(shape, Shape::Text { text, .. } if text.starts_with("student"));
        scene(chart).shapes.iter().filter(is_name).count()
    }

    #[test]
    fn names_that_would_cover_others_are_left_out() {
        assert_eq!(names(&chart(&[(100.0, 0.2), (1000.0, 0.5), (10_000.0, 0.9)])), 3);
        let same = names(&chart(&[(100.0, 0.5); 40]));
        assert!((1..20).contains(&same), "{same}");
        let dots = scene(&chart(&[(100.0, 0.5); 40]));
        let dots = dots.shapes.iter().filter(|shape| matches!(shape, Shape::Dot { .. })).count();
        // One more in the legend.
        assert_eq!(dots, 41);
    }

    #[test]
    fn the_names_of_a_falling_curve_are_beside_its_line() {
        let points: Vec<_> =
            (0..6).map(|step| (f64::from(step), 3.0 / f64::from(step + 1))).collect();
        let mut chart = chart(&points);
        chart.log_x = false;
        chart.x_max = Some(5.0);
        chart.series[0].style = SeriesStyle::Dots;
        let scene = scene(&chart);
        let is_line = |shape: &&Shape| matches!(shape, Shape::Line { ink: Ink::Series(_), points, .. } if points.len() > 1);
        // The first line is that of the legend.
        let lines: Vec<_> = scene.shapes.iter().filter(is_line).collect();
        let [_, Shape::Line { points: line, .. }] = lines[..] else { panic!("{lines:?}") };
        let names = scene.shapes.iter().filter_map(|shape| match shape {
            Shape::Text { at, text, anchor, .. } if text.starts_with("student") => {
                let width = text_width(text, SIZE) * 0.9;
                let left = match anchor {
                    Anchor::Start => at.0,
                    Anchor::Middle => at.0 - width / 2.0,
                    Anchor::End => at.0 - width,
                };
                Some([left, at.1 - 9.0, left + width, at.1])
            }
            _ => None,
        });
        let names: Vec<Area> = names.collect();
        assert_eq!(names.len(), 6);
        for area in names {
            assert!(!line.windows(2).any(|pair| crosses((pair[0], pair[1]), &area)), "{area:?}");
        }
    }

    #[test]
    fn points_are_not_joined_and_have_no_value_at_the_edge() {
        let scene = scene(&chart(&[(100.0, 0.25), (1000.0, 0.5)]));
        let joins = |shape: &&Shape| matches!(shape, Shape::Line { points, ink: Ink::Series(_), .. } if points.len() > 1);
        assert_eq!(scene.shapes.iter().filter(joins).count(), 0);
        let is_bold = |shape: &&Shape| matches!(shape, Shape::Text { bold: true, .. });
        assert_eq!(scene.shapes.iter().filter(is_bold).count(), 0);
    }
}
