//! Jobs run one at a time, and reading commands meanwhile.

use std::sync::mpsc;

use graft_protocol::{Block, Command, Event};

use crate::test_session::TestSession;

#[test]
fn reading_commands_are_answered_while_a_job_runs() {
    let test = TestSession::attached();
    let (held, holding) = mpsc::channel();
    let (release, released) = mpsc::channel();
    test.sink.react(move |event| {
        if matches!(event, Event::Step(step) if step.step == 1) {
            held.send(()).unwrap();
            released.recv().unwrap();
        }
    });
    std::thread::scope(|scope| {
        let training = scope.spawn(|| test.train("steps=2 eval_every=0"));
        // From here on the job is blocked in a step until it is released.
        holding.recv().unwrap();
        assert_eq!(test.session.snapshot().job.as_deref(), Some("training"));
        for command in [
            Command::Status,
            Command::Params,
            Command::ModelTree,
            Command::ModelCard,
            Command::DataShow { name: None, rows: 2, tokens: None },
            Command::Seed { seed: None },
        ] {
            test.run(command).unwrap();
        }
        release.send(()).unwrap();
        training.join().unwrap().unwrap();
    });
    assert_eq!(test.session.snapshot().job, None);
    assert_eq!(test.session.interrupt(), None);
}

#[test]
fn text_is_streamed_and_the_reply_contains_all_of_it() {
    let test = TestSession::attached();
    let text = test.text();
    let streamed: String = test
        .sink
        .events()
        .iter()
        .filter_map(|event| if let Event::Text(text) = event { Some(text.as_str()) } else { None })
        .collect();
    assert_eq!(streamed, text);
    assert!(!text.is_empty());
}

#[test]
fn the_snapshot_is_sent_before_the_reply() {
    let test = TestSession::new();
    test.load_model();
    let last = test.sink.snapshots().pop().unwrap();
    assert_eq!(
        last.model.unwrap().parameters,
        258 * 16 * 2 + 2 * (4 * 16 * 16 + 3 * 16 * 24 + 2 * 16) + 16
    );
    assert_eq!(last.job, None);
}

#[test]
fn the_status_names_everything() {
    let test = TestSession::attached();
    let reply = test.run(Command::Status).unwrap();
    let Some(Block::Table(table)) = reply.blocks.first() else { panic!("{reply:?}") };
    let text = format!("{:?}", table.rows);
    for word in ["model", "default (lora, in use)", "colors", "seed", "cpu"] {
        assert!(text.contains(word), "{word} is missing in {text}");
    }
}
