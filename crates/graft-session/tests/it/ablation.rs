//! `%ablate`: what it compares, and what it leaves alone.

use graft_protocol::{Block, Cell, Command, Event, Reply, Table};
use graft_spec::Failure;

use crate::world::World;

fn ablate(world: &World, methods: &[&str], keys: &[(&str, &str)]) -> Result<Reply, Failure> {
    let keys = keys.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    world.run(Command::Ablate {
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

fn labels(table: &Table) -> Vec<String> {
    table
        .rows
        .iter()
        .map(|row| if let Cell::Text(label) = &row[0] { label.clone() } else { panic!("{row:?}") })
        .collect()
}

const QUICK: [(&str, &str); 4] =
    [("steps", "6"), ("lr", "0.02"), ("batch", "4"), ("examples", "8")];

fn quick<'a>(more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    QUICK.iter().chain(more).copied().collect()
}

#[test]
fn every_configuration_stands_beside_the_base_and_the_users_adapter_is_what_it_was() {
    let world = World::attached();
    world.train("steps=4 lr=0.02 eval_every=0 batch=4").unwrap();
    let before = world
        .run(Command::Generate { prompt: "red".to_owned(), settings: Default::default() })
        .unwrap();
    let reply = ablate(&world, &["lora", "ia3"], &quick(&[("r", "1,2"), ("seeds", "2")])).unwrap();
    let found = table(&reply);
    assert_eq!(labels(found), ["untuned base", "majority class", "lora r=1", "lora r=2", "ia3"]);
    let column = |name: &str| found.columns.iter().position(|column| column.name == name).unwrap();
    assert!(
        found.rows[2..].iter().all(|row| ["trainable", "tokens/s", "MB"]
            .iter()
            .all(|name| matches!(row[column(name)], Cell::Integer(1..)))),
        "{found:?}"
    );
    let scale = found.columns.iter().position(|column| column.name == "alpha/r").unwrap();
    assert_eq!(found.rows[2][scale], Cell::Float(2.0, 2));
    assert_eq!(found.rows[3][scale], Cell::Float(2.0, 2));
    assert_eq!(found.rows[4][scale], Cell::Empty);
    assert!(
        found.rows[2..].iter().all(|row| row.last() == Some(&Cell::Text("done".to_owned()))),
        "{found:?}"
    );
    assert_eq!(reply.blocks.iter().filter(|block| matches!(block, Block::Chart(_))).count(), 2);
    assert_eq!(
        world
            .run(Command::Generate { prompt: "red".to_owned(), settings: Default::default() })
            .unwrap(),
        before
    );
    let status = format!("{:?}", world.run(Command::Status).unwrap().blocks);
    assert!(status.contains("default") && !status.contains("_ablate"), "{status}");
}

#[test]
fn the_same_seed_gives_the_same_numbers_and_the_same_line_trains_nothing_twice() {
    let world = World::ready();
    let first = ablate(&world, &["lora"], &quick(&[("r", "1,2")])).unwrap();
    let steps = |world: &World| {
        world.ear.events().iter().filter(|event| matches!(event, Event::Progress { label, .. } if label.starts_with("trial"))).count()
    };
    let trained = steps(&world);
    assert!(trained > 0);
    let again = ablate(&world, &["lora"], &quick(&[("r", "1,2")])).unwrap();
    assert_eq!(steps(&world), trained);
    assert_eq!(table(&again).rows, table(&first).rows);
    assert!(format!("{:?}", again.blocks).contains("2 of 2 trainings were finished"));
    let other = crate::tiny::colours().replace("sky", "sea");
    world
        .run(Command::DataInline {
            name: "colours".to_owned(),
            text: other,
            settings: Default::default(),
        })
        .unwrap();
    let on_other = ablate(&world, &["lora"], &quick(&[("r", "1,2")])).unwrap();
    assert!(
        !format!("{:?}", on_other.blocks).contains("were finished"),
        "another text under the same name is other data"
    );
    world
        .run(Command::DataInline {
            name: "colours".to_owned(),
            text: crate::tiny::colours(),
            settings: Default::default(),
        })
        .unwrap();
    let fresh = ablate(&world, &["lora"], &quick(&[("r", "1,2"), ("fresh", "true")])).unwrap();
    let losses =
        |reply: &Reply| table(reply).rows.iter().map(|row| row[4].clone()).collect::<Vec<_>>();
    assert_eq!(losses(&fresh), losses(&first));
}

#[test]
fn a_trial_that_cannot_be_is_marked_and_the_others_go_on() {
    let world = World::ready();
    let reply = ablate(&world, &["lora"], &quick(&[("r", "1,60000")])).unwrap();
    let found = table(&reply);
    let status = |row: usize| format!("{:?}", found.rows[row].last().unwrap());
    assert!(
        status(2).contains("done") && status(3).contains("1 of 1 failed: r = 60000 is larger"),
        "{found:?}"
    );
    assert_eq!(
        ablate(&world, &["lora"], &quick(&[("r", "60000")])).unwrap_err().code,
        "peft::rank_too_large"
    );
}

#[test]
fn stop_keeps_what_is_finished_and_the_same_line_goes_on_where_it_was() {
    let world = World::ready();
    let keys = quick(&[("r", "1,2"), ("seeds", "2"), ("steps", "24")]);
    let session = world.session.clone();
    let mut turns = 0;
    world.ear.react(move |event| {
        // In the second seed, when each of the two has had some turns.
        turns += usize::from(
            matches!(event, Event::Progress { label, .. } if label.starts_with("trial 4 of 4")),
        );
        if turns == 5 {
            session.interrupt();
        }
    });
    let stopped = ablate(&world, &["lora"], &keys).unwrap_err();
    assert_eq!(stopped.code, "session::interrupted");
    assert!(stopped.message.contains("after 2 of 4"), "{stopped}");
    let shown = world.ear.events().into_iter().find_map(|event| {
        if let Event::Block(Block::Table(table)) = event { Some(table) } else { None }
    });
    assert_eq!(
        labels(&shown.expect("what is finished is shown")),
        ["untuned base", "majority class", "lora r=1", "lora r=2"]
    );
    world.ear.react(|_| {});
    let whole = ablate(&world, &["lora"], &keys).unwrap();
    assert!(format!("{:?}", whole.blocks).contains("2 of 4 trainings were finished"));
    let runs = || std::fs::read_dir(world.folder.path().join("runs")).unwrap().count();
    assert_eq!(runs(), 4, "what was half-way is the same run");
    let fresh = ablate(&world, &["lora"], &[keys, vec![("fresh", "true")]].concat()).unwrap();
    let losses =
        |reply: &Reply| table(reply).rows.iter().map(|row| row[4].clone()).collect::<Vec<_>>();
    assert_eq!(
        losses(&whole),
        losses(&fresh),
        "the losses are those of an uninterrupted comparison"
    );
}

/// The last standing that was shown: its table, and how many curves it had.
fn last_standing(world: &World) -> (Table, usize) {
    let standing = |event| if let Event::LiveTable(blocks) = event { Some(blocks) } else { None };
    let blocks =
        world.ear.events().into_iter().filter_map(standing).next_back().expect("a standing");
    match blocks.as_slice() {
        [Block::Table(table), Block::Chart(chart)] => {
            (table.clone(), chart.series.iter().filter(|series| !series.points.is_empty()).count())
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_was_to_be_seen_when_it_was_stopped_stays_and_the_same_line_resumes_it() {
    let world = World::ready();
    let keys = quick(&[("r", "1,2,3"), ("steps", "48")]);
    let session = world.session.clone();
    let mut turns = 0;
    world.ear.react(move |event| {
        // When each of the three has had some turns, and none is done.
        turns += usize::from(
            matches!(event, Event::Progress { label, .. } if label.starts_with("trial 3 of 3")),
        );
        if turns == 4 {
            session.interrupt();
        }
    });
    let stopped = ablate(&world, &["lora"], &keys).unwrap_err();
    assert!(
        stopped.code == "session::interrupted" && stopped.message.contains("after 0 of 3"),
        "{stopped}"
    );
    let (shown, curves) = last_standing(&world);
    assert_eq!((shown.rows.len(), curves), (3, 3), "{shown:?}");
    for row in &shown.rows {
        let (status, loss) = (format!("{:?}", row[2]), format!("{:?}", row[5]));
        assert!(status.contains("stopped, step ") && status.contains(" of 48"), "{status}");
        assert!(loss.contains("Float"), "the loss reached stays: {loss}");
    }
    world.ear.react(|_| {});
    let whole = ablate(&world, &["lora"], &keys).unwrap();
    let runs = std::fs::read_dir(world.folder.path().join("runs")).unwrap().count();
    assert_eq!(runs, 3, "they are the runs that were stopped");
    let fresh = ablate(&world, &["lora"], &[keys, vec![("fresh", "true")]].concat()).unwrap();
    let losses =
        |reply: &Reply| table(reply).rows.iter().map(|row| row[4].clone()).collect::<Vec<_>>();
    assert_eq!(losses(&whole), losses(&fresh));
}

#[test]
fn between_two_seeds_the_curves_of_the_first_stay() {
    let world = World::ready();
    ablate(&world, &["lora"], &quick(&[("r", "1,2"), ("seeds", "2"), ("steps", "24")])).unwrap();
    let standing = |event| if let Event::LiveTable(blocks) = event { Some(blocks) } else { None };
    let curves = world.ear.events().into_iter().filter_map(standing).map(|blocks| {
        match blocks.into_iter().nth(1) {
            Some(Block::Chart(chart)) => chart.series.len(),
            other => panic!("{other:?}"),
        }
    });
    let curves: Vec<usize> = curves.collect();
    let first = curves.iter().position(|count| *count == 2).expect("both curves are shown");
    assert!(curves[first..].iter().all(|count| *count == 2), "{curves:?}");
}

#[test]
fn a_large_grid_names_the_time_that_it_would_take_and_trains_nothing_of_it() {
    let world = World::ready();
    let ranks = (1..=50).map(|rank| rank.to_string()).collect::<Vec<_>>().join(",");
    let rates = (1..=100).map(|rate| format!("{rate}e-4")).collect::<Vec<_>>().join(",");
    let keys = [
        ("r", ranks.as_str()),
        ("lr", rates.as_str()),
        ("seeds", "2"),
        ("steps", "100"),
        ("batch", "4"),
        ("examples", "8"),
    ];
    let refused = ablate(&world, &["lora"], &keys).unwrap_err();
    assert_eq!(refused.code, "ablate::many");
    assert!(
        refused
            .message
            .starts_with("these are 10,000 trainings (5,000 configurations, 2 seeds), about "),
        "{refused}"
    );
    assert!(refused.message.contains(" min") || refused.message.contains(" h"), "{refused}");
    assert!(refused.hint.unwrap().contains("confirm=true"));
    let runs = std::fs::read_dir(world.folder.path().join("runs")).map_or(0, Iterator::count);
    assert_eq!(runs, 0, "the run that was timed is gone");
}

#[test]
fn the_metric_is_to_be_seen_while_a_configuration_is_still_training() {
    let world = World::ready();
    ablate(
        &world,
        &["lora"],
        &[("r", "1,2"), ("steps", "60"), ("lr", "0.02"), ("batch", "4"), ("examples", "8")],
    )
    .unwrap();
    let standing = |event| if let Event::LiveTable(blocks) = event { Some(blocks) } else { None };
    let tables = world
        .ear
        .events()
        .into_iter()
        .filter_map(standing)
        .flatten()
        .filter_map(|block| if let Block::Table(table) = block { Some(table) } else { None });
    let seen: Vec<_> = tables
        .flat_map(|table| table.rows)
        .map(|row| format!("{:?} {:?}", row[2], row[6]))
        .collect();
    assert!(
        seen.iter().any(|row| row.contains("step 60 of 60") && row.contains("Percent")),
        "trained and not yet scored: {seen:?}"
    );
    assert!(seen.iter().any(|row| row.contains("done") && row.contains("Percent")), "{seen:?}");
}

#[test]
fn what_was_trained_and_not_yet_scored_is_not_trained_again() {
    let world = World::ready();
    let keys = quick(&[("r", "1,2")]);
    let session = world.session.clone();
    world.ear.react(move |event| {
        if matches!(event, Event::Progress { label, .. } if label.starts_with("scoring lora r=1")) {
            session.interrupt();
        }
    });
    assert_eq!(ablate(&world, &["lora"], &keys).unwrap_err().code, "session::interrupted");
    world.ear.react(|_| {});
    let trained = |world: &World| {
        world.ear.events().iter().filter(|event| matches!(event, Event::Progress { label, .. } if label.starts_with("trial"))).count()
    };
    let before = trained(&world);
    let whole = ablate(&world, &["lora"], &keys).unwrap();
    assert_eq!(trained(&world), before);
    let fresh = ablate(&world, &["lora"], &[keys, vec![("fresh", "true")]].concat()).unwrap();
    let losses =
        |reply: &Reply| table(reply).rows.iter().map(|row| row[4].clone()).collect::<Vec<_>>();
    assert_eq!(losses(&whole), losses(&fresh));
}

#[test]
fn each_configuration_has_the_rate_that_was_sought_for_it() {
    let world = World::ready();
    let keys = [("steps", "12"), ("batch", "4"), ("examples", "8"), ("lr", "auto"), ("r", "1,2")];
    let together = ablate(&world, &["lora"], &keys).unwrap();
    for rank in ["1", "2"] {
        let keys = [
            ("steps", "12"),
            ("batch", "4"),
            ("examples", "8"),
            ("lr", "auto"),
            ("r", rank),
            ("alpha", "2r"),
            ("fresh", "true"),
        ];
        let alone = ablate(&world, &["lora"], &keys).unwrap();
        let row = table(&together)
            .rows
            .iter()
            .find(|row| format!("{:?}", row[0]).contains(&format!("r={rank}")))
            .unwrap();
        assert_eq!(table(&alone).rows[2][4], row[4], "rank {rank}");
    }
}

#[test]
fn trials_advance_in_turn_and_are_what_each_is_alone() {
    let world = World::ready();
    let keys = quick(&[("steps", "24")]);
    let together = ablate(&world, &["lora", "ln_tuning", "full", "prompt_tune"], &keys).unwrap();
    let numbers: Vec<String> = world
        .ear
        .events()
        .into_iter()
        .filter_map(
            |event| if let Event::Progress { label, .. } = event { Some(label) } else { None },
        )
        .collect();
    let turns: Vec<&str> = numbers
        .iter()
        .filter_map(|label| label.strip_prefix("trial "))
        .map(|label| &label[..1])
        .collect();
    assert_eq!(turns[..8], ["1", "2", "3", "4", "1", "2", "3", "4"]);
    let standing =
        world.ear.events().into_iter().find_map(|event| {
            if let Event::LiveTable(blocks) = event { Some(blocks) } else { None }
        });
    assert!(
        matches!(standing.as_deref(), Some([Block::Table(table), Block::Chart(_)]) if table.rows.len() == 4),
        "{standing:?}"
    );
    for (row, method) in ["lora", "ln_tuning", "full", "prompt_tune"].into_iter().enumerate() {
        let alone =
            ablate(&world, &[method], &[keys.clone(), vec![("fresh", "true")]].concat()).unwrap();
        assert_eq!(table(&alone).rows[2][4], table(&together).rows[2 + row][4], "{method}");
    }
}

#[test]
fn halving_gives_up_the_worse_half_twice_and_says_so() {
    let world = World::ready();
    let keys = [
        ("steps", "24"),
        ("lr", "0.02,0.00001,0.000001,0.01"),
        ("batch", "4"),
        ("examples", "8"),
        ("early", "halving"),
    ];
    let reply = ablate(&world, &["lora"], &keys).unwrap();
    let statuses = |reply: &Reply| -> Vec<String> {
        table(reply).rows[2..].iter().map(|row| format!("{:?}", row.last().unwrap())).collect()
    };
    let first = statuses(&reply);
    let given_up = |step: &str| {
        first.iter().filter(|status| status.contains(&format!("given up at step {step}"))).count()
    };
    assert_eq!((given_up("6"), given_up("12")), (2, 1), "{first:?}");
    assert!(
        first[1].contains("step 6") && first[2].contains("step 6"),
        "the rates that learn nothing go first: {first:?}"
    );
    assert!(
        table(&reply)
            .footer
            .iter()
            .any(|line| line == "`lora lr=0.02` is what is left of 4 configurations"),
        "{:?}",
        table(&reply).footer
    );
    let again = ablate(&world, &["lora"], &keys).unwrap();
    assert_eq!(statuses(&again), first, "what was given up is not taken up again");
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
    assert_eq!(
        labels(table(&ablate(&world, &["lora"], &keys).unwrap())).pop().unwrap(),
        label,
        "what is finished keeps its rate"
    );
}
