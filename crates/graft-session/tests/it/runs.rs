//! Runs: their lineage, weights and locks, and sessions without a writable folder.
#![allow(unsafe_code)]

use std::path::PathBuf;

use graft_magic::{PartKind, parse_cell, script_cells};
use graft_protocol::{AdapterAction, Block, Cell, Command, Event, Reply, RunsAction, Snapshot};
use graft_spec::{Failure, Settings, training};
use graft_train::runs::{RunFolder, Start};

use crate::test_session::{TestSession, keys_of};

/// Types a cell.
fn typed(test: &TestSession, text: &str) -> Result<Vec<Reply>, Failure> {
    let parts = parse_cell(text, &Snapshot::default())?;
    let run = |kind| match kind {
        PartKind::Session(command) => test.run(command),
        other => panic!("{other:?} is not a command of the session"),
    };
    parts.into_iter().map(|part| run(part.kind)).collect()
}

fn said(replies: &[Reply]) -> String {
    format!("{replies:?}")
}

fn runs(test: &TestSession) -> PathBuf {
    test.folder.path().join("runs")
}

fn folder(test: &TestSession, run: &str) -> RunFolder {
    RunFolder::open(&runs(test), Some(run)).unwrap()
}

/// The losses of a run, from its ledger.
fn losses(test: &TestSession, run: &str) -> Vec<f64> {
    folder(test, run).record().unwrap().steps.iter().map(|step| step.loss).collect()
}

/// The weights of the adapter in use.
fn weights(test: &TestSession) -> Vec<Vec<f32>> {
    let state = test.session.state();
    let tensors = state.adapter_in_use().unwrap().adapter.state().unwrap();
    tensors.into_values().map(|tensor| tensor.flatten_all().unwrap().to_vec1().unwrap()).collect()
}

/// Exports a run, replays the file in a new session, and returns the name of the last replayed run.
fn replayed(test: TestSession, run: &str) -> (TestSession, String) {
    let file = test.folder.path().join("again.graft");
    typed(&test, &format!("%runs export {run} {}", file.display())).unwrap();
    let script = std::fs::read_to_string(&file).unwrap();
    let test = test.restarted();
    for cell in script_cells(&script) {
        typed(&test, &cell).unwrap_or_else(|failure| panic!("{failure}\n{script}"));
    }
    let last = test.session.snapshot().runs[0].clone();
    assert_ne!(last, run);
    (test, last)
}

#[test]
fn a_continued_run_is_exported_with_the_run_it_continues() {
    let test = TestSession::attached();
    typed(&test, "%train steps=6 lr=0.05 batch=4\n%seed 3\n%train steps=4 lr=0.01 batch=4")
        .unwrap();
    let expected = losses(&test, "lora-002");
    let start = folder(&test, "lora-002").header().unwrap().start;
    assert_eq!(start, Some(Start::Run { run: "lora-001".to_owned(), step: 6 }));
    let listed =
        said(&typed(&test, "%runs\n%runs diff lora-001 lora-002\n%runs show lora-002").unwrap());
    assert!(
        listed.contains("lora-001, step 6") && listed.contains("fresh weights, seed 0"),
        "{listed}"
    );
    let (test, last) = replayed(test, "lora-002");
    assert_eq!((last.as_str(), losses(&test, &last)), ("lora-004", expected));
}

#[test]
fn a_run_that_continued_a_best_step_is_exported_with_its_saved_weights() {
    let test = TestSession::attached();
    typed(
        &test,
        "%train steps=6 lr=0.3 batch=4 eval_every=2\n%lora scale 0.5\n%train steps=3 batch=4",
    )
    .unwrap();
    // The scale has changed since the first run: both runs are repeated with their own scales.
    let expected = losses(&test, "lora-002");
    typed(&test, "%runs use lora-001 step=last\n%train steps=2 lr=0.01 batch=4 eval_every=0")
        .unwrap();
    typed(
        &test,
        "%runs use lora-002 step=start name=other\n%train steps=2 lr=0.01 batch=4 eval_every=0",
    )
    .unwrap();
    let other = losses(&test, "lora-004");
    let (test, last) = replayed(test, "lora-002");
    assert_eq!(losses(&test, &last), expected);
    // The run that it continues can no longer be repeated, so its saved start weights are used.
    std::fs::remove_dir_all(runs(&test).join("lora-001")).unwrap();
    let (test, last) = replayed(test, "lora-004");
    assert_eq!(losses(&test, &last), other);
    let script = std::fs::read_to_string(test.folder.path().join("again.graft")).unwrap();
    assert!(script.contains("%runs use lora-004 step=start"), "{script}");
}

#[test]
fn weights_changed_by_a_cell_are_not_exported_as_fresh() {
    let test = TestSession::attached();
    let trainables = test.session.state().adapters[0].adapter.trainables();
    trainables[0].var.set(&(trainables[0].var.as_tensor() * 2.0).unwrap()).unwrap();
    test.train("steps=2 batch=4 eval_every=0").unwrap();
    let expected = losses(&test, "lora-001");
    assert!(
        matches!(folder(&test, "lora-001").header().unwrap().start, Some(Start::Other { what }) if what.contains("changed since"))
    );
    let (test, last) = replayed(test, "lora-001");
    assert_eq!(losses(&test, &last), expected);
}

#[test]
fn a_trial_is_exported_with_the_seed_of_its_weights_and_its_weights_are_attached() {
    let test = TestSession::ready();
    let reply =
        typed(&test, "%ablate lora r=1,2 seeds=2 steps=6 lr=0.02 batch=4 examples=8").unwrap();
    assert!(
        said(&reply).contains("lora r=2: `%runs use lora-002`, `%runs use lora-004`"),
        "{}",
        said(&reply)
    );
    typed(&test, "%runs use lora-004").unwrap();
    assert_eq!(test.session.snapshot().adapters[0].name, "lora-004");
    let kept = folder(&test, "lora-004").checkpoints().pop().unwrap().adapter().unwrap();
    let kept: Vec<Vec<f32>> =
        kept.into_values().map(|tensor| tensor.flatten_all().unwrap().to_vec1().unwrap()).collect();
    assert_eq!(weights(&test), kept);
    let expected = losses(&test, "lora-004");
    let (test, last) = replayed(test, "lora-004");
    assert_eq!(losses(&test, &last), expected);
}

#[test]
fn a_run_that_was_resumed_with_more_steps_is_exported_with_both() {
    let test = TestSession::attached();
    typed(&test, "%train steps=3 lr=0.05 batch=4 eval_every=0\n%resume steps=6").unwrap();
    let expected = losses(&test, "lora-001");
    assert!(
        said(&typed(&test, "%runs show lora-001").unwrap())
            .contains("Text(\"steps\"), Text(\"6\")")
    );
    let (test, last) = replayed(test, "lora-001");
    assert_eq!(losses(&test, &last), expected);
}

#[test]
fn the_best_weights_and_the_last_ones_are_attached_in_a_new_session() {
    let test = TestSession::attached();
    let (session, mut best) = (test.session.clone(), f64::INFINITY);
    let kept = std::sync::Arc::new(std::sync::Mutex::new((0, Vec::new())));
    let seen = kept.clone();
    test.sink.react(move |event| {
        if let Event::Validation(found) = event
            && found.step > 0
            && found.loss < best
        {
            best = found.loss;
            let state = session.state().adapters[0].adapter.state().unwrap();
            *seen.lock().unwrap() = (
                found.step,
                state
                    .into_values()
                    .map(|tensor| tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap())
                    .collect(),
            );
        }
    });
    test.train("steps=6 lr=0.1 eval_every=1 batch=4").unwrap();
    // With a rate that is far too large the loss rises again.
    typed(&test, "%resume steps=12 lr=30 schedule=constant warmup=0 eval_every=1").unwrap();
    let (step, best) = kept.lock().unwrap().clone();
    let last = weights(&test);
    assert!(step <= 6, "the last step is the best one: the test shows nothing");
    let test = test.restarted();
    let told = said(&typed(&test, "%runs use lora-001").unwrap());
    assert!(
        told.contains(&format!(
            "weights of `lora-001` after step {step} of 6, lowest validation loss"
        )),
        "{told}"
    );
    assert_eq!(weights(&test), best);
    typed(&test, "%runs use lora-001 step=last as=final").unwrap();
    assert_eq!((weights(&test), test.session.snapshot().adapters.len()), (last, 2));
    let folders = std::fs::read_dir(runs(&test).join("lora-001"))
        .unwrap()
        .flatten()
        .filter(|entry| entry.path().is_dir())
        .count();
    assert!(folders <= 3, "two checkpoints and the best weights");
}

#[test]
fn missing_weights_are_refused_with_a_list_of_the_saved_ones() {
    let test = TestSession::attached();
    test.train("steps=4 eval_every=0 batch=4").unwrap();
    let before = weights(&test);
    let failure = typed(&test, "%runs use lora-001 step=3").unwrap_err();
    assert_eq!(
        (failure.code.as_str(), failure.message.as_str(), failure.hint.as_deref()),
        (
            "train::no_weights",
            "run `lora-001` has no weights of step 3",
            Some("saved: `%runs use lora-001 step=0`, `%runs use lora-001 step=4`")
        )
    );
    assert_eq!(typed(&test, "%runs use lora-001 step=best").unwrap_err().code, "train::no_weights");
    assert_eq!(
        typed(&test, "%runs use lora-001 step=first").unwrap_err().code,
        "settings::no_choice"
    );
    assert_eq!(typed(&test, "%runs use lora-01").unwrap_err().code, "session::unknown_run");
    assert_eq!(weights(&test), before);
    typed(&test, "%runs use lora-001 step=4").unwrap();
    assert_eq!(weights(&test), before);
}

#[test]
fn weights_that_do_not_fit_keep_the_previous_adapter() {
    let test = TestSession::attached();
    test.train("steps=2 eval_every=0 batch=4").unwrap();
    let text = test.text();
    let checkpoint = folder(&test, "lora-001").checkpoints().pop().unwrap();
    let file = checkpoint.path().join("checkpoint.json");
    let other = std::fs::read_to_string(&file)
        .unwrap()
        .replace("\"r\": {\n          \"Integer\": 2", "\"r\": {\n          \"Integer\": 3");
    std::fs::write(&file, &other).unwrap();
    assert!(other.contains("\"Integer\": 3"), "{other}");
    assert_eq!(typed(&test, "%runs use lora-001").unwrap_err().code, "train::checkpoint");
    assert_eq!(test.text(), text);
    test.train("steps=1 eval_every=0 batch=4").unwrap();
}

#[test]
fn another_loaded_model_is_kept_and_the_hint_works() {
    let test = TestSession::attached();
    test.train("steps=2 eval_every=0 batch=4").unwrap();
    crate::tiny::write_model(&test.folder.path().join("other"), 9);
    let other = test.folder.path().join("other").display().to_string();
    test.run(Command::ModelLoad { source: other.clone(), settings: Settings::default() }).unwrap();
    let failure = typed(&test, "%runs use lora-001").unwrap_err();
    assert_eq!(failure.code, "session::other_model");
    let hint = failure.hint.unwrap();
    let lines: Vec<_> = hint.split('`').filter(|part| part.starts_with('%')).collect();
    assert_eq!(lines.len(), 2, "{hint}");
    lines.iter().for_each(|line| drop(typed(&test, line).unwrap()));
}

#[test]
fn a_runs_folder_is_not_an_adapter_and_the_hint_attaches_it() {
    let test = TestSession::attached();
    test.train("steps=2 eval_every=0 batch=4").unwrap();
    let trained = weights(&test);
    let run = runs(&test).join("lora-001");
    for path in [run.clone(), run.join("checkpoint-00000002")] {
        let failure = typed(&test, &format!("%lora load {}", path.display())).unwrap_err();
        assert_eq!(
            failure.hint.as_deref(),
            Some("`%runs use lora-001` attaches its weights"),
            "{failure}"
        );
    }
    test.attach("r=2 lora_alpha=4").unwrap();
    typed(&test, "%runs use lora-001").unwrap();
    assert_eq!(weights(&test), trained);
    let elsewhere = test.folder.path().join("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    std::fs::rename(&run, elsewhere.join("lora-001")).unwrap();
    let failure =
        typed(&test, &format!("%lora load {}", elsewhere.join("lora-001").display())).unwrap_err();
    let hint = failure.hint.unwrap();
    test.attach("r=2 lora_alpha=4").unwrap();
    typed(&test, hint.split('`').nth(1).unwrap()).unwrap();
    assert_eq!(weights(&test), trained);
}

#[test]
fn removing_a_trained_adapter_reports_how_to_restore_it() {
    let test = TestSession::attached();
    test.train("steps=4 lr=0.1 eval_every=2 batch=4").unwrap();
    let text = test.text();
    let back = |replies: Vec<Reply>| {
        let told = said(&replies);
        let line = told
            .split('`')
            .find(|part| part.starts_with("%runs use"))
            .unwrap_or_else(|| panic!("{told}"))
            .to_owned();
        typed(&test, &line).unwrap();
        assert_eq!(test.text(), text, "{line}");
    };
    back(vec![test.attach("r=1").unwrap()]);
    back(vec![test.adapter(AdapterAction::Detach { name: None }).unwrap()]);
    let saved = test.folder.path().join("saved").display().to_string();
    typed(&test, &format!("%lora save {saved}")).unwrap();
    back(typed(&test, &format!("%lora load {saved}")).unwrap());
    let untrained =
        said(&[test.attach("r=1 name=fresh").unwrap(), test.attach("r=1 name=fresh").unwrap()]);
    assert!(
        untrained.contains("replaced `fresh`") && !untrained.contains("%runs use"),
        "{untrained}"
    );
    let model = said(&[test
        .run(Command::ModelLoad { source: test.model_folder(), settings: Settings::default() })
        .unwrap()]);
    assert!(
        model.contains("`default`: `%runs use lora-001") && model.contains("after %model load"),
        "{model}"
    );
}

#[test]
fn resuming_an_earlier_run_reports_how_to_restore_the_later_weights() {
    let test = TestSession::attached();
    typed(
        &test,
        "%train steps=2 lr=0.1 eval_every=0 batch=4\n%train steps=2 lr=0.1 eval_every=0 batch=4",
    )
    .unwrap();
    let later = weights(&test);
    typed(&test, "%resume lora-001 steps=3").unwrap();
    let notes =
        test.sink.events().into_iter().filter_map(|event| {
            if let Event::Note { text, .. } = event { Some(text) } else { None }
        });
    let told = notes.into_iter().find(|text| text.contains("with those of `lora-001`")).unwrap();
    typed(&test, told.split('`').find(|part| part.starts_with("%runs use")).unwrap()).unwrap();
    assert_eq!(weights(&test), later);
}

#[test]
fn a_run_is_not_resumed_on_changed_data() {
    let test = TestSession::new();
    test.load_model();
    let file = test.folder.path().join("colors.jsonl");
    std::fs::write(&file, crate::tiny::colors()).unwrap();
    typed(
        &test,
        &format!(
            "%data load {}\n%lora attach r=2\n%train steps=2 eval_every=0 batch=4",
            file.display()
        ),
    )
    .unwrap();
    std::fs::write(&file, crate::tiny::colors().replace("sky", "sea")).unwrap();
    let test = test.restarted();
    let failure = typed(&test, "%resume lora-001 steps=4").unwrap_err();
    let recorded = folder(&test, "lora-001").header().unwrap().data_fingerprint;
    assert_eq!(failure.code, "session::changed_data");
    assert!(
        failure.message.contains(&recorded) && failure.message.contains("colors.jsonl"),
        "{failure}"
    );
    let snapshot = test.session.snapshot();
    assert!(snapshot.model.is_none() && snapshot.data.is_empty(), "nothing has changed");
    let hint = failure.hint.unwrap();
    let lines: Vec<String> = hint
        .split('`')
        .filter(|part| part.starts_with("%runs use") || *part == "%train")
        .map(str::to_owned)
        .collect();
    assert_eq!(lines, ["%runs use lora-001", "%train"]);
    typed(
        &test,
        &format!(
            "%data load {}\n{}\n%train steps=2 eval_every=0 batch=4",
            file.display(),
            lines[0]
        ),
    )
    .unwrap();
    assert_eq!(
        folder(&test, "lora-002").header().unwrap().start,
        Some(Start::Run { run: "lora-001".to_owned(), step: 2 })
    );
    std::fs::write(&file, crate::tiny::colors()).unwrap();
    typed(&test, "%resume lora-001 steps=4").unwrap();
}

#[test]
fn resuming_restores_scale_and_seed_of_the_adapter() {
    let train = |test: &TestSession| {
        typed(
            test,
            "%seed 5\n%vera attach r=2\n%vera scale 0.5\n%seed 8\n%train steps=6 lr=0.05 batch=4 eval_every=0",
        )
    };
    let whole = TestSession::ready();
    train(&whole).unwrap();
    let expected = losses(&whole, "vera-001");
    drop(whole);
    let test = TestSession::ready();
    let session = test.session.clone();
    test.sink.react(move |event| {
        if matches!(event, Event::Step(step) if step.step == 3) {
            session.interrupt();
        }
    });
    assert_eq!(train(&test).unwrap_err().code, "session::interrupted");
    let test = test.restarted();
    typed(&test, "%resume").unwrap();
    assert_eq!(losses(&test, "vera-001"), expected);
}

#[test]
fn a_run_in_use_is_neither_resumed_nor_compared_again() {
    let test = TestSession::attached();
    test.train("steps=2 eval_every=0 batch=4").unwrap();
    let lock = folder(&test, "lora-001").lock().unwrap();
    let failure = typed(&test, "%resume lora-001 steps=4").unwrap_err();
    assert_eq!(failure.code, "train::in_use");
    assert!(
        failure
            .message
            .contains(&format!("`lora-001` is being trained by process {}", std::process::id())),
        "{failure}"
    );
    drop(lock);
    typed(&test, "%resume lora-001 steps=4").unwrap();

    let line = "%ablate lora r=1 steps=8 lr=0.02 batch=4 examples=8";
    let session = test.session.clone();
    test.sink.react(move |event| {
        if matches!(event, Event::Progress { label, done: 1.., .. } if label.starts_with("trial 1"))
        {
            session.interrupt();
        }
    });
    let stopped = typed(&test, line);
    test.sink.react(|_| {});
    assert_eq!(stopped.unwrap_err().code, "session::interrupted");
    let trial = test.session.snapshot().runs[0].clone();
    let lock = folder(&test, &trial).lock().unwrap();
    let listed = said(&typed(&test, "%runs").unwrap());
    let failure = typed(&test, line).unwrap_err();
    assert_eq!(failure.code, "train::in_use");
    assert!(failure.message.contains(&trial), "{failure} {listed}");
    drop(lock);
    typed(&test, line).unwrap();
}

#[test]
fn a_killed_trial_is_resumed_by_the_same_line() {
    let test = TestSession::ready();
    let line = "%ablate lora r=1 steps=8 lr=0.02 batch=4 examples=8";
    typed(&test, line).unwrap();
    let expected = losses(&test, "lora-001");
    std::fs::remove_file(test.folder.path().join("ablations.jsonl")).unwrap();
    let ledger = runs(&test).join("lora-001/ledger.jsonl");
    let text = std::fs::read_to_string(&ledger).unwrap();
    let killed: String = text
        .lines()
        .filter(|line| !line.starts_with("{\"ended\""))
        .map(|line| format!("{line}\n"))
        .collect();
    std::fs::write(&ledger, killed).unwrap();
    typed(&test, line).unwrap();
    assert_eq!(std::fs::read_dir(runs(&test)).unwrap().count(), 1, "the killed run is resumed");
    assert_eq!(losses(&test, "lora-001"), expected);
}

#[test]
fn training_on_top_of_another_adapter_is_refused() {
    let test = TestSession::attached();
    typed(&test, "%lora merge\n%lora attach r=2 name=b\n%lora unmerge default").unwrap();
    let both = test.session.snapshot().adapters.iter().filter(|adapter| adapter.active).count();
    if both == 2 {
        let failure = test.train("steps=2 eval_every=0").unwrap_err();
        assert_eq!(failure.code, "session::other_active");
        let hint = failure.hint.unwrap();
        typed(&test, hint.split('`').nth(1).unwrap()).unwrap();
    }
    test.train("steps=2 eval_every=0 batch=4").unwrap();
}

#[test]
fn without_a_writable_folder_runs_stay_in_memory_with_a_warning() {
    let test = TestSession::attached();
    let home = std::env::var_os("HOME");
    let here = std::env::current_dir().unwrap();
    // SAFETY: tests that read or write the environment hold the lock.
    unsafe {
        std::env::remove_var("GRAFT_RUNS");
        std::env::remove_var("XDG_DATA_HOME");
        std::env::set_var("HOME", "/proc/self");
    }
    std::env::set_current_dir("/proc/self").unwrap();
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| in_memory(&test)));
    std::env::set_current_dir(here).unwrap();
    // SAFETY: as above.
    unsafe {
        home.map_or_else(|| std::env::remove_var("HOME"), |home| std::env::set_var("HOME", home));
    }
    outcome.unwrap();
}

fn in_memory(test: &TestSession) {
    test.train("steps=3 lr=0.05 batch=4 eval_every=0").unwrap();
    let warned = test.sink.events().into_iter().any(
        |event| matches!(event, Event::Note { level: graft_protocol::Level::Warning, text } if text.contains("kept in memory") && text.contains("%lora save DIR")),
    );
    assert!(warned, "{:?}", test.sink.events());
    let listed = said(&typed(test, "%runs").unwrap());
    assert!(
        listed.contains("lora-001") && listed.contains("lost when this session ends"),
        "{listed}"
    );
    typed(test, "%resume steps=5\n%runs use lora-001").unwrap();
    let file = test.folder.path().join("run.csv");
    let export = format!("%runs export lora-001 {}", file.display());
    assert!(!said(&typed(test, &export).unwrap()).contains("replaced"));
    assert!(said(&typed(test, &export).unwrap()).contains("replaced the existing file"));
    assert_eq!(std::fs::read_to_string(file).unwrap().lines().count(), 6);
    typed(test, "%ablate lora r=1 steps=4 lr=0.02 batch=4 examples=8").unwrap();
}

#[test]
fn reading_a_long_ledger_can_be_stopped_and_a_long_curve_is_thinned() {
    let test = TestSession::new();
    let run = RunFolder::create(&runs(&test), "long").unwrap();
    let step = |number: u64| {
        format!(
            "{{\"step\":{{\"step\":{number},\"loss\":1.5,\"lr\":0.1,\"grad_norm\":1.0,\"tokens_per_second\":1.0,\"elapsed_seconds\":1.0}}}}\n"
        )
    };
    let text: String = std::iter::once(
        "{\"header\":{\"run\":\"long-001\",\"trainable\":18446744073709551615}}\n".to_owned(),
    )
    .chain((1..=600_000).map(step))
    .collect();
    std::fs::write(run.path().join("ledger.jsonl"), text).unwrap();
    let action = RunsAction::Plot {
        runs: vec!["long-001".to_owned()],
        settings: keys_of(training::PLOT, "smooth=0"),
    };
    let reply = test.run(Command::Runs { action }).unwrap();
    let Some(Block::Chart(chart)) = reply.blocks.first() else { panic!("{reply:?}") };
    let points = &chart.series[0].points;
    assert!(
        points.len() <= 4_001 && points[0].0 == 1.0 && points[points.len() - 1].0 == 600_000.0,
        "{}",
        points.len()
    );
    let file = test.folder.path().join("long.csv");
    let written =
        said(&typed(&test, &format!("%runs export long-001 {}", file.display())).unwrap());
    assert!(written.contains("one in 2 of 600000 steps"), "{written}");
    let Block::Table(table) = &typed(&test, "%runs").unwrap()[0].blocks[0] else {
        panic!("no table")
    };
    assert_eq!(table.rows[0][3], Cell::Integer(i64::MAX));

    let (session, stopped) =
        (test.session.clone(), std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false)));
    let done = stopped.clone();
    let stop = std::thread::spawn(move || {
        while !done.load(std::sync::atomic::Ordering::SeqCst) && session.interrupt().is_none() {
            std::thread::yield_now();
        }
    });
    let failure = typed(&test, "%runs").map(|_| ());
    stopped.store(true, std::sync::atomic::Ordering::SeqCst);
    stop.join().unwrap();
    assert_eq!(failure.unwrap_err().code, "session::interrupted");
}
