//! `%memory`: the prediction for the session and for published models.

use graft_protocol::{Block, Cell, Command, Event, Table};
use graft_spec::{Failure, Settings, Value};

use crate::test_session::TestSession;

fn memory(test: &TestSession, of: Option<&str>, settings: Settings) -> Result<Table, Failure> {
    let reply = test.run(Command::Memory { of: of.map(str::to_owned), settings })?;
    match reply.blocks.into_iter().next() {
        Some(Block::Table(table)) => Ok(table),
        other => panic!("{other:?}"),
    }
}

/// Bytes of a column, by part; the last row is the sum.
fn bytes(table: &Table, column: usize) -> Vec<u64> {
    let cell = |row: &Vec<Cell>| {
        if let Cell::Bytes(bytes) = row[column] { bytes } else { panic!("{row:?}") }
    };
    table.rows.iter().map(cell).collect()
}

#[test]
fn measured_memory_is_shown_with_the_prediction() {
    let test = TestSession::attached();
    test.train("steps=3 eval_every=0").unwrap();
    let ended = test
        .sink
        .events()
        .into_iter()
        .find_map(|event| if let Event::RunEnded(ended) = event { Some(ended) } else { None })
        .unwrap();
    let use_of_run = ended.memory.expect("a run that ended has its memory");
    assert!(use_of_run.predicted.is_some_and(|bytes| bytes > 0));
    // Not measured on every system.
    if use_of_run.taken.is_some() {
        assert!(ended.summary.contains(" MB above the model"), "{}", ended.summary);
        let table = memory(&test, None, Settings::default()).unwrap();
        let line = table
            .footer
            .iter()
            .find(|line| line.contains(&ended.run))
            .unwrap_or_else(|| panic!("{:?}", table.footer));
        assert!(line.contains("MB used") && line.contains("MB predicted"), "{line}");
    }
}

#[test]
fn the_parts_add_up_and_more_rows_take_more_activations_only() {
    let test = TestSession::attached();
    let of = |batch| {
        memory(&test, None, Settings::default().with("batch", Value::Integer(batch))).unwrap()
    };
    let (one, two) = (of(1), of(2));
    let (small, large) = (bytes(&one, 1), bytes(&two, 1));
    assert_eq!(small[..5].iter().sum::<u64>(), small[5]);
    assert_eq!(small[..3], large[..3]);
    assert_eq!(2 * small[3], large[3]);
    assert!(bytes(&one, 4)[0] < small[0], "a 4-bit base has smaller weights");
    assert!(bytes(&one, 5)[2] > small[2], "full fine-tuning has more optimizer states");
    assert!(one.footer.iter().any(|line| line.contains("this machine has")), "{:?}", one.footer);
}

#[test]
fn the_prediction_includes_validation_if_it_takes_the_most() {
    let test = TestSession::new();
    let load = |test: &TestSession| {
        test.run(Command::ModelLoad { source: "tiny".to_owned(), settings: Settings::default() })
            .unwrap();
        test.run(Command::DataLoad {
            source: "which-book".to_owned(),
            settings: Settings::default(),
        })
        .unwrap();
        test.attach("r=2").unwrap();
    };
    load(&test);
    let settings =
        Settings::default().with("batch", Value::Integer(1)).with("max_length", Value::Integer(64));
    let predicted = memory(&test, None, settings).unwrap();
    assert!(
        predicted.footer.iter().any(|line| line.starts_with("validation on which-book: ")),
        "{:?}",
        predicted.footer
    );
    // Small training steps, and validation batches of sixteen examples with one row per label.
    let taken = |keys: &str| {
        test.train(keys).unwrap();
        let ended = test
            .sink
            .events()
            .into_iter()
            .filter_map(|event| if let Event::RunEnded(ended) = event { Some(ended) } else { None })
            .next_back()
            .unwrap();
        let memory = ended.memory.unwrap();
        memory.predicted.zip(memory.taken)
    };
    // Not measured on every system.
    let Some((predicted, taken_with)) =
        taken("steps=2 batch=1 max_length=64 eval_every=1 warmup=0")
    else {
        return;
    };
    assert!(
        predicted as f64 > 0.8 * taken_with as f64,
        "predicted {predicted}, taken {taken_with}"
    );
    let (without, _) = taken("steps=2 batch=1 max_length=64 eval_every=0 warmup=0").unwrap();
    assert!(without < predicted / 2, "the steps alone: {without} of {predicted}");
}

#[test]
fn the_memory_of_a_published_model_lists_the_gpus_it_fits_on() {
    let test = TestSession::ready();
    let settings =
        |r| Settings::default().with("r", Value::Integer(r)).with("batch", Value::Integer(1));
    let small = memory(&test, Some("Llama-3.2-1B"), settings(16)).unwrap();
    assert!(small.footer[1].contains("24 GB (RTX 3090, 4090)"), "{:?}", small.footer);
    assert!(
        bytes(&memory(&test, Some("llama-3.2-1b"), settings(64)).unwrap(), 1)[1]
            == 4 * bytes(&small, 1)[1]
    );
    let packed =
        memory(&test, Some("llama-3.2-1b"), settings(16).with("dtype", Value::Text("nf4".into())))
            .unwrap();
    assert_eq!(
        bytes(&packed, 1),
        bytes(&small, 4),
        "what the column of 4 bits says is what dtype=nf4 says"
    );
    assert!(packed.footer[1].contains("16 GB"), "{:?}", packed.footer);
    let large =
        memory(&test, Some("llama-3.1-8b"), settings(16).with("dtype", Value::Text("f32".into())))
            .unwrap();
    assert_eq!(large.footer[1], "too large for any consumer GPU");
    let failure = memory(&test, Some("llama-3.2-1c"), Settings::default()).unwrap_err();
    assert!(failure.hint.is_some_and(|hint| hint.contains("llama-3.2-1b")));
}

#[test]
fn a_prediction_without_an_adapter_is_refused() {
    assert!(memory(&TestSession::ready(), None, Settings::default()).is_err());
}

#[test]
fn pairs_are_validated_in_the_prediction_and_a_reference_with_trained_weights_is_kept() {
    let test = TestSession::attached();
    let rows = (0..20).map(|row| {
        let split = if row < 10 { "train" } else { "validation" };
        serde_json::json!({"prompt": "ab", "chosen": format!(" c{row}"), "rejected": " d",
            "split": split})
        .to_string()
    });
    let text = rows.collect::<Vec<_>>().join("\n");
    let name = "pairs".to_owned();
    test.run(Command::DataInline { name, text, settings: Settings::default() }).unwrap();
    let fresh = memory(&test, None, Settings::default()).unwrap();
    let validated =
        |table: &Table| table.footer.iter().any(|line| line.contains("validation on pairs"));
    let copies = |table: &Table| table.footer.iter().any(|line| line.contains("2 copies"));
    assert!(validated(&fresh) && !copies(&fresh), "{:?}", fresh.footer);
    test.train("steps=1 loss=dpo eval_every=0 batch=2").unwrap();
    let trained = memory(&test, None, Settings::default()).unwrap();
    assert!(copies(&trained), "{:?}", trained.footer);
    let adapter = test.session.state().adapters[0].adapter.trainable_parameters();
    assert_eq!(bytes(&trained, 1)[4], bytes(&fresh, 1)[4] + 2 * 4 * adapter);
}
