//! What runs keep and what can be done with it: their lineage, their weights, their locks, and a session without a disk.
#![allow(unsafe_code)]

use std::path::PathBuf;

use graft_magic::{PartKind, parse_cell, script_cells};
use graft_protocol::{AdapterAction, Block, Cell, Command, Event, Reply, RunsAction, Snapshot};
use graft_spec::{Failure, Settings, training};
use graft_train::runs::{RunFolder, Start};

use crate::world::{World, keys_of};

/// Types a cell.
fn typed(world: &World, text: &str) -> Result<Vec<Reply>, Failure> {
    let parts = parse_cell(text, &Snapshot::default())?;
    let run = |kind| match kind {
        PartKind::Session(command) => world.run(command),
        other => panic!("{other:?} is no command of the session"),
    };
    parts.into_iter().map(|part| run(part.kind)).collect()
}

fn said(replies: &[Reply]) -> String {
    format!("{replies:?}")
}

fn runs(world: &World) -> PathBuf {
    world.folder.path().join("runs")
}

fn folder(world: &World, run: &str) -> RunFolder {
    RunFolder::open(&runs(world), Some(run)).unwrap()
}

/// The losses of a run, from its ledger.
fn losses(world: &World, run: &str) -> Vec<f64> {
    folder(world, run).record().unwrap().steps.iter().map(|step| step.loss).collect()
}

/// The weights of the adapter in use.
fn weights(world: &World) -> Vec<Vec<f32>> {
    let state = world.session.state();
    let tensors = state.adapter_in_use().unwrap().adapter.state().unwrap();
    tensors.into_values().map(|tensor| tensor.flatten_all().unwrap().to_vec1().unwrap()).collect()
}

/// Exports a run and replays the file in a new session; the name of the last run of the replay.
fn replayed(world: World, run: &str) -> (World, String) {
    let file = world.folder.path().join("again.graft");
    typed(&world, &format!("%runs export {run} {}", file.display())).unwrap();
    let script = std::fs::read_to_string(&file).unwrap();
    let world = world.reborn();
    for cell in script_cells(&script) {
        typed(&world, &cell).unwrap_or_else(|failure| panic!("{failure}\n{script}"));
    }
    let last = world.session.snapshot().runs[0].clone();
    assert_ne!(last, run);
    (world, last)
}

#[test]
fn a_continued_run_is_exported_with_the_training_it_continues() {
    let world = World::attached();
    typed(&world, "%train steps=6 lr=0.05 batch=4\n%seed 3\n%train steps=4 lr=0.01 batch=4")
        .unwrap();
    let expected = losses(&world, "lora-002");
    let start = folder(&world, "lora-002").header().unwrap().start;
    assert_eq!(start, Some(Start::Run { run: "lora-001".to_owned(), step: 6 }));
    let listed =
        said(&typed(&world, "%runs\n%runs diff lora-001 lora-002\n%runs show lora-002").unwrap());
    assert!(
        listed.contains("lora-001, step 6") && listed.contains("fresh weights, seed 0"),
        "{listed}"
    );
    let (world, last) = replayed(world, "lora-002");
    assert_eq!((last.as_str(), losses(&world, &last)), ("lora-004", expected));
}

#[test]
fn a_run_that_continued_its_best_step_is_exported_with_the_weights_it_has_kept() {
    let world = World::attached();
    typed(
        &world,
        "%train steps=6 lr=0.3 batch=4 eval_every=2\n%lora scale 0.5\n%train steps=3 batch=4",
    )
    .unwrap();
    // The scale is another one, the run the first one's: its steps are repeated with their own scales.
    let expected = losses(&world, "lora-002");
    typed(&world, "%runs use lora-001 step=last\n%train steps=2 lr=0.01 batch=4 eval_every=0")
        .unwrap();
    typed(
        &world,
        "%runs use lora-002 step=start name=other\n%train steps=2 lr=0.01 batch=4 eval_every=0",
    )
    .unwrap();
    let other = losses(&world, "lora-004");
    let (world, last) = replayed(world, "lora-002");
    assert_eq!(losses(&world, &last), expected);
    // The training that it continues can no longer be repeated: its own copy of the weights can.
    std::fs::remove_dir_all(runs(&world).join("lora-001")).unwrap();
    let (world, last) = replayed(world, "lora-004");
    assert_eq!(losses(&world, &last), other);
    let script = std::fs::read_to_string(world.folder.path().join("again.graft")).unwrap();
    assert!(script.contains("%runs use lora-004 step=start"), "{script}");
}

#[test]
fn weights_that_a_cell_has_changed_are_not_taken_for_fresh_ones() {
    let world = World::attached();
    let trainables = world.session.state().adapters[0].adapter.trainables();
    trainables[0].var.set(&(trainables[0].var.as_tensor() * 2.0).unwrap()).unwrap();
    world.train("steps=2 batch=4 eval_every=0").unwrap();
    let expected = losses(&world, "lora-001");
    assert!(
        matches!(folder(&world, "lora-001").header().unwrap().start, Some(Start::Other { what }) if what.contains("changed since"))
    );
    let (world, last) = replayed(world, "lora-001");
    assert_eq!(losses(&world, &last), expected);
}

#[test]
fn a_trial_is_exported_with_the_seed_of_its_weights_and_its_weights_are_attached() {
    let world = World::ready();
    let reply =
        typed(&world, "%ablate lora r=1,2 seeds=2 steps=6 lr=0.02 batch=4 examples=8").unwrap();
    assert!(
        said(&reply).contains("lora r=2: `%runs use lora-002`, `%runs use lora-004`"),
        "{}",
        said(&reply)
    );
    typed(&world, "%runs use lora-004").unwrap();
    assert_eq!(world.session.snapshot().adapters[0].name, "lora-004");
    let kept = folder(&world, "lora-004").checkpoints().pop().unwrap().adapter().unwrap();
    let kept: Vec<Vec<f32>> =
        kept.into_values().map(|tensor| tensor.flatten_all().unwrap().to_vec1().unwrap()).collect();
    assert_eq!(weights(&world), kept);
    let expected = losses(&world, "lora-004");
    let (world, last) = replayed(world, "lora-004");
    assert_eq!(losses(&world, &last), expected);
}

#[test]
fn a_run_that_was_resumed_with_more_steps_is_exported_with_both() {
    let world = World::attached();
    typed(&world, "%train steps=3 lr=0.05 batch=4 eval_every=0\n%resume steps=6").unwrap();
    let expected = losses(&world, "lora-001");
    assert!(
        said(&typed(&world, "%runs show lora-001").unwrap())
            .contains("Text(\"steps\"), Text(\"6\")")
    );
    let (world, last) = replayed(world, "lora-001");
    assert_eq!(losses(&world, &last), expected);
}

#[test]
fn the_best_weights_and_the_last_ones_are_attached_in_a_new_session() {
    let world = World::attached();
    let (session, mut best) = (world.session.clone(), f64::INFINITY);
    let kept = std::sync::Arc::new(std::sync::Mutex::new((0, Vec::new())));
    let seen = kept.clone();
    world.ear.react(move |event| {
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
    world.train("steps=6 lr=0.1 eval_every=1 batch=4").unwrap();
    // With a rate that is far too large the loss rises again.
    typed(&world, "%resume steps=12 lr=3 schedule=constant warmup=0 eval_every=1").unwrap();
    let (step, best) = kept.lock().unwrap().clone();
    let last = weights(&world);
    assert!(step <= 6, "the last step is the best one: the test shows nothing");
    let world = world.reborn();
    let told = said(&typed(&world, "%runs use lora-001").unwrap());
    assert!(
        told.contains(&format!(
            "weights of `lora-001` after step {step} of 6, its lowest validation loss"
        )),
        "{told}"
    );
    assert_eq!(weights(&world), best);
    typed(&world, "%runs use lora-001 step=last as=final").unwrap();
    assert_eq!((weights(&world), world.session.snapshot().adapters.len()), (last, 2));
    let folders = std::fs::read_dir(runs(&world).join("lora-001"))
        .unwrap()
        .flatten()
        .filter(|entry| entry.path().is_dir())
        .count();
    assert!(folders <= 3, "two checkpoints and the best weights");
}

#[test]
fn what_a_run_has_not_kept_is_refused_with_what_it_has() {
    let world = World::attached();
    world.train("steps=4 eval_every=0 batch=4").unwrap();
    let before = weights(&world);
    let failure = typed(&world, "%runs use lora-001 step=3").unwrap_err();
    assert_eq!(
        (failure.code.as_str(), failure.message.as_str(), failure.hint.as_deref()),
        (
            "train::no_weights",
            "run `lora-001` has no weights of step 3",
            Some("saved: `%runs use lora-001 step=0`, `%runs use lora-001 step=4`")
        )
    );
    assert_eq!(
        typed(&world, "%runs use lora-001 step=best").unwrap_err().code,
        "train::no_weights"
    );
    assert_eq!(
        typed(&world, "%runs use lora-001 step=first").unwrap_err().code,
        "settings::no_choice"
    );
    assert_eq!(typed(&world, "%runs use lora-01").unwrap_err().code, "session::unknown_run");
    assert_eq!(weights(&world), before);
    typed(&world, "%runs use lora-001 step=4").unwrap();
    assert_eq!(weights(&world), before);
}

#[test]
fn weights_that_do_not_fit_leave_the_adapter_before_as_it_was() {
    let world = World::attached();
    world.train("steps=2 eval_every=0 batch=4").unwrap();
    let text = world.text();
    let checkpoint = folder(&world, "lora-001").checkpoints().pop().unwrap();
    let file = checkpoint.path().join("checkpoint.json");
    let other = std::fs::read_to_string(&file)
        .unwrap()
        .replace("\"r\": {\n          \"Integer\": 2", "\"r\": {\n          \"Integer\": 3");
    std::fs::write(&file, &other).unwrap();
    assert!(other.contains("\"Integer\": 3"), "{other}");
    assert_eq!(typed(&world, "%runs use lora-001").unwrap_err().code, "train::checkpoint");
    assert_eq!(world.text(), text);
    world.train("steps=1 eval_every=0 batch=4").unwrap();
}

#[test]
fn another_model_is_not_exchanged_and_the_hint_is_what_helps() {
    let world = World::attached();
    world.train("steps=2 eval_every=0 batch=4").unwrap();
    crate::tiny::write_model(&world.folder.path().join("other"), 9);
    let other = world.folder.path().join("other").display().to_string();
    world.run(Command::ModelLoad { source: other.clone(), settings: Settings::default() }).unwrap();
    let failure = typed(&world, "%runs use lora-001").unwrap_err();
    assert_eq!(failure.code, "session::other_model");
    let hint = failure.hint.unwrap();
    let lines: Vec<_> = hint.split('`').filter(|part| part.starts_with('%')).collect();
    assert_eq!(lines.len(), 2, "{hint}");
    lines.iter().for_each(|line| drop(typed(&world, line).unwrap()));
}

#[test]
fn a_runs_folder_is_not_an_adapter_and_the_hint_attaches_it() {
    let world = World::attached();
    world.train("steps=2 eval_every=0 batch=4").unwrap();
    let trained = weights(&world);
    let run = runs(&world).join("lora-001");
    for path in [run.clone(), run.join("checkpoint-00000002")] {
        let failure = typed(&world, &format!("%lora load {}", path.display())).unwrap_err();
        assert_eq!(
            failure.hint.as_deref(),
            Some("`%runs use lora-001` attaches its weights"),
            "{failure}"
        );
    }
    world.attach("r=2 lora_alpha=4").unwrap();
    typed(&world, "%runs use lora-001").unwrap();
    assert_eq!(weights(&world), trained);
    let elsewhere = world.folder.path().join("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    std::fs::rename(&run, elsewhere.join("lora-001")).unwrap();
    let failure =
        typed(&world, &format!("%lora load {}", elsewhere.join("lora-001").display())).unwrap_err();
    let hint = failure.hint.unwrap();
    world.attach("r=2 lora_alpha=4").unwrap();
    typed(&world, hint.split('`').nth(1).unwrap()).unwrap();
    assert_eq!(weights(&world), trained);
}

#[test]
fn whatever_takes_a_trained_adapter_away_says_how_to_get_it_back() {
    let world = World::attached();
    world.train("steps=4 lr=0.1 eval_every=2 batch=4").unwrap();
    let text = world.text();
    let back = |replies: Vec<Reply>| {
        let told = said(&replies);
        let line = told
            .split('`')
            .find(|part| part.starts_with("%runs use"))
            .unwrap_or_else(|| panic!("{told}"))
            .to_owned();
        typed(&world, &line).unwrap();
        assert_eq!(world.text(), text, "{line}");
    };
    back(vec![world.attach("r=1").unwrap()]);
    back(vec![world.adapter(AdapterAction::Detach { name: None }).unwrap()]);
    let saved = world.folder.path().join("saved").display().to_string();
    typed(&world, &format!("%lora save {saved}")).unwrap();
    back(typed(&world, &format!("%lora load {saved}")).unwrap());
    let untrained =
        said(&[world.attach("r=1 name=fresh").unwrap(), world.attach("r=1 name=fresh").unwrap()]);
    assert!(
        untrained.contains("takes the place of `fresh`") && !untrained.contains("%runs use"),
        "{untrained}"
    );
    let model = said(&[world
        .run(Command::ModelLoad { source: world.model_folder(), settings: Settings::default() })
        .unwrap()]);
    assert!(
        model.contains("`default`: `%runs use lora-001") && model.contains("after %model load"),
        "{model}"
    );
}

#[test]
fn resuming_an_earlier_run_with_the_adapter_of_a_later_one_says_how_to_get_that_back() {
    let world = World::attached();
    typed(
        &world,
        "%train steps=2 lr=0.1 eval_every=0 batch=4\n%train steps=2 lr=0.1 eval_every=0 batch=4",
    )
    .unwrap();
    let later = weights(&world);
    typed(&world, "%resume lora-001 steps=3").unwrap();
    let notes =
        world.ear.events().into_iter().filter_map(|event| {
            if let Event::Note { text, .. } = event { Some(text) } else { None }
        });
    let told = notes
        .into_iter()
        .find(|text| text.contains("are replaced with those of `lora-001`"))
        .unwrap();
    typed(&world, told.split('`').find(|part| part.starts_with("%runs use")).unwrap()).unwrap();
    assert_eq!(weights(&world), later);
}

#[test]
fn a_run_is_not_resumed_on_data_that_have_changed() {
    let world = World::new();
    world.load_model();
    let file = world.folder.path().join("colours.jsonl");
    std::fs::write(&file, crate::tiny::colours()).unwrap();
    typed(
        &world,
        &format!(
            "%data load {}\n%lora attach r=2\n%train steps=2 eval_every=0 batch=4",
            file.display()
        ),
    )
    .unwrap();
    std::fs::write(&file, crate::tiny::colours().replace("sky", "sea")).unwrap();
    let world = world.reborn();
    let failure = typed(&world, "%resume lora-001 steps=4").unwrap_err();
    let recorded = folder(&world, "lora-001").header().unwrap().data_fingerprint;
    assert_eq!(failure.code, "session::changed_data");
    assert!(
        failure.message.contains(&recorded) && failure.message.contains("colours.jsonl"),
        "{failure}"
    );
    let snapshot = world.session.snapshot();
    assert!(snapshot.model.is_none() && snapshot.data.is_empty(), "nothing has changed");
    let hint = failure.hint.unwrap();
    let lines: Vec<String> = hint
        .split('`')
        .filter(|part| part.starts_with("%runs use") || *part == "%train")
        .map(str::to_owned)
        .collect();
    assert_eq!(lines, ["%runs use lora-001", "%train"]);
    typed(
        &world,
        &format!(
            "%data load {}\n{}\n%train steps=2 eval_every=0 batch=4",
            file.display(),
            lines[0]
        ),
    )
    .unwrap();
    assert_eq!(
        folder(&world, "lora-002").header().unwrap().start,
        Some(Start::Run { run: "lora-001".to_owned(), step: 2 })
    );
    std::fs::write(&file, crate::tiny::colours()).unwrap();
    typed(&world, "%resume lora-001 steps=4").unwrap();
}

#[test]
fn the_scale_and_the_seed_of_an_adapter_are_those_of_its_run_when_it_is_resumed() {
    let train = |world: &World| {
        typed(
            world,
            "%seed 5\n%vera attach r=2\n%vera scale 0.5\n%seed 8\n%train steps=6 lr=0.05 batch=4 eval_every=0",
        )
    };
    let whole = World::ready();
    train(&whole).unwrap();
    let expected = losses(&whole, "vera-001");
    drop(whole);
    let world = World::ready();
    let session = world.session.clone();
    world.ear.react(move |event| {
        if matches!(event, Event::Step(step) if step.step == 3) {
            session.interrupt();
        }
    });
    assert_eq!(train(&world).unwrap_err().code, "session::interrupted");
    let world = world.reborn();
    typed(&world, "%resume").unwrap();
    assert_eq!(losses(&world, "vera-001"), expected);
}

#[test]
fn a_run_that_somebody_trains_is_neither_resumed_nor_compared_again() {
    let world = World::attached();
    world.train("steps=2 eval_every=0 batch=4").unwrap();
    let lock = folder(&world, "lora-001").lock().unwrap();
    let failure = typed(&world, "%resume lora-001 steps=4").unwrap_err();
    assert_eq!(failure.code, "train::in_use");
    assert!(
        failure
            .message
            .contains(&format!("`lora-001` is being trained by process {}", std::process::id())),
        "{failure}"
    );
    drop(lock);
    typed(&world, "%resume lora-001 steps=4").unwrap();

    let line = "%ablate lora r=1 steps=8 lr=0.02 batch=4 examples=8";
    let session = world.session.clone();
    world.ear.react(move |event| {
        if matches!(event, Event::Progress { label, done: 1.., .. } if label.starts_with("trial 1"))
        {
            session.interrupt();
        }
    });
    let stopped = typed(&world, line);
    world.ear.react(|_| {});
    assert_eq!(stopped.unwrap_err().code, "session::interrupted");
    let trial = world.session.snapshot().runs[0].clone();
    let lock = folder(&world, &trial).lock().unwrap();
    let listed = said(&typed(&world, "%runs").unwrap());
    let failure = typed(&world, line).unwrap_err();
    assert_eq!(failure.code, "train::in_use");
    assert!(failure.message.contains(&trial), "{failure} {listed}");
    drop(lock);
    typed(&world, line).unwrap();
}

#[test]
fn a_trial_whose_process_was_killed_goes_on_with_the_same_line() {
    let world = World::ready();
    let line = "%ablate lora r=1 steps=8 lr=0.02 batch=4 examples=8";
    typed(&world, line).unwrap();
    let expected = losses(&world, "lora-001");
    std::fs::remove_file(world.folder.path().join("ablations.jsonl")).unwrap();
    let ledger = runs(&world).join("lora-001/ledger.jsonl");
    let text = std::fs::read_to_string(&ledger).unwrap();
    let killed: String = text
        .lines()
        .filter(|line| !line.starts_with("{\"ended\""))
        .map(|line| format!("{line}\n"))
        .collect();
    std::fs::write(&ledger, killed).unwrap();
    typed(&world, line).unwrap();
    assert_eq!(
        std::fs::read_dir(runs(&world)).unwrap().count(),
        1,
        "the run that was killed goes on"
    );
    assert_eq!(losses(&world, "lora-001"), expected);
}

#[test]
fn a_training_on_top_of_another_adapter_is_refused() {
    let world = World::attached();
    typed(&world, "%lora merge\n%lora attach r=2 name=b\n%lora unmerge default").unwrap();
    let both = world.session.snapshot().adapters.iter().filter(|adapter| adapter.active).count();
    if both == 2 {
        let failure = world.train("steps=2 eval_every=0").unwrap_err();
        assert_eq!(failure.code, "session::acts_too");
        let hint = failure.hint.unwrap();
        typed(&world, hint.split('`').nth(1).unwrap()).unwrap();
    }
    world.train("steps=2 eval_every=0 batch=4").unwrap();
}

#[test]
fn where_nothing_can_be_written_runs_are_kept_in_memory_with_a_warning() {
    let world = World::attached();
    let home = std::env::var_os("HOME");
    let here = std::env::current_dir().unwrap();
    // SAFETY: tests that read or write the environment hold the turn.
    unsafe {
        std::env::remove_var("GRAFT_RUNS");
        std::env::remove_var("XDG_DATA_HOME");
        std::env::set_var("HOME", "/proc/self");
    }
    std::env::set_current_dir("/proc/self").unwrap();
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| in_memory(&world)));
    std::env::set_current_dir(here).unwrap();
    // SAFETY: as above.
    unsafe {
        home.map_or_else(|| std::env::remove_var("HOME"), |home| std::env::set_var("HOME", home));
    }
    outcome.unwrap();
}

fn in_memory(world: &World) {
    world.train("steps=3 lr=0.05 batch=4 eval_every=0").unwrap();
    let warned = world.ear.events().into_iter().any(
        |event| matches!(event, Event::Note { level: graft_protocol::Level::Warning, text } if text.contains("kept in memory") && text.contains("%lora save DIR")),
    );
    assert!(warned, "{:?}", world.ear.events());
    let listed = said(&typed(world, "%runs").unwrap());
    assert!(
        listed.contains("lora-001") && listed.contains("lost when this session ends"),
        "{listed}"
    );
    typed(world, "%resume steps=5\n%runs use lora-001").unwrap();
    let file = world.folder.path().join("run.csv");
    let export = format!("%runs export lora-001 {}", file.display());
    assert!(!said(&typed(world, &export).unwrap()).contains("replaced"));
    assert!(said(&typed(world, &export).unwrap()).contains("it replaced the file of that name"));
    assert_eq!(std::fs::read_to_string(file).unwrap().lines().count(), 6);
    typed(world, "%ablate lora r=1 steps=4 lr=0.02 batch=4 examples=8").unwrap();
}

#[test]
fn reading_a_long_ledger_can_be_stopped_and_a_long_curve_is_thinned() {
    let world = World::new();
    let run = RunFolder::create(&runs(&world), "long").unwrap();
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
    let reply = world.run(Command::Runs { action }).unwrap();
    let Some(Block::Chart(chart)) = reply.blocks.first() else { panic!("{reply:?}") };
    let points = &chart.series[0].points;
    assert!(
        points.len() <= 4_001 && points[0].0 == 1.0 && points[points.len() - 1].0 == 600_000.0,
        "{}",
        points.len()
    );
    let file = world.folder.path().join("long.csv");
    let written =
        said(&typed(&world, &format!("%runs export long-001 {}", file.display())).unwrap());
    assert!(written.contains("of 600000 steps one in 2"), "{written}");
    let Block::Table(table) = &typed(&world, "%runs").unwrap()[0].blocks[0] else {
        panic!("no table")
    };
    assert_eq!(table.rows[0][3], Cell::Integer(i64::MAX));

    let (session, stopped) =
        (world.session.clone(), std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false)));
    let done = stopped.clone();
    let stop = std::thread::spawn(move || {
        while !done.load(std::sync::atomic::Ordering::SeqCst) && session.interrupt().is_none() {
            std::thread::yield_now();
        }
    });
    let failure = typed(&world, "%runs").map(|_| ());
    stopped.store(true, std::sync::atomic::Ordering::SeqCst);
    stop.join().unwrap();
    assert_eq!(failure.unwrap_err().code, "session::interrupted");
}
