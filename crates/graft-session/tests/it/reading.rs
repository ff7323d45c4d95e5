//! Reading commands see only the user's own model while trials or a background run use it.

use std::time::{Duration, Instant};

use graft_protocol::{AdapterAction, Block, Cell, Command, Event, Reply};
use graft_spec::{Failure, Settings, Value, training};

use crate::test_session::{TestSession, keys_of};

/// Methods that add updates, replace base weights, prepend virtual tokens, and insert layers.
const METHODS: [&str; 8] =
    ["lora", "full", "dora", "ia3", "ln_tuning", "bitfit", "prompt_tune", "bottleneck"];

fn lora(action: AdapterAction) -> Command {
    Command::Adapter { method: "lora".to_owned(), action }
}

fn eval() -> Command {
    Command::Eval { settings: keys_of(training::EVAL, "examples=8") }
}

/// Every command that reads the model, its adapters, or the data.
fn readers() -> Vec<Command> {
    let (prompt, settings) =
        ("the sky is".to_owned(), keys_of(training::GENERATE, "max_new_tokens=12"));
    vec![
        Command::Generate { prompt: prompt.clone(), settings: settings.clone() },
        eval(),
        Command::Compare { prompt, settings },
        Command::Weights { module: None },
        Command::Params,
        Command::ModelCard,
        Command::ModelTree,
        Command::Memory { of: None, settings: Settings::default() },
        Command::DataShow { name: None, rows: 3, tokens: None },
        Command::Forgetting {
            methods: Vec::new(),
            keys: vec![("domain".to_owned(), "colors".to_owned())],
        },
        lora(AdapterAction::List),
        lora(AdapterAction::Scale { name: None, factor: None }),
    ]
}

/// The reply of each command, bit for bit, without the free memory of the machine.
fn answers(test: &TestSession) -> Vec<(String, String)> {
    let said = |command: Command| {
        let name = format!("{command:?}");
        let answer = test.run(command).map(|mut reply| {
            for block in &mut reply.blocks {
                if let Block::Table(table) = block {
                    table.footer.retain(|line| {
                        !line.contains("this machine has")
                            && !line.contains("measured in the newest run")
                    });
                }
            }
            bits(&reply)
        });
        (name, answer.unwrap_or_else(|failure| format!("{}: {}", failure.code, failure.message)))
    };
    let mut all: Vec<_> = readers().into_iter().map(said).collect();
    all.push(("save".to_owned(), saved(test)));
    let active: Vec<_> = test
        .session
        .snapshot()
        .adapters
        .iter()
        .map(|adapter| (adapter.name.clone(), adapter.active))
        .collect();
    all.push(("snapshot".to_owned(), format!("{active:?}")));
    all
}

/// With every digit of every number.
fn bits(reply: &Reply) -> String {
    format!("{:?}", reply.blocks)
}

/// The weights file that `%lora save` writes.
fn saved(test: &TestSession) -> String {
    let place = test.folder.path().join("saved");
    match test.run(lora(AdapterAction::Save { name: None, directory: place.display().to_string() }))
    {
        Ok(_) => format!("{:?}", std::fs::read(place.join("adapter_model.safetensors")).unwrap()),
        Err(failure) => failure.code,
    }
}

fn grid(methods: &[&str], more: &[(&str, &str)]) -> Command {
    let keys = [("steps", "60"), ("batch", "4"), ("lr", "0.02"), ("examples", "8")];
    let others = keys.iter().filter(|(key, _)| more.iter().all(|(given, _)| given != key));
    let keys =
        others.chain(more).map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    Command::Ablate { methods: methods.iter().map(|method| (*method).to_owned()).collect(), keys }
}

/// Label, loss and accuracy of every configuration, bit for bit.
fn losses(reply: &Reply) -> Vec<String> {
    let table = reply
        .blocks
        .iter()
        .find_map(|block| if let Block::Table(table) = block { Some(table) } else { None })
        .unwrap();
    table
        .rows
        .iter()
        .map(|row| format!("{:?} {:?} {:?} {:?}", row[0], row[4], row[5], row.last().unwrap()))
        .collect()
}

fn is_comparing(test: &TestSession) -> bool {
    format!("{:?}", test.run(Command::Jobs).unwrap().blocks).contains("\"comparing\"")
}

/// The reply of the comparison in the background, once it has ended.
fn end(test: &TestSession) -> Reply {
    test.session.wait_until_idle(Duration::from_secs(300));
    test.run(Command::Watch { run: None }).unwrap()
}

/// Runs all reading commands repeatedly while the trials advance, and compares both with the
/// results that each has without the other.
fn reads_what_it_read_before(test: &TestSession, methods: &[&str], more: &[(&str, &str)]) {
    let before = answers(test);
    test.run(grid(methods, &[more, &[("bg", "true")]].concat())).unwrap();
    let mut rounds = 0;
    while is_comparing(test) && rounds < 6 {
        let now = answers(test);
        if !is_comparing(test) {
            break;
        }
        for (before, now) in before.iter().zip(&now) {
            assert_eq!(now, before);
        }
        rounds += 1;
    }
    assert!(rounds >= 2, "the comparison was over before anything was read");
    let background = end(test);
    assert_eq!(answers(test), before, "afterwards everything is as it was");
    let foreground = test.run(grid(methods, &[more, &[("fresh", "true")]].concat())).unwrap();
    assert_eq!(losses(&background), losses(&foreground));
}

#[test]
fn without_an_adapter_a_reader_sees_the_base_and_the_trials_lose_nothing() {
    reads_what_it_read_before(&TestSession::ready(), &METHODS, &[("steps", "120")]);
}

#[test]
fn a_reader_sees_the_users_adapter_at_its_scale() {
    let test = TestSession::attached();
    test.train("steps=30 lr=0.05 eval_every=0 batch=4").unwrap();
    test.run(lora(AdapterAction::Scale { name: None, factor: Some(0.5) })).unwrap();
    reads_what_it_read_before(&test, &METHODS, &[("steps", "120")]);
}

#[test]
fn a_merged_adapter_is_in_the_base_for_readers_and_not_for_trials() {
    let test = TestSession::attached();
    test.train("steps=30 lr=0.05 eval_every=0 batch=4").unwrap();
    test.run(lora(AdapterAction::Merge { name: None })).unwrap();
    reads_what_it_read_before(&test, &["lora", "full", "bitfit"], &[("steps", "400")]);
    test.run(lora(AdapterAction::Unmerge { name: None })).unwrap();
    assert!(test.session.snapshot().adapters[0].active, "it is active and unmerged again");
}

#[test]
fn readers_work_during_a_data_driven_initialization() {
    reads_what_it_read_before(
        &TestSession::attached(),
        &["lora"],
        &[("init_lora_weights", "pissa,eva,olora"), ("steps", "400")],
    );
}

#[test]
fn a_disabled_adapter_stays_disabled() {
    let test = TestSession::attached();
    test.run(lora(AdapterAction::Enable { on: false })).unwrap();
    reads_what_it_read_before(&test, &["lora", "full"], &[("steps", "400")]);
}

#[test]
fn a_reader_that_panics_or_is_interrupted_leaves_both_intact() {
    let test = TestSession::attached();
    test.train("steps=30 lr=0.05 eval_every=0 batch=4").unwrap();
    let before = answers(&test);
    test.run(grid(&METHODS, &[("bg", "true"), ("steps", "200")])).unwrap();
    // During the evaluation of the base, while the reader has disabled the user's adapter.
    test.sink.react(|event| assert!(!matches!(event, Event::Progress { label, .. } if label == "evaluating the base on colors"), "the reader falls"));
    let fallen = test.run(eval()).unwrap_err();
    assert_eq!(fallen.code, "session::panic", "{fallen}");
    test.sink.react(|_| {});
    assert_eq!(answers(&test), before);
    let session = test.session.clone();
    test.sink.react(move |event| {
        if matches!(event, Event::Progress { label, .. } if label == "evaluating the base on colors") {
            session.interrupt();
        }
    });
    assert_eq!(test.run(eval()).unwrap_err().code, "session::interrupted");
    test.sink.react(|_| {});
    assert_eq!(answers(&test), before);
    assert_eq!(
        test.session.read_model::<()>("falling", |_| panic!("at once")).unwrap_err().code,
        "session::panic"
    );
    assert!(is_comparing(&test), "the comparison is still running");
    let background = end(&test);
    let foreground = test.run(grid(&METHODS, &[("steps", "200"), ("fresh", "true")])).unwrap();
    assert_eq!(losses(&background), losses(&foreground));
    assert_eq!(answers(&test), before);
}

fn refused(result: Result<Reply, Failure>) {
    let failure = result.unwrap_err();
    assert_eq!(failure.code, "session::background", "{failure}");
    assert!(failure.hint.unwrap().contains("%stop"));
}

#[test]
fn changes_are_refused_while_trials_advance() {
    let test = TestSession::attached();
    let before = answers(&test);
    test.run(grid(&METHODS, &[("bg", "true"), ("steps", "1000000")])).unwrap();
    let name = || Some("default".to_owned());
    for action in [
        AdapterAction::Attach { settings: Settings::default() },
        AdapterAction::Detach { name: name() },
        AdapterAction::Merge { name: name() },
        AdapterAction::Scale { name: name(), factor: Some(0.0) },
        AdapterAction::Use { name: "default".to_owned() },
        AdapterAction::Enable { on: false },
    ] {
        refused(test.run(lora(action)));
    }
    refused(
        test.run(Command::ModelLoad { source: test.model_folder(), settings: Settings::default() }),
    );
    refused(test.run(Command::DataInline {
        name: "other".to_owned(),
        text: "a line".to_owned(),
        settings: Settings::default(),
    }));
    refused(test.run(Command::Seed { seed: Some(3) }));
    refused(test.train("steps=1"));
    // In the way of a Rust cell.
    let attached = test.session.state().adapter("default").unwrap();
    let scaled = test.session.perform("changing an adapter", move |cx| {
        graft_session::verbs::adapter::set_scale(cx, &attached, 0.0)
    });
    assert_eq!(scaled.unwrap_err().code, "session::background");
    assert_eq!(answers(&test), before);
    test.run(Command::Stop).unwrap();
    assert_eq!(answers(&test), before);
}

#[test]
fn a_clone_is_added_to_a_comparison_and_refused_during_another_run() {
    let test = TestSession::attached();
    test.run(grid(&["lora"], &[("steps", "2")])).unwrap();
    let clone = || Command::TrialClone { number: 1, keys: vec![("r".to_owned(), "2".to_owned())] };
    let settings = keys_of(training::TRAIN, "steps=1000000 batch=4 eval_every=0")
        .with("bg", Value::Bool(true));
    test.run(Command::Train { attach: None, settings }).unwrap();
    refused(test.run(clone()));
    test.run(Command::Stop).unwrap();
    test.run(clone()).unwrap();
}

#[test]
fn readers_do_not_change_the_losses_of_a_run() {
    let losses = |reads: bool| {
        let test = TestSession::attached();
        let settings = keys_of(training::TRAIN, "steps=300 batch=4 lr=0.01 eval_every=100")
            .with("bg", Value::Bool(true));
        test.run(Command::Train { attach: None, settings }).unwrap();
        let mut read = 0;
        while reads && test.session.snapshot().job.is_some() && read < 40 {
            for command in readers() {
                test.run(command).unwrap();
                read += 1;
            }
            saved(&test);
        }
        assert!(!reads || read > 0);
        test.session.wait_until_idle(Duration::from_secs(120));
        test.run(Command::Watch { run: None }).unwrap();
        let mut events: Vec<_> = test.sink.events();
        events.retain(|event| matches!(event, Event::RunStarted(_) | Event::Validation(_)));
        let validations: Vec<_> = events
            .iter()
            .flat_map(|event| {
                if let Event::RunStarted(started) = event {
                    started.earlier_validations.clone()
                } else {
                    Vec::new()
                }
            })
            .collect();
        let steps: Vec<(u64, u64)> = events
            .iter()
            .flat_map(|event| {
                if let Event::RunStarted(started) = event {
                    started.earlier.clone()
                } else {
                    Vec::new()
                }
            })
            .map(|step| (step.step, step.loss.to_bits()))
            .collect();
        assert_eq!(steps.len(), 300);
        (steps, format!("{validations:?}"))
    };
    assert_eq!(losses(true), losses(false));
}

#[test]
fn many_readers_and_a_run_do_not_deadlock() {
    let test = TestSession::attached();
    let settings = keys_of(training::TRAIN, "steps=1000000 batch=16 eval_every=50")
        .with("bg", Value::Bool(true));
    test.run(Command::Train { attach: None, settings }).unwrap();
    let began = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                readers()
                    .into_iter()
                    .chain(readers())
                    .for_each(|command| drop(test.run(command).unwrap()))
            });
        }
    });
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
    let step = |test: &TestSession| format!("{:?}", test.run(Command::Jobs).unwrap().blocks);
    let before = step(&test);
    std::thread::sleep(Duration::from_millis(500));
    assert_ne!(step(&test), before, "the run continues");
    test.run(Command::Stop).unwrap();
}

#[test]
fn reading_does_not_count_as_training_time() {
    let test = TestSession::attached();
    let settings = keys_of(training::TRAIN, "steps=1000000 batch=4 eval_every=0")
        .with("bg", Value::Bool(true));
    test.run(Command::Train { attach: None, settings }).unwrap();
    let spent =
        |test: &TestSession| match test.run(Command::Jobs).unwrap().blocks.into_iter().next() {
            Some(Block::Table(jobs)) => {
                if let Cell::Float(spent, _) = jobs.rows[0].last().unwrap() { *spent } else { 0.0 }
            }
            other => panic!("{other:?}"),
        };
    while spent(&test) == 0.0 {
        std::thread::yield_now();
    }
    let (before, began) = (spent(&test), Instant::now());
    let slept = test.session.read_model("thinking", |_| {
        std::thread::sleep(Duration::from_secs(3));
        Ok(())
    });
    slept.unwrap();
    test.run(Command::Stop).unwrap();
    let (spent, seconds) = (spent(&test) - before, began.elapsed().as_secs_f64());
    assert!(spent < seconds - 2.0, "{spent} of {seconds}");
}
