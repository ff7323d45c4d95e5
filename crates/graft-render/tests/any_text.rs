//! Drawing a block with arbitrary text never yields output that controls a terminal or reorders a
//! page.
//!
//! `PROPTEST_CASES=100000` runs more cases.

use graft_protocol::chart::NonFinite;
use graft_protocol::{
    Block, Cell, Chart, CheckResult, HeatMap, Level, Reply, Series, SeriesStyle, SideText, Table,
    TreeLine,
};
use graft_render::{
    Progress, ansi, block, chart_svg, chart_text, failure_traceback, live_html, reply,
    visible_painted,
};
use graft_spec::{Failure, Span};
use proptest::prelude::*;

/// Escape sequences that affect a terminal, and invisible characters.
const HOSTILE: &[&str] = &[
    "\u{1b}]52;c;cm0gLXJm\u{7}",
    "\u{1b}[2J",
    "\u{1b}[1;31m",
    "\u{1b}[0m",
    "\u{1b}[8m",
    "\u{1b}P",
    "\u{1b}",
    "\u{9b}31m",
    "\u{9d}0;title\u{9c}",
    "\u{7}",
    "\0",
    "\r",
    "\r\n",
    "\u{8}",
    "\u{7f}",
    "\u{202e}",
    "\u{202a}",
    "\u{2066}",
    "\u{2069}",
    "\u{200e}",
    "\u{200f}",
    "\u{61c}",
    "\u{200b}",
    "\u{200d}",
    "\u{feff}",
    "\u{2028}",
    "\u{e0041}",
    "\n",
    "\t",
    "日本",
    "👨\u{200d}👩",
    "e\u{301}",
];

fn any_text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![4 => proptest::sample::select(HOSTILE.to_vec()).prop_map(str::to_owned), 1 => any::<char>().prop_map(String::from), 3 => "[ -~]{0,12}"];
    proptest::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

/// One block of each kind, with `text` in place of every text.
fn blocks(text: &str) -> Vec<Block> {
    let mut table = Table::new(text, &[text, text, text]);
    for cell in
        [Cell::Text(text.to_owned()), Cell::Code(text.to_owned()), Cell::Strong(text.to_owned())]
    {
        table.row(vec![cell.clone(), cell, Cell::Integer(7)]);
    }
    table.footer.push(text.to_owned());
    let pieces = vec![(text.to_owned(), -0.5)];
    let side = || SideText {
        title: text.to_owned(),
        text: text.to_owned(),
        pieces: pieces.clone(),
        note: text.to_owned(),
    };
    let line =
        |depth, strong| TreeLine { depth, name: text.to_owned(), note: text.to_owned(), strong };
    vec![
        Block::Text(text.to_owned()),
        Block::Note(Level::Info, text.to_owned()),
        Block::Note(Level::Warning, text.to_owned()),
        Block::Table(table),
        Block::Generated { prompt: text.to_owned(), text: text.to_owned(), pieces: Vec::new() },
        Block::Generated { prompt: text.to_owned(), text: text.to_owned(), pieces: pieces.clone() },
        Block::SideBySide { prompt: text.to_owned(), columns: vec![side(), side()] },
        Block::Tree(vec![line(0, false), line(1, true)]),
        Block::Checks(vec![CheckResult {
            condition: text.to_owned(),
            passed: false,
            reason: text.to_owned(),
            next: Some(text.to_owned()),
            points: None,
        }]),
    ]
}

fn chart(text: &str) -> Chart {
    let series = |style| Series {
        name: text.to_owned(),
        style,
        points: vec![(1.0, NonFinite(2.0)), (2.0, NonFinite(1.0))],
        labels: Vec::new(),
    };
    Chart {
        title: text.to_owned(),
        x_label: text.to_owned(),
        y_label: text.to_owned(),
        series: vec![series(SeriesStyle::Line), series(SeriesStyle::Dots)],
        caption: text.to_owned(),
        ..Chart::default()
    }
}

/// Removes the colors that Graft adds.
fn without_paint(text: &str) -> String {
    let mut text = text.to_owned();
    for code in ["0", "1", "1;31", "31", "32", "33", "34", "36"] {
        text = text.replace(&format!("\u{1b}[{code}m"), "");
    }
    text
}

/// Returns the first character that a terminal or a page would interpret instead of showing.
fn obeyed(text: &str) -> Option<char> {
    let bidirectional = |next: char| matches!(next, '\u{200e}' | '\u{200f}' | '\u{61c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let unseen = |next: char| {
        matches!(
            next,
            '\u{200b}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}'
        )
    };
    text.chars().find(|next| {
        (next.is_control() && !matches!(next, '\n' | '\t')) || bidirectional(*next) || unseen(*next)
    })
}

fn cases(usual: u32) -> ProptestConfig {
    let cases =
        std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(usual);
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(cases(500))]

    #[test]
    fn no_text_steers_a_terminal_or_reorders_a_page(text in any_text(), width in 20usize..140) {
        for drawn in blocks(&text) {
            let bundle = block(&drawn);
            prop_assert_eq!(obeyed(&bundle.plain), None, "{:?}", bundle.plain);
            let html = bundle.html.unwrap_or_default();
            prop_assert_eq!(obeyed(&html), None, "{:?}", html);
            let painted = ansi(&drawn, width);
            prop_assert_eq!(obeyed(&without_paint(&painted)), None, "{:?}", painted);
        }
        for bundle in reply(&Reply { blocks: blocks(&text) }) {
            prop_assert_eq!(obeyed(&bundle.plain), None);
        }
    }

    #[test]
    fn no_text_of_a_chart_or_a_bar_steers_a_terminal(text in any_text()) {
        let (chart, progress) = (chart(&text), Progress { figures: vec![text.clone()], ..Progress::of(&text, 3, 10) });
        let heat = ansi(&Block::Heat(vec![HeatMap::of(&text, [text.clone(), text.clone()], (1, 1), &[0.5], 8)]), 80);
        for drawn in [chart_text(&chart), chart_svg(&chart), live_html(&chart, &progress), progress.line(), progress.html(), heat] {
            prop_assert_eq!(obeyed(&drawn), None, "{:?}", drawn);
        }
        prop_assert!(!progress.line().contains(['\n', '\t']));
        let bar = without_paint(&progress.ansi(80));
        prop_assert_eq!(obeyed(&bar), None, "{:?}", bar);
    }

    #[test]
    fn no_text_of_a_failure_steers_a_terminal(text in any_text(), start in 0usize..12, length in 0usize..8) {
        let mut failure = Failure::new(&text, text.as_str()).hint(text.as_str()).site(text.as_str()).span(Span { line: 0, start, end: start + length });
        failure.causes.push(text.clone());
        let drawn = failure_traceback(&failure, &text);
        for line in drawn.lines.iter().chain([&drawn.ename, &drawn.evalue]) {
            prop_assert_eq!(obeyed(&without_paint(line)), None, "{:?}", line);
        }
        prop_assert_eq!(obeyed(&drawn.ename), None);
        prop_assert_eq!(obeyed(&drawn.evalue), None);
        prop_assert_eq!(obeyed(&without_paint(&visible_painted(&text))), None);
    }

    #[test]
    fn columns_stay_aligned(text in any_text()) {
        let mut table = Table::new("", &["name", "#count"]);
        for name in [text.as_str(), "short"] {
            table.row(vec![Cell::Text(name.to_owned()), Cell::Integer(7)]);
        }
        let drawn = ansi(&Block::Table(table), 400);
        let widths: Vec<usize> = drawn.lines().filter(|line| line.ends_with('7')).map(unicode_width::UnicodeWidthStr::width).collect();
        prop_assert!(widths.len() == 2 && widths[0] == widths[1], "{widths:?} {drawn:?}");
    }
}
