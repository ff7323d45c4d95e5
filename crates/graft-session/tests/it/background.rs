//! `%train bg=true`: training continues after the end of its cell.

use std::time::Duration;

use graft_protocol::{Block, Cell, Command, Event, Reply, Table};
use graft_spec::{Failure, Settings, Value};

use crate::test_session::TestSession;

fn begin(test: &TestSession, steps: i64) -> Result<Reply, Failure> {
    let settings = Settings::default()
        .with("steps", Value::Integer(steps))
        .with("bg", Value::Bool(true))
        .with("batch", Value::Integer(4));
    test.run(Command::Train {
        attach: None,
        settings: settings.with("eval_every", Value::Integer(0)),
    })
}

fn jobs(test: &TestSession) -> Table {
    let reply = test.run(Command::Jobs).unwrap();
    reply
        .blocks
        .into_iter()
        .find_map(|block| if let Block::Table(table) = block { Some(table) } else { None })
        .unwrap()
}

fn text(reply: &Reply) -> String {
    format!("{:?}", reply.blocks)
}

fn state(test: &TestSession) -> String {
    match &jobs(test).rows[0][1] {
        Cell::Text(state) => state.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_cell_ends_at_once_and_reading_commands_work_meanwhile() {
    let test = TestSession::attached();
    let begun = begin(&test, 1_000_000).unwrap();
    assert!(text(&begun).contains("is training in the background"), "{begun:?}");
    assert_eq!(state(&test), "training");
    let prompt = || Command::Generate { prompt: "red".to_owned(), settings: Settings::default() };
    test.run(prompt()).unwrap();
    assert!(test.run(Command::Status).is_ok());
    assert!(test.run(Command::Eval { settings: Settings::default() }).is_ok());
    let refused = test.run(Command::Seed { seed: Some(1) }).unwrap_err();
    assert!(
        refused.code == "session::background" && refused.hint.unwrap().contains("%stop"),
        "{}",
        refused.message
    );
    assert!(begin(&test, 3).is_err(), "one at a time");
    assert_eq!(test.session.interrupt(), None, "the stop button means a cell, and none runs");
    assert_eq!(state(&test), "training");
    let stopped = text(&test.run(Command::Stop).unwrap());
    assert!(
        stopped.contains("stopped `lora-001` after step") && stopped.contains("%resume"),
        "{stopped}"
    );
    assert_eq!(state(&test), "stopped");
    assert!(test.run(Command::Stop).is_err());
    assert!(test.run(Command::Eval { settings: Settings::default() }).is_ok());
    assert!(
        !test.sink.events().iter().any(|event| matches!(event, Event::Step(_))),
        "no cell plots it"
    );
}

#[test]
fn watching_shows_earlier_and_later_steps_until_the_end() {
    let test = TestSession::attached();
    begin(&test, 40).unwrap();
    test.run(Command::Watch { run: None }).unwrap();
    let events = test.sink.events();
    let earlier = events
        .iter()
        .find_map(|event| {
            if let Event::RunStarted(started) = event { Some(started.earlier.len()) } else { None }
        })
        .unwrap();
    let later = events.iter().filter(|event| matches!(event, Event::Step(_))).count();
    assert_eq!(earlier + later, 40);
    assert!(
        matches!(events.iter().rev().find(|event| matches!(event, Event::RunEnded(_))), Some(Event::RunEnded(ended)) if ended.step == 40)
    );
    assert_eq!(state(&test), "done");
}

#[test]
fn training_in_the_background_gives_the_same_weights() {
    let losses = |background: bool| {
        let test = TestSession::attached();
        if background {
            begin(&test, 12).unwrap();
            test.session.wait_until_idle(Duration::from_secs(60));
            test.run(Command::Watch { run: None }).unwrap();
        } else {
            test.train("steps=12 batch=4 eval_every=0").unwrap();
        }
        text(
            &test
                .run(Command::Generate { prompt: "red".to_owned(), settings: Settings::default() })
                .unwrap(),
        )
    };
    assert_eq!(losses(true), losses(false));
}

#[test]
fn an_error_before_the_first_step_fails_the_cell() {
    let test = TestSession::ready();
    let failure = begin(&test, 4).unwrap_err();
    assert_eq!(failure.code, "session::no_adapter");
    assert!(jobs(&test).rows.is_empty());
}

#[test]
fn the_end_of_the_session_stops_the_job_and_it_can_be_resumed() {
    let test = TestSession::attached();
    begin(&test, 1_000_000).unwrap();
    test.session.stop_all();
    test.session.wait_until_idle(Duration::from_secs(60));
    assert_eq!(state(&test), "stopped");
    let settings =
        Settings::default().with("steps", Value::Integer(1_000_001)).with("bg", Value::Bool(true));
    test.run(Command::Resume { run: None, settings }).unwrap();
    test.run(Command::Stop).unwrap();
    assert_eq!(jobs(&test).rows.len(), 2);
}

/// A comparison of three ranks in the background.
fn compare(test: &TestSession, steps: &str) -> Reply {
    let keys = [
        ("r", "1,2,3"),
        ("steps", steps),
        ("batch", "4"),
        ("lr", "0.02"),
        ("examples", "8"),
        ("bg", "true"),
    ];
    let keys = keys.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec();
    test.run(Command::Ablate { methods: vec!["lora".to_owned()], keys }).unwrap()
}

/// The first cell and the last of each row of the first table.
fn ends(reply: &Reply) -> Vec<(String, String)> {
    let table = reply
        .blocks
        .iter()
        .find_map(|block| if let Block::Table(table) = block { Some(table) } else { None })
        .unwrap();
    let words =
        |cell: &Cell| if let Cell::Text(text) = cell { text.clone() } else { format!("{cell:?}") };
    table.rows.iter().map(|row| (words(&row[0]), words(row.last().unwrap()))).collect()
}

#[test]
fn trials_of_a_background_comparison_can_be_stopped_and_added() {
    let test = TestSession::attached();
    let begun = compare(&test, "20000");
    assert!(text(&begun).contains("is running in the background"), "{begun:?}");
    assert_eq!(state(&test), "comparing");
    let prompt = Command::Generate { prompt: "red".to_owned(), settings: Settings::default() };
    test.run(prompt).unwrap();
    assert_eq!(test.run(Command::TrialStop { number: 4 }).unwrap_err().code, "ablate::no_trial");
    for number in [1, 2, 3] {
        test.run(Command::TrialStop { number }).unwrap();
    }
    let rank = |value: &str| {
        vec![("r".to_owned(), value.to_owned()), ("steps".to_owned(), "6".to_owned())]
    };
    assert_eq!(
        test.run(Command::TrialClone {
            number: 2,
            keys: vec![("ranks".to_owned(), "4".to_owned())]
        })
        .unwrap_err()
        .code,
        "ablate::unknown_key"
    );
    test.run(Command::TrialClone { number: 2, keys: rank("4") }).unwrap();
    let watched = test.run(Command::Watch { run: None }).unwrap();
    let found = ends(&watched);
    let labels: Vec<&str> = found.iter().map(|(label, _)| label.as_str()).collect();
    assert_eq!(
        labels,
        ["untuned base", "majority class", "lora r=1", "lora r=2", "lora r=3", "lora r=4 steps=6"]
    );
    assert!(
        found[2..5].iter().all(|(_, status)| status.starts_with("stopped early at step"))
            && found[5].1 == "done",
        "{found:?}"
    );
    assert_eq!(state(&test), "done");
    // Afterwards one more trial is trained at once and reported with the finished ones.
    let wider = test.run(Command::TrialClone { number: 4, keys: rank("8") }).unwrap();
    assert_eq!(ends(&wider).last().unwrap(), &("lora r=8 steps=6".to_owned(), "done".to_owned()));
    assert_eq!(
        test.run(Command::TrialStop { number: 1 }).unwrap_err().code,
        "session::no_comparison"
    );
    assert_eq!(
        test.run(Command::TrialClone { number: 4, keys: rank("8") }).unwrap_err().code,
        "ablate::same_trial"
    );
    // The same line trains the trials to the end that were stopped by hand.
    compare(&test, "20000");
    assert_eq!(state(&test), "comparing");
    test.run(Command::Stop).unwrap();
}

#[test]
fn a_stopped_background_comparison_keeps_partial_runs() {
    let test = TestSession::ready();
    compare(&test, "1000000");
    let stopped = text(&test.run(Command::Stop).unwrap());
    assert!(stopped.contains("run the same line again to resume it"), "{stopped}");
    assert_eq!(state(&test), "stopped");
    assert!(test.run(Command::Status).is_ok());
    let Some(Block::Table(live_table)) =
        test.run(Command::Watch { run: None }).unwrap().blocks.into_iter().next()
    else {
        panic!("nothing to see")
    };
    let rows: Vec<String> = live_table.rows.iter().map(|row| format!("{row:?}")).collect();
    assert!(rows.len() == 3 && rows.iter().all(|row| row.contains("stopped, step ")), "{rows:?}");
}

#[test]
fn a_trial_that_was_added_before_a_stop_is_resumed_by_the_same_line() {
    let test = TestSession::ready();
    compare(&test, "1000000");
    let keys = [("r", "8"), ("steps", "6")]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .to_vec();
    test.run(Command::TrialClone { number: 1, keys }).unwrap();
    test.run(Command::Stop).unwrap();
    compare(&test, "1000000");
    for number in [1, 2, 3] {
        test.run(Command::TrialStop { number }).unwrap();
    }
    let watched = test.run(Command::Watch { run: None }).unwrap();
    assert_eq!(
        ends(&watched).last().unwrap(),
        &("lora r=8 steps=6".to_owned(), "done".to_owned()),
        "{watched:?}"
    );
    // Another line is another comparison.
    compare(&test, "999999");
    test.run(Command::Stop).unwrap();
    let Some(Block::Table(table)) =
        test.run(Command::Watch { run: None }).unwrap().blocks.into_iter().next()
    else {
        panic!("no table")
    };
    assert_eq!(table.rows.len(), 3, "{table:?}");
}
