//! Whole drawings, compared with stored ones in `tests/snapshots`.
//!
//! After an intended change, `INSTA_UPDATE=always cargo test -p graft-render` writes them again.
//! The SVG and HTML files can be opened in a browser.

use graft_protocol::{
    Block, Cell, Chart, HeatMap, Level, Reply, RunEnded, RunOutcome, RunStarted, Series,
    SeriesStyle, SideText, StepRecord, Table, TreeLine, ValidationRecord, chart::NonFinite,
};
use graft_render::{
    Progress, ansi, block, chart_svg, chart_text, failure_traceback, live_html, reply, run_chart,
};
use graft_spec::{Failure, Span};
use insta::{assert_binary_snapshot, assert_snapshot};

/// The columns of a usual terminal, and of a narrow one.
const COLUMNS: [usize; 2] = [80, 40];

/// A block as plain text, in color in terminals of two widths, and as HTML with a line for each
/// element. Escape sequences start with `␛`.
fn forms(shown: &Block) -> String {
    let bundle = block(shown);
    let colored = COLUMNS.map(|columns| {
        format!("── {columns} columns\n{}", ansi(shown, columns).replace('\u{1b}', "␛"))
    });
    let html = bundle.html.unwrap_or_default().replace("><", ">\n<");
    format!("── plain\n{}\n{}\n── HTML\n{html}", bundle.plain, colored.join("\n"))
}

fn parameters() -> Table {
    let mut table = Table::new(
        "Trainable parameters",
        &["module", "shape", "#parameters", "#trainable", "#trainable %"],
    );
    for name in ["q_proj", "v_proj"] {
        table.row(vec![
            Cell::Code(format!("model.layers.0.self_attn.{name}")),
            Cell::Text("192 × 192".to_owned()),
            Cell::Integer(36_864),
            Cell::Integer(3072),
            Cell::Percent(0.0769, 2),
        ]);
    }
    table.row(vec![
        Cell::Strong("total".to_owned()),
        Cell::Empty,
        Cell::Integer(3_712_192),
        Cell::Integer(6_144),
        Cell::Percent(f64::NAN, 2),
    ]);
    table
        .footer
        .push("trainable params: 6,144 || all params: 3,718,336 || trainable%: 0.1652".to_owned());
    table
}

fn side(title: &str, pieces: &[(&str, f64)]) -> SideText {
    SideText {
        title: title.to_owned(),
        text: pieces.iter().map(|(text, _)| *text).collect(),
        pieces: pieces.iter().map(|(text, log)| ((*text).to_owned(), *log)).collect(),
        note: "3 tokens, mean log-probability -0.74".to_owned(),
    }
}

#[test]
fn a_table_in_every_form() {
    assert_snapshot!(forms(&Block::Table(parameters())));
}

#[test]
fn an_empty_table_in_every_form() {
    assert_snapshot!(forms(&Block::Table(Table::new("Runs", &["run", "#steps"]))));
}

#[test]
fn a_note_and_a_warning_in_every_form() {
    let note = Block::Note(Level::Info, "adapter `default` replaces the one of that name".into());
    let warning = "12 examples are longer than 256 tokens and were cut".to_owned();
    let warning = Block::Note(Level::Warning, warning);
    assert_snapshot!(format!("{}\n{}", forms(&note), forms(&warning)));
}

#[test]
fn generated_text_in_every_form() {
    assert_snapshot!(forms(&Block::Generated {
        prompt: "The borrow checker".to_owned(),
        text: " is part of\nthe compiler.".to_owned(),
        pieces: vec![(" is part of\n".to_owned(), -0.1), ("the compiler.".to_owned(), -2.5)],
    }));
}

#[test]
fn two_texts_side_by_side_in_every_form() {
    let columns = vec![
        side("base", &[(" is a type", -0.2), (" that stores a value", -1.2), ("\nfn x", -0.8)]),
        side("default (lora r=8)", &[(" is borrowed", -0.1), (" more than once", -1.4)]),
    ];
    let prompt = "error[E0499]: a variable <T>".to_owned();
    assert_snapshot!(forms(&Block::SideBySide { prompt, columns }));
}

#[test]
fn a_module_tree_in_every_form() {
    let line = |depth, name: &str, note: &str, strong| TreeLine {
        depth,
        name: name.to_owned(),
        note: note.to_owned(),
        strong,
    };
    assert_snapshot!(forms(&Block::Tree(vec![
        line(0, "model", "", false),
        line(1, "embed_tokens", "embedding 2,048 × 192", false),
        line(2, "self_attn", "", false),
        line(3, "q_proj", "linear 192 × 192 + lora r=8", true),
    ])));
}

#[test]
fn hostile_text_in_every_form() {
    let evil = "<script>alert(1)</script>\u{1b}[31m\u{202e}\r\0";
    let mut table = Table::new(evil, &[evil]);
    table.row(vec![Cell::Code(evil.to_owned())]);
    assert_snapshot!(format!(
        "{}\n{}",
        forms(&Block::Text(evil.into())),
        forms(&Block::Table(table))
    ));
}

#[test]
fn an_answer_of_text_a_table_and_a_chart_is_two_outputs() {
    let blocks = vec![
        Block::Text("2 runs".to_owned()),
        Block::Table(Table::new("Runs", &["run"])),
        Block::Chart(Chart::default()),
    ];
    let outputs = reply(&Reply { blocks });
    let shown: Vec<String> = outputs
        .iter()
        .map(|output| {
            let Some(html) = &output.html else { return "a chart".to_owned() };
            format!("{}\n{}", output.plain, html.replace("><", ">\n<"))
        })
        .collect();
    assert_snapshot!(shown.join("\n────\n"));
}

#[test]
fn heat_maps_as_text() {
    let map = |title: &str, values: &[f32]| {
        HeatMap::of(title, ["rank 2".to_owned(), "d_in 3".to_owned()], (2, 3), values, 8)
    };
    let maps = vec![map("A", &[0.5, -0.25, 0.0, 0.1, 0.0, -0.5]), map("B = 0", &[0.0; 6])];
    assert_snapshot!(block(&Block::Heat(maps)).plain);
}

#[test]
fn failures_as_tracebacks() {
    let drawn = |failure: &Failure, cell: &str| {
        let traceback = failure_traceback(failure, cell);
        let lines = traceback.lines.join("\n").replace('\u{1b}', "␛");
        format!("{} | {}\n{lines}", traceback.ename, traceback.evalue)
    };
    let usage = Failure::new("magic::unknown_key", "`%lora attach` has no key `rnk`")
        .hint("did you mean `r`?")
        .span(Span { line: 1, start: 15, end: 18 });
    let mut session = Failure::new("peft::no_match", "no layer matches `query`").site("tiny");
    session.causes.push("disk full".to_owned());
    let cell = "let 日本 = 1;\n%lora attach 日 rnk=8";
    assert_snapshot!(format!("{}\n\n{}", drawn(&usage, cell), drawn(&session, cell)));
}

#[test]
fn progress_as_a_line_and_as_a_bar() {
    let (started, steps, validations, _) = run(50);
    let all = [
        Progress::of("downloading", 1200, 0),
        Progress::of("evaluating", 10, 20),
        Progress::of_run(&started, &steps[..20], &validations[..1]),
    ];
    let shown = all.map(|progress| {
        let bars = COLUMNS.map(|columns| progress.ansi(columns).replace('\u{1b}', "␛"));
        format!("{}\n{}\n{}", progress.line(), bars.join("\n"), progress.html())
    });
    assert_snapshot!(shown.join("\n\n"));
}

/// A run with a noisy, falling loss.
fn run(count: u64) -> (RunStarted, Vec<StepRecord>, Vec<ValidationRecord>, RunEnded) {
    let started = RunStarted {
        run: "lora-001".into(),
        title: "LoRA r=8 on tiny, which-book".into(),
        first_step: 0,
        steps: count,
        trainable: 18_432,
        total: 3_730_624,
        earlier: vec![],
        earlier_validations: vec![],
        best: String::new(),
    };
    // Halves at each tenth of the run, so that every value is exact.
    let fall = |step: u64| 1.25 + 2.0 / f64::from(1u32 << (10 * step / count));
    let noise = |step: u64| [0.25, -0.125, 0.0, -0.25, 0.125][(step % 5) as usize];
    let steps = (1..=count)
        .map(|step| StepRecord {
            step,
            loss: fall(step) + noise(step),
            lr: 1e-3,
            grad_norm: 1.0,
            tokens_per_second: 12_000.0,
            elapsed_seconds: step as f64 * 0.5,
            rewards: None,
        })
        .collect();
    let validations = (0..=5)
        .map(|fifth| ValidationRecord {
            step: fifth * count / 5,
            loss: fall(fifth * count / 5) + 0.125,
            accuracy: Some(0.25 + 0.125 * fifth as f64),
            metric: None,
        })
        .collect();
    let ended = RunEnded {
        run: "lora-001".into(),
        outcome: RunOutcome::Finished,
        step: count,
        memory: None,
        summary: "50 steps in 0:25, 12.0k tokens/s; loss 3.12 → 1.25; kept in .graft/runs/lora-001"
            .into(),
    };
    (started, steps, validations, ended)
}

/// The chart of a finished run.
fn run_of(count: u64) -> Chart {
    let (started, steps, validations, ended) = run(count);
    run_chart(&started, &steps, &validations, Some(&ended))
}

fn line(name: &str, style: SeriesStyle, points: &[(f64, f64)]) -> Series {
    let points = points.iter().map(|(x, y)| (*x, NonFinite(*y))).collect();
    Series { name: name.to_owned(), style, points, labels: Vec::new() }
}

/// Two lines with a gap and a dot at zero, on logarithmic axes.
fn logarithmic() -> Chart {
    Chart {
        title: "Loss by learning rate".to_owned(),
        x_label: "learning rate".to_owned(),
        y_label: "loss".to_owned(),
        log_x: true,
        log_y: true,
        series: vec![
            line(
                "r=8",
                SeriesStyle::Line,
                &[(1e-4, 3.0), (1e-3, 1.5), (1e-2, f64::NAN), (0.1, 9.0)],
            ),
            line("r=64", SeriesStyle::Dots, &[(1e-4, 2.5), (1e-3, 0.0), (1e-2, 2.0)]),
        ],
        caption: "one run each".to_owned(),
        ..Chart::default()
    }
}

/// Nine lines and labels that do not fit.
fn crowded() -> Chart {
    let long = "a very long title that goes on ".repeat(8);
    Chart {
        title: long.clone(),
        x_label: long.clone(),
        y_label: long.clone(),
        caption: long,
        series: (0..9)
            .map(|index| {
                let points = [(0.0, f64::from(index)), (1e6, 1.0)];
                line(&format!("a trial with many keys, number {index}"), SeriesStyle::Line, &points)
            })
            .collect(),
        ..Chart::default()
    }
}

#[test]
fn the_figure_of_a_run() {
    assert_binary_snapshot!("run.svg", chart_svg(&run_of(50)).into_bytes());
}

#[test]
fn the_figure_of_a_run_in_a_terminal() {
    assert_snapshot!(chart_text(&run_of(50)));
}

#[test]
fn the_live_page_of_a_run() {
    let page = live_html(&run_of(50), &Progress::of("step", 30, 50)).replace("><", ">\n<");
    assert_binary_snapshot!("live.html", page.into_bytes());
}

#[test]
fn a_figure_with_logarithmic_axes_and_gaps() {
    assert_binary_snapshot!("logarithmic.svg", chart_svg(&logarithmic()).into_bytes());
}

#[test]
fn a_figure_with_logarithmic_axes_in_a_terminal() {
    assert_snapshot!(chart_text(&logarithmic()));
}

#[test]
fn a_figure_with_many_lines_and_labels_that_do_not_fit() {
    assert_binary_snapshot!("crowded.svg", chart_svg(&crowded()).into_bytes());
}

#[test]
fn a_figure_without_data() {
    assert_binary_snapshot!("empty.svg", chart_svg(&Chart::default()).into_bytes());
}
