use graft_protocol::{Series, chart::NonFinite};

use super::*;

#[test]
fn a_falling_line_falls_from_the_upper_left() {
    let points =
        (0..=10).map(|step| (f64::from(step), NonFinite(3.0 - 0.2 * f64::from(step)))).collect();
    let chart = Chart {
        title: "falling".into(),
        x_label: "step".into(),
        y_label: "loss".into(),
        series: vec![Series {
            name: "train".into(),
            style: SeriesStyle::Line,
            points,
            labels: Vec::new(),
        }],
        caption: "done".into(),
        ..Chart::default()
    };
    let text = chart_text(&chart);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "falling");
    assert!(lines[1].starts_with("3.00 ┤⠉⠒"), "{text}");
    assert!(lines[12].starts_with("1.00 ┤") && lines[12].chars().count() == 6 + COLUMNS, "{text}");
    assert_eq!(lines[13], format!("     └{}", "─".repeat(64)));
    assert_eq!(lines[14], format!("      0{}step 10   loss", " ".repeat(56)));
    assert_eq!(lines[15..], ["train: 1.000 at step 10", "done"]);
}
