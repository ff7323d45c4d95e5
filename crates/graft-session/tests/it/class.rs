//! `%class`: results in a shared folder.

use std::path::PathBuf;

use graft_magic::{PartKind, parse_cell};
use graft_protocol::{Block, Cell, Event, Level, Reply, SeriesStyle, Table};
use graft_spec::Failure;

use crate::test_session::TestSession;

fn typed(test: &TestSession, line: &str) -> Result<Reply, Failure> {
    match parse_cell(line, &test.session.snapshot())?.remove(0).kind {
        PartKind::Session(command) => test.run(command),
        other => panic!("{other:?} is not a command of the session"),
    }
}

fn shared(test: &TestSession) -> PathBuf {
    let folder = test.folder.path().join("class");
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

fn table(reply: &Reply) -> &Table {
    match &reply.blocks[0] {
        Block::Table(table) => table,
        other => panic!("{other:?}"),
    }
}

fn text(cell: &Cell) -> &str {
    if let Cell::Text(text) = cell { text } else { "" }
}

fn warnings(test: &TestSession) -> usize {
    let is_warning = |event: &Event| matches!(event, Event::Note { level: Level::Warning, text } if text.contains("class folder"));
    test.sink.events().iter().filter(|event| is_warning(event)).count()
}

#[test]
fn runs_and_evaluations_of_a_student_are_one_row_and_one_point() {
    let test = TestSession::attached();
    let folder = shared(&test);
    typed(&test, &format!("%class join \"Ada Lovelace\" folder={} exercise=1", folder.display()))
        .unwrap();
    test.train("steps=2 batch=2 eval_every=2").unwrap();
    test.train("steps=2 batch=2 eval_every=2").unwrap();
    let reply = typed(&test, "%class").unwrap();
    let row = &table(&reply).rows[0];
    assert_eq!((table(&reply).rows.len(), text(&row[0])), (1, "Ada Lovelace"));
    assert_eq!((text(&row[3]), &row[8]), ("validation", &Cell::Integer(2)));
    typed(&test, "%eval examples=2 base=false").unwrap();
    let reply = typed(&test, "%class").unwrap();
    let Some(Block::Chart(chart)) = reply.blocks.last() else { panic!("{:?}", reply.blocks) };
    assert_eq!(chart.series.len(), 1);
    let series = &chart.series[0];
    assert_eq!(
        (series.style, series.labels.as_slice()),
        (SeriesStyle::Points, &["Ada Lovelace".to_owned()][..])
    );
    let hidden = typed(&test, "%class names=false").unwrap();
    assert!(!format!("{hidden:?}").contains("Ada"), "{hidden:?}");
    typed(&test, "%class leave").unwrap();
    let before = std::fs::read(folder.join("Ada Lovelace.jsonl")).unwrap();
    test.train("steps=1 batch=2").unwrap();
    assert_eq!(std::fs::read(folder.join("Ada Lovelace.jsonl")).unwrap(), before);
}

#[test]
fn an_absent_folder_is_reported_once_and_never_fails_a_run() {
    let test = TestSession::attached();
    let folder = shared(&test);
    typed(&test, &format!("%class join ada folder={}", folder.display())).unwrap();
    let away = test.folder.path().join("away");
    std::fs::rename(&folder, &away).unwrap();
    test.train("steps=1 batch=2").unwrap();
    test.train("steps=1 batch=2").unwrap();
    assert_eq!(warnings(&test), 1);
    let failure = typed(&test, "%class").unwrap_err();
    assert_eq!(failure.code, "class::folder");
    std::fs::rename(&away, &folder).unwrap();
    test.train("steps=1 batch=2").unwrap();
    assert_eq!(table(&typed(&test, "%class").unwrap()).rows[0][8], Cell::Integer(3));
}

#[test]
fn wrong_names_and_folders_are_refused_with_the_line_to_type() {
    let test = TestSession::ready();
    let folder = shared(&test);
    for (line, code) in [
        ("%class".to_owned(), "class::folder"),
        ("%class leave".to_owned(), "class::not_joined"),
        ("%class join ada".to_owned(), "class::folder"),
        (format!("%class join \"../ada\" folder={}", folder.display()), "class::name"),
        (format!("%class join ada exercise=\"a/b\" folder={}", folder.display()), "class::name"),
        ("%class join ada folder=/absent/class".to_owned(), "class::folder"),
        ("%class join ada folder=/dev/null".to_owned(), "class::folder"),
    ] {
        let failure = typed(&test, &line).unwrap_err();
        assert_eq!(failure.code, code, "{line}: {failure}");
        assert!(failure.hint.is_some(), "{line}");
    }
    let empty = typed(&test, &format!("%class folder={}", folder.display())).unwrap();
    assert!(table(&empty).footer[0].contains("%class join NAME"));
    assert!(std::fs::read_dir(&folder).unwrap().next().is_none());
}
