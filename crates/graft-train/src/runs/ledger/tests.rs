use super::*;

fn step(step: u64, loss: f64) -> StepRecord {
    StepRecord {
        step,
        loss,
        lr: 0.1,
        grad_norm: 1.0,
        tokens_per_second: 10.0,
        elapsed_seconds: 1.0,
        rewards: None,
    }
}

#[test]
fn a_damaged_line_is_skipped_with_a_warning() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("ledger.jsonl");
    let mut ledger = Ledger::append(&path).expect("opens");
    ledger.step(&step(1, 2.5)).expect("writes");
    ledger.write(b"{\"step\":{\"st").expect("writes");
    let mut ledger = Ledger::append(&path).expect("opens again");
    ledger.step(&step(2, f64::NAN)).expect("writes");
    let record = read_ledger(&path).expect("reads");
    assert_eq!(record.steps.iter().map(|step| step.step).collect::<Vec<_>>(), [1, 2]);
    assert!(record.steps[1].loss.is_nan());
    assert_eq!(record.warnings.len(), 1);
    assert!(record.warnings[0].contains("line 2 is damaged"), "{:?}", record.warnings);
}

#[test]
fn resuming_voids_the_steps_after_the_checkpoint() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("ledger.jsonl");
    let mut ledger = Ledger::append(&path).expect("opens");
    for number in 1..=3 {
        ledger.step(&step(number, 1.0)).expect("writes");
    }
    ledger.resumed(2, &Settings::default()).expect("writes");
    ledger.step(&step(3, 0.5)).expect("writes");
    let losses: Vec<_> = read_ledger(&path)
        .expect("reads")
        .steps
        .iter()
        .map(|step| (step.step, step.loss))
        .collect();
    assert_eq!(losses, [(1, 1.0), (2, 1.0), (3, 0.5)]);
}

#[test]
fn a_ledger_of_an_older_version_is_read_and_a_start_of_a_newer_one_leaves_the_rest_readable() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("ledger.jsonl");
    let old = "{\"header\":{\"run\":\"lora-001\",\"method\":\"lora\"}}\n{\"resumed\":{\"after_step\":0}}\n";
    std::fs::write(&path, old).expect("writes");
    let record = read_ledger(&path).expect("reads");
    let header = record.header.clone().expect("a header");
    assert_eq!(
        (header.run.as_str(), header.start, header.data_fingerprint.as_str()),
        ("lora-001", None, "")
    );
    assert_eq!(
        (record.resumptions, record.warnings.len()),
        (vec![Resumption { after_step: 0, train: None }], 0)
    );
    let newer = "{\"header\":{\"run\":\"lora-001\",\"start\":{\"teleported\":{\"from\":1}},\"unknown\":[1]}}\n";
    std::fs::write(&path, newer).expect("writes");
    let record = read_ledger(&path).expect("reads");
    assert_eq!((record.header.expect("a header").start, record.warnings.len()), (None, 0));
}

#[test]
fn what_a_run_was_resumed_with_is_part_of_its_header_now() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("ledger.jsonl");
    let steps = |steps| Settings::default().with("steps", graft_spec::Value::Integer(steps));
    let mut ledger = Ledger::append(&path).expect("opens");
    ledger.header(&RunHeader { train: steps(2), ..RunHeader::default() }).expect("writes");
    ledger.resumed(2, &steps(4)).expect("writes");
    let record = read_ledger(&path).expect("reads");
    assert_eq!(record.header.as_ref().map(|header| header.train.clone()), Some(steps(2)));
    assert_eq!(record.current_header().map(|header| header.train), Some(steps(4)));
}

#[test]
fn a_step_that_is_there_twice_counts_once_also_where_two_processes_wrote() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("ledger.jsonl");
    let mut ledger = Ledger::append(&path).expect("opens");
    for (number, loss) in [(1, 1.0), (2, 2.0), (2, 2.5), (3, 3.0), (3, 3.5), (4, 4.0)] {
        ledger.step(&step(number, loss)).expect("writes");
    }
    let losses: Vec<_> = read_ledger(&path)
        .expect("reads")
        .steps
        .iter()
        .map(|step| (step.step, step.loss))
        .collect();
    assert_eq!(losses, [(1, 1.0), (2, 2.5), (3, 3.5), (4, 4.0)]);
}

#[test]
fn a_ledger_of_millions_of_steps_and_resumptions_is_read_in_bounded_memory_and_can_be_stopped() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("ledger.jsonl");
    let mut text = String::from("{\"header\":{\"run\":\"lora-001\"}}\n");
    let most = 1 << 12;
    let steps = 3 << 12;
    for number in 1..=steps {
        text.push_str(&format!(
            "{{\"step\":{{\"step\":{number},\"loss\":1.0,\"lr\":0.1,\"grad_norm\":1.0,\"tokens_per_second\":1.0,\"elapsed_seconds\":1.0}}}}\n"
        ));
    }
    for _ in 0..200_000 {
        text.push_str(&format!("{{\"resumed\":{{\"after_step\":{}}}}}\nnonsense\n", steps - 1));
    }
    text.push_str("{\"step\":{\"st");
    std::fs::write(&path, text).expect("writes");
    let record = reader::read(&path, most, &|| false).expect("reads");
    assert!(record.steps.len() <= most + 1, "{}", record.steps.len());
    assert_eq!(
        (record.every, record.steps[0].step, record.steps.last().map(|step| step.step)),
        (4, 1, Some(steps - 3))
    );
    assert!(record.steps.is_sorted_by(|one, other| one.step < other.step));
    assert_eq!((record.warnings.len(), record.resumptions.len()), (MOST_WARNINGS + 1, MOST_OTHERS));
    assert_eq!(
        record.warnings.last().map(String::as_str),
        Some("199,993 more damaged lines were skipped")
    );
    assert!(record.thinned(1000).len() <= 1001);
    assert!(matches!(read_ledger_until(&path, &|| true), Err(TrainError::Stopped)));
}

#[test]
fn a_line_that_is_too_long_is_skipped_without_being_held() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("ledger.jsonl");
    let mut ledger = Ledger::append(&path).expect("opens");
    ledger.step(&step(1, 1.0)).expect("writes");
    ledger.write(&vec![b'x'; super::super::lines::LONGEST as usize + 10]).expect("writes");
    ledger.write(b"\n").expect("writes");
    ledger.step(&step(2, 1.0)).expect("writes");
    let record = read_ledger(&path).expect("reads");
    assert_eq!(record.steps.len(), 2);
    assert!(record.warnings[0].contains("line 2 is longer than 16 MiB"), "{:?}", record.warnings);
    std::fs::write(&path, vec![b'x'; super::super::lines::LONGEST as usize + 10]).expect("writes");
    assert_eq!(read_header(&path), None);
}
