//! Errors name the command to type next, and failed commands change nothing.

use graft_protocol::{AdapterAction, Command, Event};
use graft_spec::Settings;

use crate::test_session::{TestSession, keys_of};

#[test]
fn each_missing_object_is_reported_with_the_command_that_creates_it() {
    let test = TestSession::new();
    let next = |test: &TestSession| {
        let failure = test.train("steps=1").unwrap_err();
        (failure.code.clone(), failure.hint.unwrap_or_default())
    };
    assert_eq!(
        next(&test),
        ("session::no_model".to_owned(), "load one first: `%model load tiny`".to_owned())
    );
    test.load_model();
    assert_eq!(
        next(&test),
        ("session::no_data".to_owned(), "load some first: `%data load which-book`".to_owned())
    );
    test.run(Command::DataInline {
        name: "colors".to_owned(),
        text: crate::tiny::colors(),
        settings: Settings::default(),
    })
    .unwrap();
    assert_eq!(
        next(&test),
        ("session::no_adapter".to_owned(), "attach one first: `%lora attach`".to_owned())
    );
    test.attach("r=2").unwrap();
    test.train("steps=1 eval_every=0").unwrap();
}

#[test]
fn an_unknown_name_gets_the_nearest_one() {
    let test = TestSession::attached();
    let failure = test.adapter(AdapterAction::Use { name: "defualt".to_owned() }).unwrap_err();
    assert_eq!(
        (failure.code.as_str(), failure.hint.as_deref()),
        ("session::unknown_adapter", Some("did you mean `default`? adapters: default"))
    );
    let failure = test.run(Command::DataUse { name: "colrs".to_owned() }).unwrap_err();
    assert!(failure.hint.unwrap().starts_with("did you mean `colors`?"));
    let failure = test
        .run(Command::DataLoad { source: "which-bok".to_owned(), settings: Settings::default() })
        .unwrap_err();
    assert!(failure.hint.unwrap().starts_with("did you mean `which-book`?"));
    let failure = test
        .run(Command::Resume { run: Some("lora".to_owned()), settings: Settings::default() })
        .unwrap_err();
    assert_eq!(failure.code, "session::unknown_run");
}

#[test]
fn a_failed_attach_keeps_the_previous_adapter() {
    let test = TestSession::attached();
    test.train("steps=3 eval_every=0 lr=0.05").unwrap();
    let (before, text) = (test.session.snapshot(), test.text());
    for (keys, code) in [
        ("r=0", "settings::out_of_range"),
        ("r=999", "peft::rank_too_large"),
        ("target_modules=query", "peft::no_match"),
    ] {
        assert_eq!(test.attach(keys).unwrap_err().code, code, "{keys}");
        assert_eq!(test.session.snapshot(), before);
        assert_eq!(test.text(), text);
    }
}

#[test]
fn a_failed_load_keeps_the_previous_model() {
    let test = TestSession::attached();
    let weights = test.folder.path().join("broken/model.safetensors");
    crate::tiny::write_model(&test.folder.path().join("broken"), 5);
    let bytes = std::fs::read(&weights).unwrap();
    std::fs::write(&weights, &bytes[..bytes.len() / 2]).unwrap();
    let before = test.session.snapshot();
    for source in ["broken", "missing"] {
        let source = test.folder.path().join(source).display().to_string();
        test.run(Command::ModelLoad { source, settings: Settings::default() }).unwrap_err();
        assert_eq!(test.session.snapshot(), before);
    }
}

#[test]
fn settings_from_rust_are_checked_like_those_of_a_magic() {
    let test = TestSession::attached();
    let settings = Settings::default().with("stepz", graft_spec::Value::Integer(1));
    assert_eq!(
        test.run(Command::Train { attach: None, settings }).unwrap_err().code,
        "settings::unknown_key"
    );
    let settings = keys_of(graft_spec::training::EVAL, "split=tset");
    assert_eq!(test.run(Command::Eval { settings }).unwrap_err().code, "settings::no_choice");
}

#[test]
fn a_panic_becomes_a_failure_and_the_session_stays_usable() {
    let test = TestSession::attached();
    let failure = test
        .session
        .perform("panicking", |_| -> Result<(), graft_spec::Failure> { panic!("the sky fell") })
        .unwrap_err();
    assert_eq!(failure.code, "session::panic");
    assert!(failure.message.contains("the sky fell"));
    test.train("steps=1 eval_every=0").unwrap();
}

#[test]
fn a_stopped_load_keeps_the_previous_model() {
    let test = TestSession::ready();
    let before = test.text();
    let session = test.session.clone();
    test.sink.react(move |event| {
        if matches!(event, Event::Progress { label, done: 3, .. } if label == "weights") {
            session.interrupt();
        }
    });
    let failure = test
        .run(Command::ModelLoad { source: test.model_folder(), settings: Settings::default() })
        .unwrap_err();
    assert!(
        failure.code == "session::interrupted" && failure.message.contains("stopped while loading"),
        "{}",
        failure.message
    );
    assert_eq!(test.text(), before);
}
