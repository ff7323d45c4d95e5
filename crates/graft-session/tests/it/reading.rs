//! What a reading command sees while trials advance or a training runs in the background: the user's own model, and nothing else.

use std::time::{Duration, Instant};

use graft_protocol::{AdapterAction, Block, Cell, Command, Event, Reply};
use graft_spec::{Failure, Settings, Value, training};

use crate::world::{World, keys_of};

/// Methods that add updates, exchange base weights, stand before the input and sit between layers.
const METHODS: [&str; 8] =
    ["lora", "full", "dora", "ia3", "ln_tuning", "bitfit", "prompt_tune", "bottleneck"];

fn lora(action: AdapterAction) -> Command {
    Command::Adapter { method: "lora".to_owned(), action }
}

fn eval() -> Command {
    Command::Eval { settings: keys_of(training::EVAL, "examples=8") }
}

/// Every command that reads the model, what it has attached, or the data.
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
        Command::DataShow { name: None, rows: 3 },
        Command::Forgetting {
            methods: Vec::new(),
            keys: vec![("domain".to_owned(), "colours".to_owned())],
        },
        lora(AdapterAction::List),
        lora(AdapterAction::Scale { name: None, factor: None }),
    ]
}

/// What each says, bit for bit; the memory that is left is the machine's matter.
fn answers(world: &World) -> Vec<(String, String)> {
    let said = |command: Command| {
        let name = format!("{command:?}");
        let answer = world.run(command).map(|mut reply| {
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
    all.push(("save".to_owned(), saved(world)));
    let active: Vec<_> = world
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

/// The bytes of the adapter's weights as `%lora save` writes them.
fn saved(world: &World) -> String {
    let place = world.folder.path().join("saved");
    match world
        .run(lora(AdapterAction::Save { name: None, directory: place.display().to_string() }))
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

fn is_comparing(world: &World) -> bool {
    format!("{:?}", world.run(Command::Jobs).unwrap().blocks).contains("\"compares\"")
}

/// The reply of the comparison in the background, once it has ended.
fn end(world: &World) -> Reply {
    world.session.wait_until_idle(Duration::from_secs(300));
    world.run(Command::Watch { run: None }).unwrap()
}

/// Reads everything again and again while the trials advance; in the end both are what they are without the other.
fn reads_what_it_read_before(world: &World, methods: &[&str], more: &[(&str, &str)]) {
    let before = answers(world);
    world.run(grid(methods, &[more, &[("bg", "true")]].concat())).unwrap();
    let mut rounds = 0;
    while is_comparing(world) && rounds < 6 {
        let now = answers(world);
        if !is_comparing(world) {
            break;
        }
        for (before, now) in before.iter().zip(&now) {
            assert_eq!(now, before);
        }
        rounds += 1;
    }
    assert!(rounds >= 2, "the comparison was over before anything was read");
    let background = end(world);
    assert_eq!(answers(world), before, "afterwards everything is as it was");
    let foreground = world.run(grid(methods, &[more, &[("fresh", "true")]].concat())).unwrap();
    assert_eq!(losses(&background), losses(&foreground));
}

#[test]
fn without_an_adapter_a_reader_sees_the_base_and_the_trials_lose_nothing() {
    reads_what_it_read_before(&World::ready(), &METHODS, &[("steps", "120")]);
}

#[test]
fn with_an_adapter_of_ones_own_a_reader_sees_that_one_at_its_scale() {
    let world = World::attached();
    world.train("steps=30 lr=0.05 eval_every=0 batch=4").unwrap();
    world.run(lora(AdapterAction::Scale { name: None, factor: Some(0.5) })).unwrap();
    reads_what_it_read_before(&world, &METHODS, &[("steps", "120")]);
}

#[test]
fn a_merged_adapter_is_in_the_base_for_readers_and_not_for_trials() {
    let world = World::attached();
    world.train("steps=30 lr=0.05 eval_every=0 batch=4").unwrap();
    world.run(lora(AdapterAction::Merge { name: None })).unwrap();
    reads_what_it_read_before(&world, &["lora", "full", "bitfit"], &[("steps", "400")]);
    world.run(lora(AdapterAction::Unmerge { name: None })).unwrap();
    assert!(
        world.session.snapshot().adapters[0].active,
        "it acts beside the base again, as before the merge"
    );
}

#[test]
fn an_initialisation_that_looks_at_the_base_is_no_matter_for_readers() {
    reads_what_it_read_before(
        &World::attached(),
        &["lora"],
        &[("init_lora_weights", "pissa,eva,olora"), ("steps", "400")],
    );
}

#[test]
fn a_silent_adapter_stays_silent() {
    let world = World::attached();
    world.run(lora(AdapterAction::Enable { on: false })).unwrap();
    reads_what_it_read_before(&world, &["lora", "full"], &[("steps", "400")]);
}

#[test]
fn a_reader_that_panics_or_is_interrupted_leaves_both_intact() {
    let world = World::attached();
    world.train("steps=30 lr=0.05 eval_every=0 batch=4").unwrap();
    let before = answers(&world);
    world.run(grid(&METHODS, &[("bg", "true"), ("steps", "200")])).unwrap();
    // In the middle of the evaluation of the base, when the user's adapter is switched off inside the reader.
    world.ear.react(|event| assert!(!matches!(event, Event::Progress { label, .. } if label == "evaluating the base on colours"), "the reader falls"));
    let fallen = world.run(eval()).unwrap_err();
    assert_eq!(fallen.code, "session::panic", "{fallen}");
    world.ear.react(|_| {});
    assert_eq!(answers(&world), before);
    let session = world.session.clone();
    world.ear.react(move |event| {
        if matches!(event, Event::Progress { label, .. } if label == "evaluating the base on colours") {
            session.interrupt();
        }
    });
    assert_eq!(world.run(eval()).unwrap_err().code, "session::interrupted");
    world.ear.react(|_| {});
    assert_eq!(answers(&world), before);
    assert_eq!(
        world.session.look::<()>("falling", |_| panic!("at once")).unwrap_err().code,
        "session::panic"
    );
    assert!(is_comparing(&world), "the comparison goes on");
    let background = end(&world);
    let foreground = world.run(grid(&METHODS, &[("steps", "200"), ("fresh", "true")])).unwrap();
    assert_eq!(losses(&background), losses(&foreground));
    assert_eq!(answers(&world), before);
}

fn refused(result: Result<Reply, Failure>) {
    let failure = result.unwrap_err();
    assert_eq!(failure.code, "session::background", "{failure}");
    assert!(failure.hint.unwrap().contains("%stop"));
}

#[test]
fn changes_of_the_users_own_are_refused_while_trials_advance() {
    let world = World::attached();
    let before = answers(&world);
    world.run(grid(&METHODS, &[("bg", "true"), ("steps", "1000000")])).unwrap();
    let name = || Some("default".to_owned());
    for action in [
        AdapterAction::Attach { settings: Settings::default() },
        AdapterAction::Detach { name: name() },
        AdapterAction::Merge { name: name() },
        AdapterAction::Scale { name: name(), factor: Some(0.0) },
        AdapterAction::Use { name: "default".to_owned() },
        AdapterAction::Enable { on: false },
    ] {
        refused(world.run(lora(action)));
    }
    refused(
        world.run(Command::ModelLoad {
            source: world.model_folder(),
            settings: Settings::default(),
        }),
    );
    refused(world.run(Command::DataInline {
        name: "other".to_owned(),
        text: "a line".to_owned(),
        settings: Settings::default(),
    }));
    refused(world.run(Command::Seed { seed: Some(3) }));
    refused(world.train("steps=1"));
    // As a Rust cell changes an adapter.
    let attached = world.session.state().adapter("default").unwrap();
    let scaled = world.session.perform("changing an adapter", move |desk| {
        graft_session::verbs::adapter::set_scale(desk, &attached, 0.0)
    });
    assert_eq!(scaled.unwrap_err().code, "session::background");
    assert_eq!(answers(&world), before);
    world.run(Command::Stop).unwrap();
    assert_eq!(answers(&world), before);
}

#[test]
fn a_clone_is_added_to_a_comparison_and_not_trained_beside_a_training() {
    let world = World::attached();
    world.run(grid(&["lora"], &[("steps", "2")])).unwrap();
    let clone = || Command::TrialClone { number: 1, keys: vec![("r".to_owned(), "2".to_owned())] };
    let settings = keys_of(training::TRAIN, "steps=1000000 batch=4 eval_every=0")
        .with("bg", Value::Bool(true));
    world.run(Command::Train { attach: None, settings }).unwrap();
    refused(world.run(clone()));
    world.run(Command::Stop).unwrap();
    world.run(clone()).unwrap();
}

#[test]
fn readers_between_the_steps_of_a_training_change_none_of_its_losses() {
    let losses = |reads: bool| {
        let world = World::attached();
        let settings = keys_of(training::TRAIN, "steps=300 batch=4 lr=0.01 eval_every=100")
            .with("bg", Value::Bool(true));
        world.run(Command::Train { attach: None, settings }).unwrap();
        let mut read = 0;
        while reads && world.session.snapshot().job.is_some() && read < 40 {
            for command in readers() {
                world.run(command).unwrap();
                read += 1;
            }
            saved(&world);
        }
        assert!(!reads || read > 0);
        world.session.wait_until_idle(Duration::from_secs(120));
        world.run(Command::Watch { run: None }).unwrap();
        let mut events: Vec<_> = world.ear.events();
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
fn many_readers_at_a_time_and_a_training_never_wait_for_each_other_for_ever() {
    let world = World::attached();
    let settings = keys_of(training::TRAIN, "steps=1000000 batch=16 eval_every=50")
        .with("bg", Value::Bool(true));
    world.run(Command::Train { attach: None, settings }).unwrap();
    let began = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                readers()
                    .into_iter()
                    .chain(readers())
                    .for_each(|command| drop(world.run(command).unwrap()))
            });
        }
    });
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
    let step = |world: &World| format!("{:?}", world.run(Command::Jobs).unwrap().blocks);
    let before = step(&world);
    std::thread::sleep(Duration::from_millis(500));
    assert_ne!(step(&world), before, "the training goes on");
    world.run(Command::Stop).unwrap();
}

#[test]
fn reading_takes_no_time_of_the_trainings_account() {
    let world = World::attached();
    let settings = keys_of(training::TRAIN, "steps=1000000 batch=4 eval_every=0")
        .with("bg", Value::Bool(true));
    world.run(Command::Train { attach: None, settings }).unwrap();
    let spent =
        |world: &World| match world.run(Command::Jobs).unwrap().blocks.into_iter().next() {
            Some(Block::Table(jobs)) => {
                if let Cell::Float(spent, _) = jobs.rows[0].last().unwrap() { *spent } else { 0.0 }
            }
            other => panic!("{other:?}"),
        };
    while spent(&world) == 0.0 {
        std::thread::yield_now();
    }
    let (before, began) = (spent(&world), Instant::now());
    let slept = world.session.look("thinking", |_| {
        std::thread::sleep(Duration::from_secs(3));
        Ok(())
    });
    slept.unwrap();
    world.run(Command::Stop).unwrap();
    let (spent, seconds) = (spent(&world) - before, began.elapsed().as_secs_f64());
    assert!(spent < seconds - 2.0, "{spent} of {seconds}");
}
