//! `%train bg=true`: the cell ends, the training goes on.

use std::time::Duration;

use graft_protocol::{Block, Cell, Command, Event, Reply, Table};
use graft_spec::{Failure, Settings, Value};

use crate::world::World;

fn begin(world: &World, steps: i64) -> Result<Reply, Failure> {
    let settings = Settings::default()
        .with("steps", Value::Integer(steps))
        .with("bg", Value::Bool(true))
        .with("batch", Value::Integer(4));
    world.run(Command::Train {
        attach: None,
        settings: settings.with("eval_every", Value::Integer(0)),
    })
}

fn jobs(world: &World) -> Table {
    let reply = world.run(Command::Jobs).unwrap();
    reply
        .blocks
        .into_iter()
        .find_map(|block| if let Block::Table(table) = block { Some(table) } else { None })
        .unwrap()
}

fn text(reply: &Reply) -> String {
    format!("{:?}", reply.blocks)
}

fn state(world: &World) -> String {
    match &jobs(world).rows[0][1] {
        Cell::Text(state) => state.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_cell_ends_at_once_and_the_session_answers_what_only_looks() {
    let world = World::attached();
    let begun = begin(&world, 1_000_000).unwrap();
    assert!(text(&begun).contains("trains in the background"), "{begun:?}");
    assert_eq!(state(&world), "trains");
    let prompt = || Command::Generate { prompt: "red".to_owned(), settings: Settings::default() };
    world.run(prompt()).unwrap();
    assert!(world.run(Command::Status).is_ok());
    assert!(world.run(Command::Eval { settings: Settings::default() }).is_ok());
    let refused = world.run(Command::Seed { seed: Some(1) }).unwrap_err();
    assert!(
        refused.code == "session::background" && refused.hint.unwrap().contains("%stop"),
        "{}",
        refused.message
    );
    assert!(begin(&world, 3).is_err(), "one at a time");
    assert_eq!(world.session.interrupt(), None, "the stop button means a cell, and none runs");
    assert_eq!(state(&world), "trains");
    let stopped = text(&world.run(Command::Stop).unwrap());
    assert!(stopped.contains("has stopped after step") && stopped.contains("%resume"), "{stopped}");
    assert_eq!(state(&world), "stopped");
    assert!(world.run(Command::Stop).is_err());
    assert!(world.run(Command::Eval { settings: Settings::default() }).is_ok());
    assert!(
        !world.ear.events().iter().any(|event| matches!(event, Event::Step(_))),
        "nobody's cell draws it"
    );
}

#[test]
fn watching_draws_what_has_been_and_what_comes_until_the_end() {
    let world = World::attached();
    begin(&world, 40).unwrap();
    world.run(Command::Watch { run: None }).unwrap();
    let events = world.ear.events();
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
    assert_eq!(state(&world), "done");
}

#[test]
fn what_was_trained_in_the_background_is_what_was_trained_in_front() {
    let losses = |background: bool| {
        let world = World::attached();
        if background {
            begin(&world, 12).unwrap();
            world.session.wait_until_idle(Duration::from_secs(60));
            world.run(Command::Watch { run: None }).unwrap();
        } else {
            world.train("steps=12 batch=4 eval_every=0").unwrap();
        }
        text(
            &world
                .run(Command::Generate { prompt: "red".to_owned(), settings: Settings::default() })
                .unwrap(),
        )
    };
    assert_eq!(losses(true), losses(false));
}

#[test]
fn what_keeps_it_from_beginning_fails_the_cell() {
    let world = World::ready();
    let failure = begin(&world, 4).unwrap_err();
    assert_eq!(failure.code, "session::no_adapter");
    assert!(jobs(&world).rows.is_empty());
}

#[test]
fn the_end_of_the_session_stops_it_and_it_can_go_on() {
    let world = World::attached();
    begin(&world, 1_000_000).unwrap();
    world.session.stop_all();
    world.session.wait_until_idle(Duration::from_secs(60));
    assert_eq!(state(&world), "stopped");
    let settings =
        Settings::default().with("steps", Value::Integer(1_000_001)).with("bg", Value::Bool(true));
    world.run(Command::Resume { run: None, settings }).unwrap();
    world.run(Command::Stop).unwrap();
    assert_eq!(jobs(&world).rows.len(), 2);
}

/// A comparison of three ranks in the background.
fn compare(world: &World, steps: &str) -> Reply {
    let keys = [
        ("r", "1,2,3"),
        ("steps", steps),
        ("batch", "4"),
        ("lr", "0.02"),
        ("examples", "8"),
        ("bg", "true"),
    ];
    let keys = keys.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec();
    world.run(Command::Ablate { methods: vec!["lora".to_owned()], keys }).unwrap()
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
fn a_comparison_in_the_background_loses_one_trial_and_gets_another() {
    let world = World::attached();
    let begun = compare(&world, "20000");
    assert!(text(&begun).contains("goes on in the background"), "{begun:?}");
    assert_eq!(state(&world), "compares");
    let prompt = Command::Generate { prompt: "red".to_owned(), settings: Settings::default() };
    world.run(prompt).unwrap();
    assert_eq!(world.run(Command::TrialStop { number: 4 }).unwrap_err().code, "ablate::no_trial");
    for number in [1, 2, 3] {
        world.run(Command::TrialStop { number }).unwrap();
    }
    let rank = |value: &str| {
        vec![("r".to_owned(), value.to_owned()), ("steps".to_owned(), "6".to_owned())]
    };
    assert_eq!(
        world
            .run(Command::TrialClone {
                number: 2,
                keys: vec![("ranks".to_owned(), "4".to_owned())]
            })
            .unwrap_err()
            .code,
        "ablate::unknown_key"
    );
    world.run(Command::TrialClone { number: 2, keys: rank("4") }).unwrap();
    let watched = world.run(Command::Watch { run: None }).unwrap();
    let found = ends(&watched);
    let labels: Vec<&str> = found.iter().map(|(label, _)| label.as_str()).collect();
    assert_eq!(
        labels,
        ["untuned base", "majority class", "lora r=1", "lora r=2", "lora r=3", "lora r=4 steps=6"]
    );
    assert!(
        found[2..5].iter().all(|(_, status)| status.starts_with("given up at step"))
            && found[5].1 == "done",
        "{found:?}"
    );
    assert_eq!(state(&world), "done");
    // Afterwards one more is trained at once, with what is finished beside it.
    let wider = world.run(Command::TrialClone { number: 4, keys: rank("8") }).unwrap();
    assert_eq!(ends(&wider).last().unwrap(), &("lora r=8 steps=6".to_owned(), "done".to_owned()));
    assert_eq!(
        world.run(Command::TrialStop { number: 1 }).unwrap_err().code,
        "session::no_comparison"
    );
    assert_eq!(
        world.run(Command::TrialClone { number: 4, keys: rank("8") }).unwrap_err().code,
        "ablate::same_trial"
    );
    // The same line takes up again what was given up by hand.
    compare(&world, "20000");
    assert_eq!(state(&world), "compares");
    world.run(Command::Stop).unwrap();
}

#[test]
fn a_comparison_in_the_background_is_stopped_and_keeps_what_is_half_way() {
    let world = World::ready();
    compare(&world, "1000000");
    let stopped = text(&world.run(Command::Stop).unwrap());
    assert!(stopped.contains("the same line goes on"), "{stopped}");
    assert_eq!(state(&world), "stopped");
    assert!(world.run(Command::Status).is_ok());
    let Some(Block::Table(standing)) =
        world.run(Command::Watch { run: None }).unwrap().blocks.into_iter().next()
    else {
        panic!("nothing to see")
    };
    let rows: Vec<String> = standing.rows.iter().map(|row| format!("{row:?}")).collect();
    assert!(rows.len() == 3 && rows.iter().all(|row| row.contains("stopped, step ")), "{rows:?}");
}
