//! The final figure, drawn by plotters: SVG and PNG on an opaque light background, legible on light
//! and dark pages.

use std::error::Error;

use graft_protocol::Chart;
use plotters::{
    backend::DrawingBackend,
    coord::Shift,
    drawing::{DrawingArea, IntoDrawingArea},
    element::{Circle, PathElement, Text},
    prelude::{BitMapBackend, SVGBackend},
    style::{
        Color, FontDesc, FontFamily, FontStyle, RGBColor, ShapeStyle,
        text_anchor::{HPos, Pos, VPos},
    },
};

use crate::{
    palette,
    scene::{Anchor, HEIGHT, Ink, Scene, Shape, WIDTH, scene},
    visible::Visible,
};

/// Width and height at which a figure is displayed; the PNG has twice as many pixels in each
/// direction.
pub const FIGURE_SIZE: (u32, u32) = (WIDTH as u32, HEIGHT as u32);

/// Integer coordinates of plotters per unit of the scene, so that lines keep their tenths.
const SVG_SCALE: u32 = 10;
/// Rendered pixels per unit; each square of 2 × 2 becomes one pixel of the PNG.
pub(crate) const PIXELS: u32 = 4;
pub(crate) const OVERSAMPLING: u32 = 2;

/// Draws a chart as SVG. Text remains text, in the reader's sans-serif font.
pub fn chart_svg(chart: &Chart) -> String {
    svg(&chart.shown())
}

/// [`chart_svg`] for a chart whose texts have been made safe to show.
pub(crate) fn svg(chart: &Chart) -> String {
    graft_font::register();
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(
            &mut svg,
            (FIGURE_SIZE.0 * SVG_SCALE, FIGURE_SIZE.1 * SVG_SCALE),
        )
        .into_drawing_area();
        paint(&area, &scene(chart), f64::from(SVG_SCALE), 1.24).ok();
    }
    let (width, height) = FIGURE_SIZE;
    let drawn = format!("<svg width=\"{}\" height=\"{}\"", width * SVG_SCALE, height * SVG_SCALE);
    svg.replacen(&drawn, &format!("<svg width=\"{width}\" height=\"{height}\" stroke-linejoin=\"round\" stroke-linecap=\"round\""), 1)
}

/// Draws a chart as PNG with twice [`FIGURE_SIZE`]. Empty only if plotters cannot draw at all.
pub fn chart_png(chart: &Chart) -> Vec<u8> {
    png(&chart.shown())
}

/// [`chart_png`] for a chart whose texts have been made safe to show.
pub(crate) fn png(chart: &Chart) -> Vec<u8> {
    graft_font::register();
    let (width, height) = (FIGURE_SIZE.0 * PIXELS, FIGURE_SIZE.1 * PIXELS);
    let mut pixels = vec![0; (width * height * 3) as usize];
    {
        let area = BitMapBackend::with_buffer(&mut pixels, (width, height)).into_drawing_area();
        paint(&area, &scene(chart), f64::from(PIXELS), 1.164).ok();
    }
    encode(&shrunk(&pixels, width as usize), width / OVERSAMPLING, height / OVERSAMPLING)
        .unwrap_or_default()
}

/// `letters` compensates for the backends' scaling of font sizes: SVG divides them by 1.24, and
/// bitmaps measure them from ascender to descender.
fn paint<B: DrawingBackend>(
    area: &DrawingArea<B, Shift>,
    scene: &Scene,
    scale: f64,
    letters: f64,
) -> Result<(), Box<dyn Error + Send + Sync>>
where
    B::ErrorType: 'static,
{
    area.fill(&color_of(palette::PAPER))?;
    let place = |(x, y): (f64, f64)| ((x * scale).round() as i32, (y * scale).round() as i32);
    for shape in &scene.shapes {
        match shape {
            Shape::Line { points, width, ink } => {
                let style = line_style(*ink, (width * scale).round() as u32);
                area.draw(&PathElement::new(
                    points.iter().map(|point| place(*point)).collect::<Vec<_>>(),
                    style,
                ))?;
            }
            Shape::Dot { at, radius, ink } => area.draw(&Circle::new(
                place(*at),
                (radius * scale).round() as i32,
                ink_color(*ink).filled(),
            ))?,
            Shape::Text { at, text, size, bold, anchor, ink } => {
                let weight = if *bold { FontStyle::Bold } else { FontStyle::Normal };
                let font = FontDesc::new(FontFamily::SansSerif, size * scale * letters, weight);
                let style =
                    font.color(&ink_color(*ink)).pos(Pos::new(horizontal(*anchor), VPos::Bottom));
                let base = place((at.0, at.1 + size * 0.24));
                area.draw(&Text::new(text.as_str(), base, style))?;
            }
        }
    }
    area.present()?;
    Ok(())
}

/// The style of a line of a scene.
fn line_style(ink: Ink, stroke_width: u32) -> ShapeStyle {
    ShapeStyle { color: ink_color(ink).to_rgba(), filled: true, stroke_width }
}

/// The alignment of a text of a scene.
fn horizontal(anchor: Anchor) -> HPos {
    match anchor {
        Anchor::Start => HPos::Left,
        Anchor::Middle => HPos::Center,
        Anchor::End => HPos::Right,
    }
}

fn ink_color(ink: Ink) -> RGBColor {
    color_of(match ink {
        Ink::Text => palette::TEXT,
        Ink::Muted => palette::MUTED,
        Ink::Grid => palette::GRID,
        Ink::Series(index) => palette::series(index),
        Ink::Pale(index) => palette::pale(palette::series(index)),
    })
}

pub(crate) fn color_of((red, green, blue): palette::Rgb) -> RGBColor {
    RGBColor(red, green, blue)
}

/// Averages each square of [`OVERSAMPLING`] pixels, because plotters draws lines without
/// antialiasing.
pub(crate) fn shrunk(pixels: &[u8], width: usize) -> Vec<u8> {
    let step = OVERSAMPLING as usize;
    let row = width * 3;
    let mut out = Vec::with_capacity(pixels.len() / (step * step));
    for rows in pixels.chunks_exact(row * step) {
        for column in 0..width / step {
            for channel in 0..3 {
                let at = |y: usize, x: usize| {
                    usize::from(
                        rows.get(y * row + (column * step + x) * 3 + channel).copied().unwrap_or(0),
                    )
                };
                let sum: usize =
                    (0..step).map(|y| (0..step).map(|x| at(y, x)).sum::<usize>()).sum();
                out.push((sum / (step * step)) as u8);
            }
        }
    }
    out
}

pub(crate) fn encode(
    pixels: &[u8],
    width: u32,
    height: u32,
) -> Result<Vec<u8>, png::EncodingError> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_filter(png::FilterType::NoFilter);
    encoder.set_compression(png::Compression::Best);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(pixels)?;
    writer.finish()?;
    Ok(file)
}

#[cfg(test)]
mod tests;
