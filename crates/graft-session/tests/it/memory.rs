//! `%memory`: the prediction for the session and for published models.

use graft_protocol::{Block, Cell, Command, Event, Table};
use graft_spec::{Failure, Settings, Value};

use crate::world::World;

fn memory(world: &World, of: Option<&str>, settings: Settings) -> Result<Table, Failure> {
    let reply = world.run(Command::Memory { of: of.map(str::to_owned), settings })?;
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
fn what_a_training_took_stands_beside_what_was_predicted() {
    let world = World::attached();
    world.train("steps=3 eval_every=0").unwrap();
    let ended = world
        .ear
        .events()
        .into_iter()
        .find_map(|event| if let Event::RunEnded(ended) = event { Some(ended) } else { None })
        .unwrap();
    let use_of_run = ended.memory.expect("a run that ended has its memory");
    assert!(use_of_run.predicted.is_some_and(|bytes| bytes > 0));
    // Where the system does not tell, nothing is claimed.
    if use_of_run.taken.is_some() {
        assert!(ended.summary.contains(" MB above the model"), "{}", ended.summary);
        let table = memory(&world, None, Settings::default()).unwrap();
        let line = table
            .footer
            .iter()
            .find(|line| line.contains(&ended.run))
            .unwrap_or_else(|| panic!("{:?}", table.footer));
        assert!(line.contains("MB taken") && line.contains("MB predicted"), "{line}");
    }
}

#[test]
fn the_parts_add_up_and_more_rows_take_more_activations_only() {
    let world = World::attached();
    let of = |batch| {
        memory(&world, None, Settings::default().with("batch", Value::Integer(batch))).unwrap()
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
fn a_validation_is_predicted_too_and_decides_where_it_takes_the_most() {
    let world = World::new();
    let load = |world: &World| {
        world
            .run(Command::ModelLoad { source: "tiny".to_owned(), settings: Settings::default() })
            .unwrap();
        world
            .run(Command::DataLoad {
                source: "which-book".to_owned(),
                settings: Settings::default(),
            })
            .unwrap();
        world.attach("r=2").unwrap();
    };
    load(&world);
    let settings =
        Settings::default().with("batch", Value::Integer(1)).with("max_length", Value::Integer(64));
    let predicted = memory(&world, None, settings).unwrap();
    assert!(
        predicted.footer.iter().any(|line| line.starts_with("a validation on which-book takes ")),
        "{:?}",
        predicted.footer
    );
    // Small steps, and validations of sixteen examples with a row for each label.
    let taken = |keys: &str| {
        world.train(keys).unwrap();
        let ended = world
            .ear
            .events()
            .into_iter()
            .filter_map(|event| if let Event::RunEnded(ended) = event { Some(ended) } else { None })
            .next_back()
            .unwrap();
        let memory = ended.memory.unwrap();
        memory.predicted.zip(memory.taken)
    };
    // Where the system does not tell, nothing is claimed.
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
fn a_published_model_needs_no_session_and_names_the_cards_it_fits_on() {
    let world = World::ready();
    let settings =
        |r| Settings::default().with("r", Value::Integer(r)).with("batch", Value::Integer(1));
    let small = memory(&world, Some("Llama-3.2-1B"), settings(16)).unwrap();
    assert!(small.footer[1].contains("24 GB (RTX 3090, 4090)"), "{:?}", small.footer);
    assert!(
        bytes(&memory(&world, Some("llama-3.2-1b"), settings(64)).unwrap(), 1)[1]
            == 4 * bytes(&small, 1)[1]
    );
    let packed =
        memory(&world, Some("llama-3.2-1b"), settings(16).with("dtype", Value::Text("nf4".into())))
            .unwrap();
    assert_eq!(
        bytes(&packed, 1),
        bytes(&small, 4),
        "what the column of 4 bits says is what dtype=nf4 says"
    );
    assert!(packed.footer[1].contains("16 GB"), "{:?}", packed.footer);
    let large =
        memory(&world, Some("llama-3.1-8b"), settings(16).with("dtype", Value::Text("f32".into())))
            .unwrap();
    assert_eq!(large.footer[1], "larger than every consumer card");
    let failure = memory(&world, Some("llama-3.2-1c"), Settings::default()).unwrap_err();
    assert!(failure.hint.is_some_and(|hint| hint.contains("llama-3.2-1b")));
}

#[test]
fn without_an_adapter_the_question_is_refused() {
    assert!(memory(&World::ready(), None, Settings::default()).is_err());
}
