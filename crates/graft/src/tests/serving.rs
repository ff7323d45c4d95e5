use graft_protocol::{Block, Command, Event, FromChild, ToChild};
use graft_spec::Settings;

use super::host::{Host, train};

#[test]
fn a_reply_and_its_events_have_the_number_of_the_request_and_follow_the_snapshot() {
    let mut host = Host::attached();
    let id = host.send(train(3));
    host.reply(id).unwrap();
    let steps = host
        .events
        .iter()
        .filter(|(request, event)| *request == Some(id) && matches!(event, Event::Step(_)))
        .count();
    assert_eq!(steps, 3);
    assert_eq!((host.snapshot.job.clone(), host.snapshot.adapters.len()), (None, 1));
    assert!(!host.snapshot.runs.is_empty());
}

#[test]
fn training_is_interrupted_within_a_step_and_status_replies_meanwhile() {
    let mut host = Host::attached();
    let training = host.send(train(1_000_000));
    host.wait_for(|event| matches!(event, Event::Step(_)));
    let status = host.send(Command::Status);
    let reply = host.reply(status).unwrap();
    let Some(Block::Table(table)) = reply.blocks.first() else { panic!("{reply:?}") };
    assert!(format!("{:?}", table.rows).contains("training"));
    host.write(&ToChild::Interrupt { number: 7 });
    let job = loop {
        if let FromChild::InterruptSeen { number: 7, job } = host.read() {
            break job;
        }
    };
    assert_eq!(job.as_deref(), Some("training"));
    assert_eq!(host.reply(training).unwrap_err().code, "session::interrupted");
    assert_eq!(host.snapshot.adapters.len(), 1);
}

#[test]
fn an_interrupt_of_an_idle_session_stops_no_job() {
    let mut host = Host::new();
    host.write(&ToChild::Interrupt { number: 7 });
    let seen = loop {
        match host.read() {
            FromChild::Snapshot(_) => {}
            other => break other,
        }
    };
    assert_eq!(seen, FromChild::InterruptSeen { number: 7, job: None });
}

#[test]
fn training_does_not_wait_for_a_host_that_does_not_read() {
    let mut host = Host::attached();
    host.shrink_buffer();
    // More steps than the socket and the queue can hold; nothing is read before the run has ended.
    let id = host.send(train(600));
    let lab = host.lab();
    while lab.session.snapshot().job.is_none() {
        std::thread::yield_now();
    }
    // This job is queued behind the training run.
    lab.set_seed(7).unwrap();
    host.reply(id).unwrap();
    let last =
        host.events.iter().rev().find_map(|(_, event)| {
            if let Event::Step(step) = event { Some(step.step) } else { None }
        });
    let steps = host.events.iter().filter(|(_, event)| matches!(event, Event::Step(_))).count();
    assert!(last == Some(600) && steps < 600, "{last:?}, {steps} steps arrived");
}

#[test]
fn a_failed_request_carries_its_failure() {
    let mut host = Host::new();
    let failure = host.run(Command::Eval { settings: Settings::default() }).unwrap_err();
    assert_eq!(failure.code, "session::no_model");
}
