//! How step time and memory depend on length, batch size, rank, instruction set and threads: tables
//! and a figure.

use std::path::PathBuf;

use graft_nn::Instructions;
use graft_protocol::{Chart, Series, SeriesStyle, chart::NonFinite};
use graft_render::{FIGURE_SIZE, chart_svg};

use crate::Result;
use crate::environment::{day, machine};
use crate::schedule::{self, Comparison, Limits, Measured};
use crate::workload::{Scene, Shape, Work};

/// The settings of all measurements.
#[derive(Clone, Debug)]
pub struct Sweep {
    /// The model whose sizes vary.
    pub shape: Shape,
    /// Number of starts of each backend.
    pub rounds: usize,
    /// Steps of each start, warm-up included.
    pub steps: usize,
    /// First steps of each start that are not counted.
    pub warm_up: usize,
    /// A Python with torch, transformers and peft.
    pub python: Option<PathBuf>,
}

/// One varied size.
struct Curve {
    /// The varied size, with its unit.
    axis: &'static str,
    /// The sizes that are fixed.
    fixed: String,
    points: Vec<(usize, Scene)>,
}

/// A value of the varied size, and the measurements of each backend.
type Point = (usize, Vec<Measured>);

/// Sequence lengths, with two rows.
const LENGTHS: [usize; 5] = [128, 256, 512, 1024, 2048];
/// Batch sizes, with the usual length.
const ROWS: [usize; 6] = [1, 2, 4, 8, 16, 32];
/// Ranks, with the usual batch.
const RANKS: [usize; 8] = [1, 2, 4, 8, 16, 32, 64, 128];

fn curves(shape: Shape) -> [Curve; 3] {
    let usual = Scene::new(shape, Work::Lora);
    let lengths = LENGTHS.map(|tokens| (tokens, Scene { rows: 2, tokens, ..usual }));
    let rows = ROWS.map(|rows| (rows, Scene { rows, ..usual }));
    let ranks = RANKS.map(|rank| (rank, Scene { rank, ..usual }));
    let Scene { rows: b, tokens: t, rank: r, .. } = usual;
    [
        Curve {
            axis: "sequence length T, tokens",
            fixed: format!("B 2, r {r}"),
            points: lengths.to_vec(),
        },
        Curve { axis: "batch B, rows", fixed: format!("T {t}, r {r}"), points: rows.to_vec() },
        Curve { axis: "rank r", fixed: format!("B {b}, T {t}"), points: ranks.to_vec() },
    ]
}

/// Combinations of instruction set and threads: the best and all threads first, then smaller ones.
fn limits() -> Vec<(String, Limits)> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let best = Instructions::best();
    let mut all = vec![(format!("{}, {threads} threads", best.name()), Limits::default())];
    let lesser = [Instructions::Avx2].into_iter().filter(|set| *set < best);
    all.extend(lesser.map(|set| {
        (
            format!("{}, {threads} threads", set.name()),
            Limits { simd: Some(set.name()), ..Limits::default() },
        )
    }));
    all.extend((threads > 1).then(|| {
        (format!("{}, 1 thread", best.name()), Limits { threads: Some(1), ..Limits::default() })
    }));
    all
}

/// Runs all measurements. Returns the page as Markdown and the figure as SVG.
///
/// # Errors
/// [`crate::BenchError::Backend`] when a backend fails, and [`crate::BenchError::Io`].
pub fn run(sweep: &Sweep, report: &mut dyn FnMut(&str)) -> Result<(String, String)> {
    let mut measure = |scene: Scene, limits: Limits| {
        let Sweep { rounds, steps, warm_up, ref python, .. } = *sweep;
        schedule::run(
            &Comparison { scene, rounds, steps, warm_up, python: python.clone(), limits },
            report,
        )
    };
    let name = sweep.shape.name();
    let steps = sweep.steps.saturating_sub(sweep.warm_up);
    let mut page = format!(
        "Measured on {}, {}: LoRA on all linear layers of `{name}`, medians of {steps} steps in each of {}.\n",
        machine(),
        day(),
        sweep.rounds
    );
    let mut panels = Vec::new();
    for curve in curves(sweep.shape) {
        let points = curve
            .points
            .iter()
            .map(|(size, scene)| Ok((*size, measure(*scene, Limits::default())?)))
            .collect::<Result<Vec<Point>>>()?;
        page.push_str(&format!(
            "\n{}\n",
            table(&format!("{} ({})", curve.axis, curve.fixed), &named(&points), sweep.warm_up)
        ));
        panels.push(panels_of(&curve, &points, sweep.warm_up));
    }
    let rows = limited(&mut measure)?;
    page.push_str(&format!("\n{}", table("model, instruction set, threads", &rows, sweep.warm_up)));
    Ok((page, grid(&panels)))
}

/// Measures LoRA on two models under each of the limits.
fn limited(
    measure: &mut impl FnMut(Scene, Limits) -> Result<Vec<Measured>>,
) -> Result<Vec<(String, Vec<Measured>)>> {
    let mut rows = Vec::new();
    for (title, limits) in limits() {
        for shape in [Shape::Tiny, Shape::D768] {
            rows.push((
                format!("{}, {title}", shape.name()),
                measure(Scene::new(shape, Work::Lora), limits)?,
            ));
        }
    }
    Ok(rows)
}

fn named(points: &[Point]) -> Vec<(String, Vec<Measured>)> {
    points.iter().map(|(size, measured)| (size.to_string(), measured.clone())).collect()
}

/// A Markdown table with one row per size, comparing Graft with PyTorch.
fn table(axis: &str, rows: &[(String, Vec<Measured>)], warm_up: usize) -> String {
    let mut page = format!(
        "| {axis} | Graft, ms | PyTorch + PEFT, ms | ratio | Graft, MB | PyTorch + PEFT, MB | ratio |\n|---|---:|---:|---:|---:|---:|---:|\n"
    );
    for (size, measured) in rows {
        let [ours, peer] =
            ["graft", "peft"].map(|name| measured.iter().find(|backend| backend.name == name));
        let [time, peer_time] =
            [ours, peer].map(|backend| backend.map(|backend| backend.step_milliseconds(warm_up)));
        let [memory, peer_memory] = [ours, peer]
            .map(|backend| backend.and_then(Measured::peak_bytes).map(|bytes| bytes as f64 / 1e6));
        let shown = |value: Option<f64>, digits: usize| {
            value.map_or_else(|| "—".to_owned(), |value| format!("{value:.digits$}"))
        };
        let ratio = |one: Option<f64>, other: Option<f64>| {
            shown(one.zip(other).map(|(one, other)| one / other), 2)
        };
        let cells = [
            shown(time, 1),
            shown(peer_time, 1),
            ratio(time, peer_time),
            shown(memory, 0),
            shown(peer_memory, 0),
            ratio(memory, peer_memory),
        ];
        page.push_str(&format!("| {size} | {} |\n", cells.join(" | ")));
    }
    page
}

/// Step time and memory of one curve.
fn panels_of(curve: &Curve, points: &[Point], warm_up: usize) -> [Chart; 2] {
    let names = [("graft", "Graft"), ("peft", "PyTorch + PEFT")];
    let chart = |title: &str, y_label: &str, value: &dyn Fn(&Measured) -> Option<f64>| {
        let line = |(name, legend): (&str, &str)| {
            let of = |measured: &[Measured]| {
                measured.iter().find(|backend| backend.name == name).and_then(value)
            };
            let points: Vec<_> = points
                .iter()
                .filter_map(|(size, measured)| Some((*size as f64, NonFinite(of(measured)?))))
                .collect();
            (!points.is_empty()).then(|| Series {
                name: legend.to_owned(),
                style: SeriesStyle::Dots,
                points,
                labels: Vec::new(),
            })
        };
        let series = names.into_iter().filter_map(line).collect();
        let title = format!("{title}, {}", curve.fixed);
        let x_label = curve.axis.to_owned();
        let y_label = y_label.to_owned();
        Chart {
            title,
            x_label,
            y_label,
            x_max: None,
            log_y: true,
            log_x: true,
            series,
            caption: String::new(),
        }
    };
    let megabytes = |measured: &Measured| measured.peak_bytes().map(|bytes| bytes as f64 / 1e6);
    [
        chart("Step time", "milliseconds per step", &|measured| {
            Some(measured.step_milliseconds(warm_up))
        }),
        chart("Peak memory", "megabytes, whole process", &megabytes),
    ]
}

/// One figure with a row per curve, time on the left and memory on the right.
fn grid(rows: &[[Chart; 2]]) -> String {
    let width = FIGURE_SIZE.0 as usize;
    let height = FIGURE_SIZE.1 as usize;
    let wide = 2 * width;
    let high = height * rows.len();
    let mut figure = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{wide}\" height=\"{high}\" viewBox=\"0 0 {wide} {high}\">"
    );
    for (row, panels) in rows.iter().enumerate() {
        for (column, chart) in panels.iter().enumerate() {
            figure.push_str(&format!(
                "<g transform=\"translate({} {})\">{}</g>",
                column * width,
                row * height,
                chart_svg(chart)
            ));
        }
    }
    figure + "</svg>\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::Figures;

    fn measured(name: &str, milliseconds: f64, peak: u64) -> Measured {
        let figures = Figures {
            step_milliseconds: vec![900.0, milliseconds],
            losses: Vec::new(),
            first_step_milliseconds: 1.0,
            memory: None,
            peak_bytes: Some(peak),
        };
        Measured { name: name.to_owned(), rounds: vec![figures] }
    }

    #[test]
    fn one_size_varies_and_the_others_are_the_usual_ones() {
        let [lengths, rows, ranks] = curves(Shape::Tiny);
        assert!(
            lengths
                .points
                .iter()
                .all(|(size, scene)| scene.tokens == *size && (scene.rows, scene.rank) == (2, 8))
        );
        assert!(
            rows.points
                .iter()
                .all(|(size, scene)| scene.rows == *size && (scene.tokens, scene.rank) == (128, 8))
        );
        assert!(
            ranks
                .points
                .iter()
                .all(|(size, scene)| scene.rank == *size && (scene.rows, scene.tokens) == (8, 128))
        );
    }

    #[test]
    fn a_row_has_both_backends_and_their_ratios_and_the_figure_both_lines() {
        let both = vec![measured("graft", 20.0, 3_000_000), measured("peft", 40.0, 12_000_000)];
        let points = vec![(128, both.clone()), (256, both)];
        let page = table("T", &named(&points), 1);
        assert!(page.contains("| 128 | 20.0 | 40.0 | 0.50 | 3 | 12 | 0.25 |"), "{page}");
        let [curve, ..] = curves(Shape::Tiny);
        let figure = grid(&[panels_of(&curve, &points, 1)]);
        assert!(
            figure.matches("PyTorch + PEFT").count() >= 2 && figure.matches("</svg>").count() == 3,
            "{figure}"
        );
    }
}
