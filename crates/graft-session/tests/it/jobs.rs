//! One job at a time, and what answers meanwhile.

use std::sync::mpsc;

use graft_protocol::{Block, Command, Event};

use crate::world::World;

#[test]
fn what_only_reads_answers_while_a_job_runs() {
    let world = World::attached();
    let (held, holding) = mpsc::channel();
    let (release, released) = mpsc::channel();
    world.ear.react(move |event| {
        if matches!(event, Event::Step(step) if step.step == 1) {
            held.send(()).unwrap();
            released.recv().unwrap();
        }
    });
    std::thread::scope(|scope| {
        let training = scope.spawn(|| world.train("steps=2 eval_every=0"));
        // From here on the job stands still in the middle of a step until it is released.
        holding.recv().unwrap();
        assert_eq!(world.session.snapshot().job.as_deref(), Some("training"));
        for command in [
            Command::Status,
            Command::Params,
            Command::ModelTree,
            Command::ModelCard,
            Command::DataShow { name: None, rows: 2 },
            Command::Seed { seed: None },
        ] {
            world.run(command).unwrap();
        }
        release.send(()).unwrap();
        training.join().unwrap().unwrap();
    });
    assert_eq!(world.session.snapshot().job, None);
    assert_eq!(world.session.interrupt(), None);
}

#[test]
fn text_is_streamed_and_answered_whole() {
    let world = World::attached();
    let text = world.text();
    let streamed: String = world
        .ear
        .events()
        .iter()
        .filter_map(|event| if let Event::Text(text) = event { Some(text.as_str()) } else { None })
        .collect();
    assert_eq!(streamed, text);
    assert!(!text.is_empty());
}

#[test]
fn the_snapshot_is_out_before_the_reply() {
    let world = World::new();
    world.load_model();
    let last = world.ear.snapshots().pop().unwrap();
    assert_eq!(
        last.model.unwrap().parameters,
        258 * 16 * 2 + 2 * (4 * 16 * 16 + 3 * 16 * 24 + 2 * 16) + 16
    );
    assert_eq!(last.job, None);
}

#[test]
fn the_status_names_everything() {
    let world = World::attached();
    let reply = world.run(Command::Status).unwrap();
    let Some(Block::Table(table)) = reply.blocks.first() else { panic!("{reply:?}") };
    let text = format!("{:?}", table.rows);
    for word in ["model", "default (lora, in use)", "colours", "seed", "cpu"] {
        assert!(text.contains(word), "{word} is missing in {text}");
    }
}
