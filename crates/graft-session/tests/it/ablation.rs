//! `%ablate`: what it compares, and what it leaves alone.

use graft_protocol::{Block, Cell, Command, Event, Failure, Reply, Table};

use crate::world::World;

fn ablate(world: &World, methods: &[&str], keys: &[(&str, &str)]) -> Result<Reply, Failure> {
    let keys = keys.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    world.run(Command::Ablate { methods: methods.iter().map(|method| (*method).to_owned()).collect(), keys })
}

fn table(reply: &Reply) -> &Table {
    reply.blocks.iter().find_map(|block| if let Block::Table(table) = block { Some(table) } else { None }).unwrap()
}

fn labels(table: &Table) -> Vec<String> {
    table.rows.iter().map(|row| if let Cell::Text(label) = &row[0] { label.clone() } else { panic!("{row:?}") }).collect()
}

const QUICK: [(&str, &str); 4] = [("steps", "6"), ("lr", "0.02"), ("batch", "4"), ("examples", "8")];

fn quick<'a>(more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    QUICK.iter().chain(more).copied().collect()
}

#[test]
fn every_configuration_stands_beside_the_base_and_the_users_adapter_is_what_it_was() {
    let world = World::attached();
    world.train("steps=4 lr=0.02 eval_every=0 batch=4").unwrap();
    let before = world.run(Command::Generate { prompt: "red".to_owned(), settings: Default::default() }).unwrap();
    let reply = ablate(&world, &["lora", "ia3"], &quick(&[("r", "1,2"), ("seeds", "2")])).unwrap();
    let found = table(&reply);
    assert_eq!(labels(found), ["untuned base", "majority class", "lora r=1", "lora r=2", "ia3"]);
    let scale = found.columns.iter().position(|column| column.name == "alpha/r").unwrap();
    assert_eq!(found.rows[2][scale], Cell::Float(2.0, 2));
    assert_eq!(found.rows[3][scale], Cell::Float(2.0, 2));
    assert_eq!(found.rows[4][scale], Cell::Empty);
    assert!(found.rows[2..].iter().all(|row| row.last() == Some(&Cell::Text("done".to_owned()))), "{found:?}");
    assert_eq!(reply.blocks.iter().filter(|block| matches!(block, Block::Chart(_))).count(), 2);
    assert_eq!(world.run(Command::Generate { prompt: "red".to_owned(), settings: Default::default() }).unwrap(), before);
    let status = format!("{:?}", world.run(Command::Status).unwrap().blocks);
    assert!(status.contains("default") && !status.contains("_ablate"), "{status}");
}

#[test]
fn the_same_seed_gives_the_same_numbers_and_the_same_line_trains_nothing_twice() {
    let world = World::ready();
    let first = ablate(&world, &["lora"], &quick(&[("r", "1,2")])).unwrap();
    let steps = |world: &World| world.ear.events().iter().filter(|event| matches!(event, Event::Progress { label, .. } if label.starts_with("trial"))).count();
    let trained = steps(&world);
    assert!(trained > 0);
    let again = ablate(&world, &["lora"], &quick(&[("r", "1,2")])).unwrap();
    assert_eq!(steps(&world), trained);
    assert_eq!(table(&again).rows, table(&first).rows);
    assert!(format!("{:?}", again.blocks).contains("2 of 2 trainings were finished"));
    let other = crate::tiny::colours().replace("sky", "sea");
    world.run(Command::DataInline { name: "colours".to_owned(), text: other, settings: Default::default() }).unwrap();
    let on_other = ablate(&world, &["lora"], &quick(&[("r", "1,2")])).unwrap();
    assert!(!format!("{:?}", on_other.blocks).contains("were finished"), "another text under the same name is other data");
    world.run(Command::DataInline { name: "colours".to_owned(), text: crate::tiny::colours(), settings: Default::default() }).unwrap();
    let fresh = ablate(&world, &["lora"], &quick(&[("r", "1,2"), ("fresh", "true")])).unwrap();
    let losses = |reply: &Reply| table(reply).rows.iter().map(|row| row[4].clone()).collect::<Vec<_>>();
    assert_eq!(losses(&fresh), losses(&first));
}

#[test]
fn a_trial_that_cannot_be_is_marked_and_the_others_go_on() {
    let world = World::ready();
    let reply = ablate(&world, &["lora"], &quick(&[("r", "1,60000")])).unwrap();
    let found = table(&reply);
    let status = |row: usize| format!("{:?}", found.rows[row].last().unwrap());
    assert!(status(2).contains("done") && status(3).contains("1 of 1 failed: r = 60000 is larger"), "{found:?}");
    assert_eq!(ablate(&world, &["lora"], &quick(&[("r", "60000")])).unwrap_err().code, "peft::rank_too_large");
}

#[test]
fn stop_keeps_what_is_finished_and_the_same_line_goes_on() {
    let world = World::ready();
    let session = world.session.clone();
    world.ear.react(move |event| {
        if matches!(event, Event::Progress { label, .. } if label.starts_with("trial 2 of 3")) {
            session.interrupt();
        }
    });
    let stopped = ablate(&world, &["lora"], &quick(&[("r", "1,2,4")])).unwrap_err();
    assert_eq!(stopped.code, "session::interrupted");
    assert!(stopped.message.contains("after 1 of 3"), "{stopped}");
    let shown = world.ear.events().into_iter().find_map(|event| if let Event::Block(Block::Table(table)) = event { Some(table) } else { None });
    assert_eq!(labels(&shown.expect("what is finished is shown")), ["untuned base", "majority class", "lora r=1"]);
    world.ear.react(|_| {});
    let whole = ablate(&world, &["lora"], &quick(&[("r", "1,2,4")])).unwrap();
    assert_eq!(table(&whole).rows.len(), 5);
    assert!(format!("{:?}", whole.blocks).contains("1 of 3 trainings were finished"));
}

#[test]
fn without_model_or_data_it_says_what_is_missing() {
    let world = World::new();
    assert_eq!(ablate(&world, &["lora"], &[("r", "1,2")]).unwrap_err().code, "session::no_model");
    world.load_model();
    assert_eq!(ablate(&world, &["lora"], &[("r", "1,2")]).unwrap_err().code, "session::no_data");
}

#[test]
fn a_rate_that_is_sought_is_told_and_its_tries_leave_no_runs() {
    let world = World::ready();
    let keys = [("steps", "12"), ("batch", "4"), ("examples", "8"), ("lr", "auto"), ("seeds", "2")];
    let reply = ablate(&world, &["lora"], &keys).unwrap();
    let found = table(&reply);
    let label = labels(found).pop().unwrap();
    assert!(label.starts_with("lora lr=") && label.contains("e-"), "{label}");
    assert!(found.footer.iter().any(|line| line.contains("sought")), "{:?}", found.footer);
    let runs = std::fs::read_dir(world.folder.path().join("runs")).unwrap().count();
    assert_eq!(runs, 2, "one for each seed");
    assert_eq!(labels(table(&ablate(&world, &["lora"], &keys).unwrap())).pop().unwrap(), label, "what is finished keeps its rate");
}
