//! `%forgetting`: its measurements, and that it does not change the session.

use graft_protocol::{Block, Cell, Command, Event, Reply, Table};
use graft_spec::Failure;

use crate::test_session::TestSession;

fn forgetting(
    test: &TestSession,
    methods: &[&str],
    keys: &[(&str, &str)],
) -> Result<Reply, Failure> {
    let keys = keys.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    test.run(Command::Forgetting {
        methods: methods.iter().map(|method| (*method).to_owned()).collect(),
        keys,
    })
}

fn table(reply: &Reply) -> &Table {
    reply
        .blocks
        .iter()
        .find_map(|block| if let Block::Table(table) = block { Some(table) } else { None })
        .unwrap()
}

fn numbers(table: &Table, column: &str) -> Vec<f64> {
    let column = table
        .columns
        .iter()
        .position(|it| it.name == column)
        .unwrap_or_else(|| panic!("no {column} in {:?}", table.columns));
    table
        .rows
        .iter()
        .filter_map(|row| if let Cell::Float(value, _) = row[column] { Some(value) } else { None })
        .collect()
}

const QUICK: [(&str, &str); 5] =
    [("steps", "12"), ("lr", "0.05"), ("batch", "4"), ("examples", "8"), ("domain", "before")];

/// A session with `colors` to train on, and another text as the domain of the base.
fn test() -> TestSession {
    let test = TestSession::ready();
    let before = (0..40)
        .map(|index| format!("the number {index} stands alone"))
        .collect::<Vec<_>>()
        .join("\n\n");
    test.run(Command::DataInline {
        name: "before".to_owned(),
        text: before,
        settings: Default::default(),
    })
    .unwrap();
    test.run(Command::DataUse { name: "colors".to_owned() }).unwrap();
    test
}

#[test]
fn each_method_is_measured_on_the_domain_before_during_and_after() {
    let test = test();
    let reply = forgetting(&test, &["lora", "full"], &QUICK).unwrap();
    let found = table(&reply);
    assert_eq!(found.rows.len(), 3, "{found:?}");
    let (losses, lost) = (numbers(found, "loss on before"), numbers(found, "forgotten"));
    assert_eq!((losses.len(), lost.len()), (3, 2));
    for (loss, lost) in losses[1..].iter().zip(&lost) {
        assert!((loss - losses[0] - lost).abs() < 1e-9 && *lost != 0.0, "{losses:?} {lost:?}");
    }
    let charts: Vec<_> = reply
        .blocks
        .iter()
        .filter_map(|block| if let Block::Chart(chart) = block { Some(chart) } else { None })
        .collect();
    assert_eq!(charts.len(), 2);
    let course = &charts[0].series[1].points;
    assert!(
        course.len() > 4 && course[0].0 == 0.0 && course.last().unwrap().0 == 12.0,
        "{course:?}"
    );
    assert!((course[0].1.0 - losses[0]).abs() < 1e-4, "nothing is forgotten before the first step");
    assert_eq!(
        table(&forgetting(&test, &["lora", "full"], &QUICK).unwrap()).rows,
        found.rows,
        "the same line trains nothing twice"
    );
}

#[test]
fn without_methods_each_attached_adapter_is_measured_and_unchanged() {
    let test = test();
    test.attach("r=2").unwrap();
    test.train("steps=8 lr=0.05 eval_every=0 batch=4").unwrap();
    let text = || {
        test.run(Command::Generate { prompt: "red".to_owned(), settings: Default::default() })
            .unwrap()
    };
    let before = text();
    let reply = forgetting(&test, &[], &[("domain", "before")]).unwrap();
    assert_eq!(table(&reply).rows.len(), 2);
    assert!(numbers(table(&reply), "forgotten")[0] != 0.0);
    assert_eq!(text(), before);
    assert!(
        !test.sink.events().iter().any(
            |event| matches!(event, Event::Progress { label, .. } if label.starts_with("trial"))
        )
    );
}

#[test]
fn an_unknown_or_wrong_domain_is_reported_with_the_command_to_type() {
    let test = test();
    let refused =
        |methods: &[&str], keys: &[(&str, &str)]| forgetting(&test, methods, keys).unwrap_err();
    let unknown = refused(&[], &[]);
    assert!(
        unknown.code == "session::no_domain"
            && unknown.hint.is_some_and(|hint| hint.contains("domain="))
    );
    assert!(refused(&["lora"], &[("domain", "befor")]).message.contains("befor"));
    assert!(
        refused(&[], &[("steps", "3")])
            .hint
            .is_some_and(|hint| hint.contains("%forgetting lora,full"))
    );
}
