//! What is missing is said with the line to type next, and what fails changes nothing.

use graft_protocol::{AdapterAction, Command, Event};
use graft_spec::Settings;

use crate::world::{World, keys_of};

#[test]
fn each_missing_thing_is_named_with_the_line_that_brings_it() {
    let world = World::new();
    let next = |world: &World| {
        let failure = world.train("steps=1").unwrap_err();
        (failure.code.clone(), failure.hint.unwrap_or_default())
    };
    assert_eq!(
        next(&world),
        ("session::no_model".to_owned(), "load one first: `%model load tiny`".to_owned())
    );
    world.load_model();
    assert_eq!(
        next(&world),
        ("session::no_data".to_owned(), "load some first: `%data load which-book`".to_owned())
    );
    world
        .run(Command::DataInline {
            name: "colours".to_owned(),
            text: crate::tiny::colours(),
            settings: Settings::default(),
        })
        .unwrap();
    assert_eq!(
        next(&world),
        ("session::no_adapter".to_owned(), "attach one first: `%lora attach`".to_owned())
    );
    world.attach("r=2").unwrap();
    world.train("steps=1 eval_every=0").unwrap();
}

#[test]
fn an_unknown_name_gets_the_nearest_one() {
    let world = World::attached();
    let failure = world.adapter(AdapterAction::Use { name: "defualt".to_owned() }).unwrap_err();
    assert_eq!(
        (failure.code.as_str(), failure.hint.as_deref()),
        ("session::unknown_adapter", Some("did you mean `default`? adapters: default"))
    );
    let failure = world.run(Command::DataUse { name: "colors".to_owned() }).unwrap_err();
    assert!(failure.hint.unwrap().starts_with("did you mean `colours`?"));
    let failure = world
        .run(Command::DataLoad { source: "which-bok".to_owned(), settings: Settings::default() })
        .unwrap_err();
    assert!(failure.hint.unwrap().starts_with("did you mean `which-book`?"));
    let failure = world
        .run(Command::Resume { run: Some("lora".to_owned()), settings: Settings::default() })
        .unwrap_err();
    assert_eq!(failure.code, "session::unknown_run");
}

#[test]
fn a_failed_attach_leaves_the_adapter_that_was_there() {
    let world = World::attached();
    world.train("steps=3 eval_every=0 lr=0.05").unwrap();
    let (before, text) = (world.session.snapshot(), world.text());
    for (keys, code) in [
        ("r=0", "settings::out_of_range"),
        ("r=999", "peft::rank_too_large"),
        ("target_modules=query", "peft::no_match"),
    ] {
        assert_eq!(world.attach(keys).unwrap_err().code, code, "{keys}");
        assert_eq!(world.session.snapshot(), before);
        assert_eq!(world.text(), text);
    }
}

#[test]
fn a_model_that_cannot_be_read_leaves_the_one_that_was_there() {
    let world = World::attached();
    let weights = world.folder.path().join("broken/model.safetensors");
    crate::tiny::write_model(&world.folder.path().join("broken"), 5);
    let bytes = std::fs::read(&weights).unwrap();
    std::fs::write(&weights, &bytes[..bytes.len() / 2]).unwrap();
    let before = world.session.snapshot();
    for source in ["broken", "missing"] {
        let source = world.folder.path().join(source).display().to_string();
        world.run(Command::ModelLoad { source, settings: Settings::default() }).unwrap_err();
        assert_eq!(world.session.snapshot(), before);
    }
}

#[test]
fn settings_from_rust_are_checked_as_those_of_a_magic() {
    let world = World::attached();
    let settings = Settings::default().with("stepz", graft_spec::Value::Integer(1));
    assert_eq!(
        world.run(Command::Train { attach: None, settings }).unwrap_err().code,
        "settings::unknown_key"
    );
    let settings = keys_of(graft_spec::training::EVAL, "split=tset");
    assert_eq!(world.run(Command::Eval { settings }).unwrap_err().code, "settings::no_choice");
}

#[test]
fn a_panic_becomes_a_failure_and_the_session_goes_on() {
    let world = World::attached();
    let failure = world
        .session
        .perform("panicking", |_| -> Result<(), graft_spec::Failure> { panic!("the sky fell") })
        .unwrap_err();
    assert_eq!(failure.code, "session::panic");
    assert!(failure.message.contains("the sky fell"));
    world.train("steps=1 eval_every=0").unwrap();
}

#[test]
fn a_load_that_is_stopped_leaves_the_model_before() {
    let world = World::ready();
    let before = world.text();
    let session = world.session.clone();
    world.ear.react(move |event| {
        if matches!(event, Event::Progress { label, done: 3, .. } if label == "weights") {
            session.interrupt();
        }
    });
    let failure = world
        .run(Command::ModelLoad { source: world.model_folder(), settings: Settings::default() })
        .unwrap_err();
    assert!(
        failure.code == "session::interrupted" && failure.message.contains("stopped while loading"),
        "{}",
        failure.message
    );
    assert_eq!(world.text(), before);
}
