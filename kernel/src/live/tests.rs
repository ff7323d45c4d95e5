use std::sync::Mutex;

use graft_protocol::{Cell, Chart, Series, SeriesStyle, Table, chart::NonFinite};

use super::*;
use graft_frontend::{Answer, CellError};

/// Records the displays, one line each.
#[derive(Default)]
struct Page(Mutex<Vec<String>>);

impl Frontend for Page {
    fn stream(&self, _stream: Stream, _bytes: &[u8]) {}

    fn display(&self, rich: &Rich, _id: Option<&str>) {
        let kind = if rich.mime.contains_key("image/svg+xml") { "figure" } else { "display" };
        self.0.lock().unwrap().push(format!("{kind} {}", rich.text()));
    }

    fn update_display(&self, rich: &Rich, _id: &str) {
        self.0.lock().unwrap().push(format!("update {}", rich.text()));
    }

    fn result(&self, _rich: &Rich) {}

    fn clear_output(&self, _wait: bool) {}

    fn error(&self, _error: &CellError) {}

    fn page(&self, _rich: &Rich) {}

    fn set_next_input(&self, _text: &str, _replace: bool) {}

    fn input<'a>(&'a self, _prompt: &'a str, _password: bool) -> Answer<'a> {
        Box::pin(async { None })
    }
}

/// Sends the events of a comparison whose only trial has this status.
fn send_comparison(live: &mut Live, page: &Page, status: &str) {
    let mut table = Table::new("", &["trial", "status"]);
    table.row(vec![Cell::Text("lora r=1".to_owned()), Cell::Text(status.to_owned())]);
    for event in [
        Event::Progress { label: "trial 1 of 1".to_owned(), done: 1, total: 9 },
        Event::LiveTable(vec![Block::Table(table)]),
    ] {
        assert!(live.handle(EngineEvent::Session(event), page).is_none());
    }
}

fn last(page: &Page) -> String {
    page.0.lock().unwrap().last().cloned().unwrap_or_default()
}

#[test]
fn the_table_of_a_stopped_comparison_stays_on_the_page() {
    let (mut live, page) = (Live::new(Duration::ZERO), Page::default());
    send_comparison(&mut live, &page, "step 1 of 9");
    std::thread::sleep(DISPLAY_DELAY);
    live.redraw(&page);
    assert!(
        last(&page).starts_with("display ") && last(&page).contains("trial 1 of 1"),
        "{}",
        last(&page)
    );
    send_comparison(&mut live, &page, "stopped, step 2 of 9");
    live.finish(&page);
    assert!(
        last(&page).starts_with("update ") && last(&page).contains("stopped, step 2 of 9"),
        "{}",
        last(&page)
    );
}

#[test]
fn the_table_of_a_comparison_that_was_stopped_at_once_stays_too() {
    let (mut live, page) = (Live::new(Duration::ZERO), Page::default());
    send_comparison(&mut live, &page, "stopped, step 0 of 9");
    live.finish(&page);
    assert!(
        last(&page).starts_with("display ") && last(&page).contains("stopped, step 0 of 9"),
        "{}",
        last(&page)
    );
    live.handle(
        EngineEvent::Session(Event::Progress { label: "quick".to_owned(), done: 1, total: 2 }),
        &page,
    );
    live.finish(&page);
    assert!(last(&page).contains("stopped"), "a bar that ends before the delay is not shown");
}

#[test]
fn the_curves_of_a_stopped_comparison_stay_as_a_figure_below_its_table() {
    let (mut live, page) = (Live::new(Duration::ZERO), Page::default());
    send_comparison(&mut live, &page, "stopped, step 2 of 9");
    let mut table = Table::new("", &["trial"]);
    table.row(vec![Cell::Text("lora r=1".to_owned())]);
    let points = vec![(1.0, NonFinite(2.0)), (2.0, NonFinite(1.5))];
    let chart = Chart {
        title: "training loss".into(),
        series: vec![Series {
            name: "lora r=1".into(),
            style: SeriesStyle::Line,
            points,
            labels: Vec::new(),
        }],
        ..Chart::default()
    };
    let event = Event::LiveTable(vec![Block::Table(table), Block::Chart(chart)]);
    assert!(live.handle(EngineEvent::Session(event), &page).is_none());
    live.finish(&page);
    let shown = page.0.lock().unwrap().clone();
    let kinds: Vec<&str> =
        shown.iter().rev().take(2).filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(kinds, ["figure", "display"], "{shown:?}");
}
