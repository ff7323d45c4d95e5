//! The live plot of the current training run: inline SVG in the colors of the page, in a box of
//! fixed height so that the page does not flicker or jump.

use graft_protocol::Chart;
use maud::{Markup, html};

use crate::{
    Progress,
    palette::series_on_page,
    scene::{Anchor, HEIGHT, Ink, Scene, Shape, WIDTH, scene},
    visible::Visible,
};

/// Text color of JupyterLab and VS Code; on other pages the current color.
const PAGE: &str = "color:var(--jp-ui-font-color1,var(--vscode-editor-foreground,currentColor));font-family:var(--jp-ui-font-family,system-ui,sans-serif)";

/// Draws the chart and its progress bar. The HTML has no script, ids or classes, so it may appear
/// any number of times on one page.
///
/// The text of the bar stays readable if a frontend removes the plot.
pub fn live_html(chart: &Chart, progress: &Progress) -> String {
    let page = html! {
        div style={ "min-height:" (HEIGHT + 36.0) "px;max-width:" (WIDTH) "px;font-size:13px;" (PAGE) } {
            (svg(&scene(&chart.shown())))
            div style="padding:0 16px" { (progress.markup()) }
        }
    };
    page.into_string()
}

fn svg(scene: &Scene) -> Markup {
    html! {
        svg xmlns="http://www.w3.org/2000/svg" width=(WIDTH) height=(HEIGHT) viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" style="display:block;max-width:100%;height:auto" {
            @for shape in &scene.shapes { (paint(shape)) }
        }
    }
}

fn paint(shape: &Shape) -> Markup {
    match shape {
        Shape::Line { points, width, ink } => {
            let (color, opacity) = color(*ink);
            let places: Vec<String> =
                points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
            html! { polyline points=(places.join(" ")) fill="none" stroke=(color) stroke-opacity=(opacity) stroke-width=(width) stroke-linejoin="round" stroke-linecap="round" {} }
        }
        Shape::Dot { at, radius, ink } => {
            let (color, opacity) = color(*ink);
            html! { circle cx=(format!("{:.1}", at.0)) cy=(format!("{:.1}", at.1)) r=(radius) fill=(color) fill-opacity=(opacity) {} }
        }
        Shape::Text { at, text, size, bold, anchor, ink } => {
            let (color, opacity) = color(*ink);
            let anchor = match anchor {
                Anchor::Start => "start",
                Anchor::Middle => "middle",
                Anchor::End => "end",
            };
            let weight = if *bold { "600" } else { "400" };
            html! { text x=(format!("{:.1}", at.0)) y=(format!("{:.1}", at.1)) font-size=(size) font-weight=(weight) text-anchor=(anchor) fill=(color) fill-opacity=(opacity) { (text) } }
        }
    }
}

fn color(ink: Ink) -> (&'static str, &'static str) {
    match ink {
        Ink::Text => ("currentColor", "1"),
        Ink::Muted => ("currentColor", "0.72"),
        Ink::Grid => ("currentColor", "0.13"),
        Ink::Series(index) => (series_on_page(index), "1"),
        Ink::Pale(index) => (series_on_page(index), "0.45"),
    }
}

#[cfg(test)]
mod tests {
    use graft_protocol::{Series, SeriesStyle, chart::NonFinite};

    use super::*;

    #[test]
    fn the_live_plot_has_no_script_no_ids_and_a_fixed_height() {
        let points = vec![(1.0, NonFinite(2.0)), (2.0, NonFinite(1.5))];
        let chart = Chart {
            title: "<b>".into(),
            series: vec![Series {
                name: "train".into(),
                style: SeriesStyle::Line,
                points,
                labels: Vec::new(),
            }],
            ..Chart::default()
        };
        let page = live_html(&chart, &Progress::of("step", 2, 10));
        assert!(page.starts_with("<div style=\"min-height:416px;"), "{page}");
        assert!(
            page.contains("<polyline")
                && page.contains("&lt;b&gt;")
                && page.contains("step 2/10 · 20 %"),
            "{page}"
        );
        assert!(
            !page.contains("<script") && !page.contains(" id=") && !page.contains("class="),
            "{page}"
        );
    }
}
