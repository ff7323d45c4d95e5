use graft_train::runs::{Resumption, RunRecord};

use super::*;

fn header(train: Settings) -> RunHeader {
    RunHeader {
        title: "lora r=8".to_owned(),
        model: "tiny".to_owned(),
        data_source: "my data.jsonl".to_owned(),
        method: "lora".to_owned(),
        adapter_settings: Settings::default().with("r", Value::Integer(8)),
        train,
        default_lr: 0.005,
        seed: 7,
        ..RunHeader::default()
    }
}

fn steps(count: i64) -> Settings {
    Settings::default().with("steps", Value::Integer(count))
}

fn written(header: &RunHeader, record: RunRecord) -> String {
    let base = tempfile::tempdir().unwrap();
    let folder = RunFolder::create(base.path(), "lora").unwrap();
    script(&folder, &RunRecord { header: Some(header.clone()), ..record }, header).unwrap()
}

#[test]
fn a_script_contains_everything_that_decides_the_losses() {
    let with_rate = header(steps(5).with("lr", Value::Float(0.003)));
    let text = written(&with_rate, RunRecord::default());
    assert!(text.ends_with("%seed 7\n%model load tiny\n%data load \"my data.jsonl\"\n%lora attach r=8\n%train lr=0.003 steps=5\n"), "{text}");
    assert!(text.contains("// this version did not record the start weights"), "{text}");
    assert!(
        written(&header(steps(5)), RunRecord::default()).ends_with("%train lr=0.005 steps=5\n")
    );
}

#[test]
fn a_script_contains_the_seeds_of_the_weights_and_of_the_run() {
    let trial = RunHeader {
        start: Some(Start::Fresh { seed: 3, data: None }),
        adapter_scale: Some(0.5),
        session_seed: Some(9),
        ..header(steps(5))
    };
    let text = written(&trial, RunRecord::default());
    assert!(
        text.contains("%seed 3\n%model load tiny\n")
            && text.ends_with("%lora scale 0.5\n%seed 7\n%train lr=0.005 steps=5\n"),
        "{text}"
    );
}

#[test]
fn changed_keys_of_a_resumed_run_are_in_the_script() {
    let resumed = |after_step, train| RunRecord {
        resumptions: vec![Resumption { after_step, train: Some(train) }],
        ..RunRecord::default()
    };
    assert!(
        written(&header(steps(5)), resumed(3, steps(5))).ends_with("%train lr=0.005 steps=5\n"),
        "an interruption alone changes nothing"
    );
    assert!(
        written(&header(steps(5)), resumed(5, steps(8)))
            .ends_with("%train lr=0.005 steps=5\n%resume steps=8\n")
    );
    let text = written(&header(steps(5)), resumed(3, steps(8)));
    assert!(text.contains("// it was stopped and resumed with other keys"), "{text}");
}

#[test]
fn a_run_without_its_start_weights_is_refused() {
    let base = tempfile::tempdir().unwrap();
    let folder = RunFolder::create(base.path(), "lora").unwrap();
    let continued = RunHeader {
        start: Some(Start::Run { run: "lora-009".to_owned(), step: 4 }),
        ..header(steps(5))
    };
    let failure = script(
        &folder,
        &RunRecord { header: Some(continued.clone()), ..RunRecord::default() },
        &continued,
    )
    .unwrap_err();
    assert!(
        failure.message.contains("started from (lora-009, step 4) no longer exist"),
        "{failure}"
    );
}
