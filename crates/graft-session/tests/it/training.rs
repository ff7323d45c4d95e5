//! Training, interrupting and resuming runs, and losses that are not finite.

use std::sync::{Arc, Mutex};

use graft_nn::{Layer, Tensor};
use graft_protocol::{AdapterAction, Command, Event, RunOutcome};
use graft_spec::{Settings, training};

use crate::test_session::{TestSession, keys_of};

#[test]
fn the_loss_falls_and_the_run_is_listed() {
    let test = TestSession::attached();
    test.train("steps=30 lr=0.05 eval_every=10").unwrap();
    let losses = test.sink.losses();
    assert_eq!(losses.len(), 30);
    assert!(losses[29].1 < losses[0].1 * 0.8, "{losses:?}");
    let events = test.sink.events();
    assert!(events.iter().any(
        |event| matches!(event, Event::RunEnded(ended) if ended.outcome == RunOutcome::Finished)
    ));
    assert_eq!(test.session.snapshot().runs, ["lora-001"]);
}

#[test]
fn prompt_tuning_attaches_and_trains_in_one_line_with_its_own_learning_rate() {
    let test = TestSession::ready();
    let keys = keys_of(graft_spec::methods::prompt_tuning::SPEC.keys, "num_virtual_tokens=4");
    let settings = keys_of(training::TRAIN, "steps=12 warmup=0 schedule=constant eval_every=0");
    test.run(Command::Train { attach: Some(("prompt_tune".to_owned(), keys)), settings }).unwrap();
    let rates: Vec<_> = test
        .sink
        .events()
        .iter()
        .filter_map(|event| if let Event::Step(step) = event { Some(step.lr) } else { None })
        .collect();
    assert_eq!(rates, vec![graft_spec::methods::prompt_tuning::SPEC.learning_rate; 12]);
    let losses = test.sink.losses();
    assert!(losses[11].1 < losses[0].1, "{losses:?}");
    assert_eq!(test.session.snapshot().adapters[0].trainable, 64);
}

#[test]
fn an_interrupt_stops_within_a_step_and_a_new_session_resumes_with_the_same_losses() {
    let whole = TestSession::attached();
    whole.train("steps=12 lr=0.02 eval_every=0 batch=4").unwrap();
    let expected = whole.sink.losses();
    drop(whole);

    let test = TestSession::attached();
    let (session, mut asked) = (test.session.clone(), false);
    test.sink.react(move |event| {
        if matches!(event, Event::Step(step) if step.step == 5) {
            assert_eq!(session.interrupt().as_deref(), Some("training"));
            asked = true;
        }
        assert!(
            !(asked && matches!(event, Event::Step(step) if step.step > 5)),
            "a step after the interrupt"
        );
    });
    let failure = test.train("steps=12 lr=0.02 eval_every=0 batch=4").unwrap_err();
    assert_eq!(
        (failure.code.as_str(), failure.hint.as_deref()),
        ("session::interrupted", Some("`%resume lora-001` continues the run"))
    );
    assert_eq!(test.session.snapshot().adapters.len(), 1);

    let restarted = test.restarted();
    assert!(restarted.session.snapshot().model.is_none());
    restarted.run(Command::Resume { run: None, settings: Settings::default() }).unwrap();
    assert_eq!(restarted.sink.losses(), expected[5..]);
    let snapshot = restarted.session.snapshot();
    assert_eq!(
        (snapshot.data.as_slice(), snapshot.adapters.len()),
        (["colors".to_owned()].as_slice(), 1)
    );
}

#[test]
fn adalora_allocates_its_ranks_also_across_an_interruption() {
    let train_for = |test: &TestSession, steps: u64| {
        let keys = keys_of(
            graft_spec::methods::adalora::SPEC.keys,
            "init_r=4 target_r=2 tinit=2 tfinal=3",
        );
        let settings =
            keys_of(training::TRAIN, &format!("steps={steps} lr=0.02 eval_every=0 batch=4"));
        test.run(Command::Train { attach: Some(("adalora".to_owned(), keys)), settings })
    };
    let pattern = |test: &TestSession| -> serde_json::Value {
        let directory = format!("{}-adalora", test.model_folder());
        let action = AdapterAction::Save { name: None, directory: directory.clone() };
        test.run(Command::Adapter { method: "adalora".to_owned(), action }).unwrap();
        let config: serde_json::Value = serde_json::from_str(
            &std::fs::read_to_string(format!("{directory}/adapter_config.json")).unwrap(),
        )
        .unwrap();
        assert_eq!(config["total_step"], 12);
        test.run(Command::Adapter {
            method: "adalora".to_owned(),
            action: AdapterAction::Load { name: None, directory },
        })
        .unwrap();
        config["rank_pattern"].clone()
    };
    let train = |test: &TestSession| train_for(test, 12);
    let whole = TestSession::ready();
    train(&whole).unwrap();
    let (expected, ranks) = (whole.sink.losses(), pattern(&whole));
    let kept = ranks
        .as_object()
        .unwrap()
        .values()
        .flat_map(|kept| kept.as_array().unwrap())
        .filter(|kept| **kept == true)
        .count();
    assert_eq!(kept, 2 * ranks.as_object().unwrap().len());
    drop(whole);

    let test = TestSession::ready();
    let session = test.session.clone();
    test.sink.react(move |event| {
        if matches!(event, Event::Step(step) if step.step == 5) {
            session.interrupt();
        }
    });
    assert_eq!(train(&test).unwrap_err().code, "session::interrupted");
    let restarted = test.restarted();
    restarted.run(Command::Resume { run: None, settings: Settings::default() }).unwrap();
    assert_eq!(restarted.sink.losses(), expected[5..]);
    assert_eq!(pattern(&restarted), ranks);
    assert_eq!(train_for(&restarted, 5).unwrap_err().code, "nn::schedule");
}

#[test]
fn a_run_that_died_before_its_first_checkpoint_is_resumed_from_its_start() {
    let whole = TestSession::attached();
    whole.train("steps=6 lr=0.02 eval_every=0").unwrap();
    let expected = whole.sink.losses();
    drop(whole);

    let test = TestSession::attached();
    test.sink
        .react(|event| assert!(!matches!(event, Event::Step(step) if step.step == 3), "death"));
    assert_eq!(test.train("steps=6 lr=0.02 eval_every=0").unwrap_err().code, "session::panic");
    let restarted = test.restarted();
    restarted.run(Command::Resume { run: None, settings: Settings::default() }).unwrap();
    assert_eq!(restarted.sink.losses(), expected);
}

#[test]
fn resuming_in_the_same_session_reuses_its_objects() {
    let test = TestSession::attached();
    test.train("steps=4 lr=0.02 eval_every=0").unwrap();
    let failure =
        test.run(Command::Resume { run: None, settings: Settings::default() }).unwrap_err();
    assert_eq!(failure.code, "train::already_done");
    let model = test.session.state().model.clone().unwrap();
    let settings = keys_of(training::TRAIN, "steps=6");
    test.run(Command::Resume { run: Some("lora-001".to_owned()), settings }).unwrap();
    assert_eq!(
        test.sink.losses().iter().map(|(step, _)| *step).collect::<Vec<_>>(),
        [1, 2, 3, 4, 5, 6]
    );
    assert!(std::sync::Arc::ptr_eq(&model, &test.session.state().model.clone().unwrap()));
}

#[test]
fn a_finished_run_is_refused_before_the_session_changes() {
    let test = TestSession::attached();
    test.train("steps=2 eval_every=0").unwrap();
    let restarted = test.restarted();
    let failure =
        restarted.run(Command::Resume { run: None, settings: Settings::default() }).unwrap_err();
    assert_eq!(
        (failure.code.as_str(), failure.hint.as_deref()),
        ("train::already_done", Some("train for more steps: %resume lora-001 steps=4"))
    );
    let snapshot = restarted.session.snapshot();
    assert!(snapshot.model.is_none() && snapshot.data.is_empty() && snapshot.adapters.is_empty());
}

#[test]
fn a_run_that_stopped_early_is_refused_without_touching_the_best_weights() {
    let test = TestSession::attached();
    // Every step makes the model worse, so the first validation after a step is the best.
    let keys = "steps=40 lr=3 warmup=0 schedule=constant max_grad_norm=0 eval_every=1 \
                eval_examples=2 early_stopping=2 load_best=true";
    test.train(keys).unwrap();
    let best = test.text();
    let failure =
        test.run(Command::Resume { run: None, settings: Settings::default() }).unwrap_err();
    assert_eq!(failure.code, "train::stopped_early");
    assert_eq!(test.text(), best);
}

#[test]
fn epochs_of_a_resumed_run_count_rows_with_the_model_of_the_run() {
    let test = TestSession::attached();
    test.train("epochs=1 packing=true batch=2 eval_every=0").unwrap();
    let steps = test.sink.losses().len();
    let restarted = test.restarted();
    let settings = keys_of(training::TRAIN, "epochs=2");
    restarted.run(Command::Resume { run: None, settings }).unwrap();
    assert_eq!(restarted.sink.losses().len(), steps, "the second epoch is as long as the first");
}

#[test]
fn an_epoch_counts_the_examples_that_are_trained_on() {
    let test = TestSession::attached();
    // The answers of two conversations are beyond the 64 tokens of the model.
    let rows = (0..6).map(|row| {
        let question = if row < 2 { "x".repeat(80) } else { "ab".to_owned() };
        serde_json::json!({"messages": [{"role": "user", "content": question},
            {"role": "assistant", "content": "cd"}], "split": "train"})
        .to_string()
    });
    let text = rows.collect::<Vec<_>>().join("\n");
    let settings = keys_of(training::DATA, "chat_template=plain");
    test.run(Command::DataInline { name: "some".to_owned(), text, settings }).unwrap();
    test.train("epochs=3 batch=1 eval_every=0").unwrap();
    let notes = format!("{:?}", test.sink.events());
    assert!(notes.contains("2 of 6 training examples have no token with loss"), "{notes}");
    assert!(notes.contains("3 epochs of 4 examples: 12 steps"), "{notes}");
    assert_eq!(test.sink.losses().len(), 12);
}

#[test]
fn resuming_on_other_data_is_refused() {
    let test = TestSession::attached();
    test.train("steps=2 eval_every=0").unwrap();
    let failure = test
        .run(Command::Resume {
            run: None,
            settings: keys_of(training::TRAIN, "steps=4 data=other"),
        })
        .unwrap_err();
    assert_eq!(
        (failure.code.as_str(), failure.message.as_str()),
        (
            "session::other_data",
            "run `lora-001` was trained on `colors`, and a resumed run keeps its data"
        )
    );
}

#[test]
fn resuming_on_other_weights_is_refused() {
    let test = TestSession::attached();
    test.train("steps=2 eval_every=0").unwrap();
    crate::tiny::write_model(&test.folder.path().join("model"), 99);
    let restarted = test.restarted();
    let failure = restarted
        .run(Command::Resume { run: None, settings: keys_of(training::TRAIN, "steps=4") })
        .unwrap_err();
    assert_eq!(failure.code, "session::other_model");
    assert!(restarted.session.snapshot().model.is_none());
}

#[test]
fn a_nan_loss_stops_the_run_and_keeps_the_last_good_adapter() {
    let test = TestSession::attached();
    let model = test.session.state().model.clone().unwrap().loaded.model.clone();
    let poisoned = model.clone();
    let good = {
        let norm = norm_of(model.as_ref());
        norm.clone()
    };
    let last_good = Arc::new(Mutex::new(Vec::new()));
    let (session, kept) = (test.session.clone(), last_good.clone());
    test.sink.react(move |event| {
        if matches!(event, Event::Step(step) if step.step == 2) {
            *kept.lock().unwrap() = adapter_of(&session);
        }
        if matches!(event, Event::Step(step) if step.step == 3) {
            set_norm(
                poisoned.as_ref(),
                &Tensor::full(f32::NAN, good.dims(), good.device()).unwrap(),
            );
        }
    });
    let good = norm_of(model.as_ref());
    let failure = test.train("steps=9 eval_every=0").unwrap_err();
    assert_eq!(failure.code, "train::not_finite");
    assert!(failure.message.contains("step 4"), "{}", failure.message);
    set_norm(model.as_ref(), &good);
    assert_eq!(adapter_of(&test.session), *last_good.lock().unwrap());
    test.sink.react(|_| {});
    test.train("steps=2 eval_every=0").unwrap();
}

fn adapter_of(session: &graft_session::Session) -> Vec<Vec<f32>> {
    let state = session.state().adapters[0].adapter.state().unwrap();
    state.into_values().map(|tensor| tensor.flatten_all().unwrap().to_vec1().unwrap()).collect()
}

fn norm_of(model: &dyn graft_nn::Model) -> Tensor {
    let norm = model.sites().iter().find_map(|site| {
        if let Layer::Norm(norm) = site.layer { Some(norm.weight().tensor()) } else { None }
    });
    norm.unwrap()
}

fn set_norm(model: &dyn graft_nn::Model, weight: &Tensor) {
    let sites = model.sites();
    let norm = sites
        .iter()
        .find_map(|site| if let Layer::Norm(norm) = site.layer { Some(norm) } else { None });
    norm.unwrap().weight().set(weight.clone()).unwrap();
}

#[test]
fn an_automatic_batch_is_as_large_as_the_data_and_is_kept_by_resume() {
    let test = TestSession::attached();
    test.train("steps=2 batch=auto eval_every=0").unwrap();
    let said = test.sink.events().into_iter().find_map(|event| match event {
        Event::Note { text, .. } if text.starts_with("batch=auto:") => Some(text),
        _ => None,
    });
    let data = test.session.state().data[0].dataset.train.len().min(64);
    assert!(
        said.as_ref().is_some_and(|said| said.starts_with(&format!("batch=auto: {data} examples"))),
        "{said:?}"
    );
    let resumed =
        test.run(Command::Resume { run: None, settings: keys_of(training::TRAIN, "steps=4") });
    assert!(resumed.is_ok(), "{resumed:?}");
    let refused = test
        .run(Command::Resume {
            run: None,
            settings: keys_of(training::TRAIN, "steps=6 batch=auto"),
        })
        .unwrap_err();
    assert_eq!(refused.code, "session::other_batch");
}
