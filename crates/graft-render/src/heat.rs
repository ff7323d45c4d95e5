//! Heat maps: matrices as colors, next to each other in one figure.

use std::error::Error;

use graft_protocol::HeatMap;
use plotters::{
    coord::Shift,
    drawing::{DrawingArea, IntoDrawingArea},
    element::{Rectangle, Text},
    prelude::{BitMapBackend, DrawingBackend as _},
    style::{
        Color, FontDesc, FontFamily, FontStyle, RGBColor,
        text_anchor::{HPos, Pos, VPos},
    },
};

use crate::{
    figure::{OVERSAMPLING, PIXELS, color_of, encode, shrunk},
    number, palette,
};

/// Width and height of one matrix, including its labels.
const PANEL: (u32, u32) = (300, 330);
/// Left, top, width and height of the cells within their panel.
const CELLS: (u32, u32, u32, u32) = (20, 48, 260, 210);
/// Colors of the most positive and most negative value: Okabe and Ito's vermilion and blue.
const ENDS: (palette::Rgb, palette::Rgb) = ((213, 94, 0), (0, 114, 178));
/// Factor by which plotters reduces font sizes in bitmaps.
const LETTERS: f64 = 1.164;

/// As PNG; empty only if plotters cannot draw at all.
pub(crate) fn png(maps: &[HeatMap]) -> Vec<u8> {
    graft_font::register();
    let (width, height) = (PANEL.0 * PIXELS * maps.len().max(1) as u32, PANEL.1 * PIXELS);
    let mut pixels = vec![255; (width * height * 3) as usize];
    if paint(&mut pixels, (width, height), maps).is_err() {
        return Vec::new();
    }
    encode(&shrunk(&pixels, width as usize), width / OVERSAMPLING, height / OVERSAMPLING)
        .unwrap_or_default()
}

/// As plain text.
pub(crate) fn plain(maps: &[HeatMap]) -> String {
    let line = |map: &HeatMap| {
        format!(
            "{}: {} by {}, largest magnitude {}",
            map.title,
            map.row_label,
            map.column_label,
            number::significant(map.limit(), 3)
        )
    };
    maps.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// The figure to draw on.
type Area<'a> = DrawingArea<BitMapBackend<'a>, Shift>;

fn paint(
    pixels: &mut [u8],
    size: (u32, u32),
    maps: &[HeatMap],
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut backend = BitMapBackend::with_buffer(pixels, size);
    for (index, map) in maps.iter().enumerate() {
        let origin = (index as u32 * PANEL.0 + CELLS.0, CELLS.1);
        cells(&mut backend, origin, map)?;
    }
    let area = backend.into_drawing_area();
    for (index, map) in maps.iter().enumerate() {
        let left = index as u32 * PANEL.0 + CELLS.0;
        names(&area, left, map)?;
        scale(&area, left, map)?;
    }
    area.present()?;
    Ok(())
}

/// Writes the title of a map and the names of its axes.
fn names(area: &Area<'_>, left: u32, map: &HeatMap) -> Result<(), Box<dyn Error + Send + Sync>> {
    write(area, (left, 18), &map.title, 13.0, (FontStyle::Bold, palette::TEXT), HPos::Left)?;
    write(
        area,
        (left, 36),
        &format!("{} by {}", map.row_label, map.column_label),
        11.0,
        (FontStyle::Normal, palette::MUTED),
        HPos::Left,
    )
}

/// Draws the color scale of a map with its numbers: from the most negative value, or 0 if there is
/// none, to the most positive.
fn scale(area: &Area<'_>, left: u32, map: &HeatMap) -> Result<(), Box<dyn Error + Send + Sync>> {
    let small = (FontStyle::Normal, palette::MUTED);
    let has_negative = map.values.iter().any(|value| *value < 0.0);
    let bottom = CELLS.1 + CELLS.3;
    colors(area, (left, bottom + 16), has_negative)?;
    let limit = number::significant(map.limit(), 2);
    if has_negative {
        write(area, (left, bottom + 40), &format!("−{limit}"), 11.0, small, HPos::Left)?;
    }
    let zero = if has_negative { (left + CELLS.2 / 2, HPos::Center) } else { (left, HPos::Left) };
    write(area, (zero.0, bottom + 40), "0", 11.0, small, zero.1)?;
    write(area, (left + CELLS.2, bottom + 40), &limit, 11.0, small, HPos::Right)
}

/// Draws the colors of the scale from left to right.
fn colors(
    area: &Area<'_>,
    from: (u32, u32),
    has_negative: bool,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let steps = 60;
    for step in 0..steps {
        let place = f64::from(step) / f64::from(steps - 1);
        let share = if has_negative { 2.0 * place - 1.0 } else { place };
        let x = from.0 + step * CELLS.2 / steps;
        let corners = [
            ((x * PIXELS) as i32, (from.1 * PIXELS) as i32),
            (
                ((from.0 + (step + 1) * CELLS.2 / steps) * PIXELS) as i32,
                ((from.1 + 10) * PIXELS) as i32,
            ),
        ];
        area.draw(&Rectangle::new(corners, shade(share).filled()))?;
    }
    Ok(())
}

/// Writes a text whose middle line is at `at`.
fn write(
    area: &Area<'_>,
    at: (u32, u32),
    text: &str,
    size: f64,
    (weight, color): (FontStyle, palette::Rgb),
    anchor: HPos,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let style = FontDesc::new(FontFamily::SansSerif, size * f64::from(PIXELS) * LETTERS, weight)
        .color(&color_of(color));
    area.draw(&Text::new(
        text.to_owned(),
        ((at.0 * PIXELS) as i32, (at.1 * PIXELS) as i32),
        style.pos(Pos::new(anchor, VPos::Center)),
    ))?;
    Ok(())
}

fn cells(
    backend: &mut BitMapBackend<'_>,
    (left, top): (u32, u32),
    map: &HeatMap,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let (limit, rows, columns) = (map.limit(), map.rows as u32, map.columns as u32);
    let edge = |start: u32, length: u32, place: u32, count: u32| {
        (start * PIXELS + place * length * PIXELS / count.max(1)) as i32
    };
    for row in 0..rows {
        for column in 0..columns {
            let value = map.values.get((row * columns + column) as usize).copied().unwrap_or(0.0);
            let color = shade(if limit > 0.0 { value / limit } else { 0.0 });
            let from = (edge(left, CELLS.2, column, columns), edge(top, CELLS.3, row, rows));
            let to = (edge(left, CELLS.2, column + 1, columns), edge(top, CELLS.3, row + 1, rows));
            backend.draw_rect(from, to, &color, true)?;
        }
    }
    let grid = color_of(palette::GRID);
    let (from, to) = (
        (edge(left, 0, 0, 1) - 1, edge(top, 0, 0, 1) - 1),
        (edge(left, CELLS.2, 1, 1), edge(top, CELLS.3, 1, 1)),
    );
    Ok(backend.draw_rect(from, to, &grid, false)?)
}

/// Returns the color of a value between -1 and 1.
fn shade(value: f64) -> RGBColor {
    let (end, strength) = (if value < 0.0 { ENDS.1 } else { ENDS.0 }, value.abs().clamp(0.0, 1.0));
    let mix = |full: u8| (255.0 + (f64::from(full) - 255.0) * strength).round() as u8;
    RGBColor(mix(end.0), mix(end.1), mix(end.2))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn maps() -> Vec<HeatMap> {
        let labels = || ["rank 2".to_owned(), "d_in 3".to_owned()];
        vec![
            HeatMap::of("A", labels(), (2, 3), &[0.5, -0.25, 0.0, 0.1, 0.2, -0.5], 64),
            HeatMap::of("zeros", labels(), (2, 3), &[0.0; 6], 64),
        ]
    }

    #[test]
    fn each_sign_has_its_own_color_and_zero_is_white() {
        assert_eq!(
            [shade(1.0), shade(-1.0), shade(0.0)],
            [RGBColor(213, 94, 0), RGBColor(0, 114, 178), RGBColor(255, 255, 255)]
        );
    }

    #[test]
    fn the_figure_has_a_panel_for_each_matrix() {
        let figure = png(&maps());
        let decoder =
            png::Decoder::new(std::io::Cursor::new(&figure)).read_info().expect("a valid PNG");
        assert_eq!(decoder.info().size(), (2 * 2 * PANEL.0, 2 * PANEL.1));
        assert!(
            plain(&maps()).starts_with("A: rank 2 by d_in 3, largest magnitude 0.5"),
            "{}",
            plain(&maps())
        );
    }
}
