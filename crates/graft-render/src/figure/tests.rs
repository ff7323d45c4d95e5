use graft_protocol::{
    RunEnded, RunOutcome, RunStarted, Series, SeriesStyle, StepRecord, ValidationRecord,
    chart::NonFinite,
};

use super::*;
use crate::{Progress, chart_text, live_html, run_chart};

fn series(style: SeriesStyle, points: &[(f64, f64)]) -> Series {
    Series {
        name: "loss".into(),
        style,
        points: points.iter().map(|(x, y)| (*x, NonFinite(*y))).collect(),
        labels: Vec::new(),
    }
}

/// A run of `steps` steps with a noisy, falling loss; deterministic.
fn run(steps: u64) -> Chart {
    let started = RunStarted {
        run: "r".into(),
        title: "LoRA r=8 on tiny, which-book".into(),
        first_step: 0,
        steps,
        trainable: 1,
        total: 2,
        earlier: vec![],
        earlier_validations: vec![],
        best: String::new(),
    };
    let noise = |step: u64| ((step * 2_654_435_761) % 1000) as f64 / 1000.0 - 0.5;
    let fall = |step: u64| 1.2 + 1.9 * (-(step as f64) / (steps as f64 / 5.0)).exp();
    let records: Vec<StepRecord> = (1..=steps)
        .map(|step| StepRecord {
            step,
            loss: fall(step) + 0.5 * noise(step),
            lr: 1e-3,
            grad_norm: 1.0,
            tokens_per_second: 12_000.0,
            elapsed_seconds: step as f64 * 0.1,
            rewards: None,
        })
        .collect();
    let checks: Vec<ValidationRecord> = (0..=10)
        .map(|tenth| ValidationRecord {
            step: tenth * steps / 10,
            loss: fall(tenth * steps / 10) + 0.1,
            accuracy: None,
            metric: None,
        })
        .collect();
    let ended = RunEnded {
        run: "r".into(),
        outcome: RunOutcome::Finished,
        step: steps,
        memory: None,
        summary:
            "200 steps in 0:20, 12.0k tokens/s; validation loss 3.20 → 1.31; kept in .graft/runs/r"
                .into(),
    };
    run_chart(&started, &records, &checks, Some(&ended))
}

/// Charts with degenerate data, long texts or extreme values.
fn awkward() -> Vec<(&'static str, Chart)> {
    let with = |series: Vec<Series>| Chart {
        title: "t".into(),
        x_label: "step".into(),
        y_label: "loss".into(),
        series,
        ..Chart::default()
    };
    let long = "a very long title that goes on and on ".repeat(8);
    vec![
        ("empty", Chart::default()),
        ("no points", with(vec![series(SeriesStyle::Line, &[])])),
        ("one point", with(vec![series(SeriesStyle::Line, &[(1.0, 2.0)])])),
        ("one dot at zero", with(vec![series(SeriesStyle::Dots, &[(0.0, 0.0)])])),
        (
            "all nan",
            with(vec![series(SeriesStyle::Line, &[(1.0, f64::NAN), (2.0, f64::INFINITY)])]),
        ),
        (
            "nan inside",
            with(vec![series(
                SeriesStyle::Line,
                &[(1.0, 2.0), (2.0, f64::NAN), (3.0, 1.0), (4.0, 1.5)],
            )]),
        ),
        ("constant", with(vec![series(SeriesStyle::Line, &[(1.0, 2.0), (2.0, 2.0)])])),
        ("huge", with(vec![series(SeriesStyle::Line, &[(1.0, 1e300), (2.0, -1e300)])])),
        (
            "beyond the range of floats",
            with(vec![series(SeriesStyle::Line, &[(1.0, f64::MAX), (2.0, f64::MIN)])]),
        ),
        (
            "log with zero",
            Chart {
                log_y: true,
                ..with(vec![series(SeriesStyle::Line, &[(1.0, 0.0), (2.0, 1e-3), (3.0, 10.0)])])
            },
        ),
        (
            "log of one value",
            Chart { log_y: true, ..with(vec![series(SeriesStyle::Line, &[(1.0, 3.0)])]) },
        ),
        ("nan on x", with(vec![series(SeriesStyle::Line, &[(f64::NAN, 1.0), (1.0, 2.0)])])),
        (
            "many",
            with(
                (0..9)
                    .map(|index| series(SeriesStyle::Line, &[(0.0, f64::from(index)), (1e6, 1.0)]))
                    .collect(),
            ),
        ),
        (
            "long words",
            Chart {
                title: long.clone(),
                caption: long.clone(),
                x_label: long.clone(),
                y_label: long,
                ..with(vec![series(SeriesStyle::Faint, &[(0.0, 1.0), (9.0, 2.0)])])
            },
        ),
    ]
}

#[test]
fn no_chart_panics_and_each_has_every_form() {
    for (name, chart) in awkward() {
        let svg = chart_svg(&chart);
        assert!(
            svg.starts_with("<svg width=\"720\" height=\"380\"")
                && svg.trim_end().ends_with("</svg>"),
            "{name}: {svg}"
        );
        assert!(!svg.contains("NaN,") && !svg.contains("inf,"), "{name}");
        assert!(!chart_text(&chart).is_empty(), "{name}");
        assert!(live_html(&chart, &Progress::of("step", 1, 2)).contains("</svg>"), "{name}");
    }
    assert!(chart_png(&awkward()[5].1).starts_with(b"\x89PNG"));
}

#[test]
fn the_png_has_twice_the_pixels_ink_of_every_line_and_letters() {
    let file = chart_png(&run(200));
    let mut reader = png::Decoder::new(file.as_slice()).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size()];
    let info = reader.next_frame(&mut pixels).unwrap();
    assert_eq!((info.width, info.height), (1440, 760));
    let count = |wanted: palette::Rgb| {
        pixels.chunks_exact(3).filter(|pixel| (pixel[0], pixel[1], pixel[2]) == wanted).count()
    };
    assert!(count(palette::series(0)) > 1000 && count(palette::series(1)) > 1000);
    assert!(count(palette::TEXT) > 500, "the title has letters: {}", count(palette::TEXT));
    assert!(count(palette::PAPER) > 500_000);
    assert!(file.len() < 200_000, "{} bytes", file.len());
}

#[test]
fn a_long_run_is_thinned_but_keeps_its_peaks() {
    let mut chart = run(20_000);
    chart.series[0].points[10_000].1 = NonFinite(9.0);
    let svg = chart_svg(&chart);
    assert!(svg.len() < 200_000, "{}", svg.len());
    assert!(svg.contains("8") && chart_text(&chart).lines().count() > 10);
}
