//! QLoRA: a base in 4 or 8 bits under an adapter in 32.

use graft_nn::{Weight, packable};
use graft_protocol::{AdapterAction, Command};
use graft_spec::{Settings, Value, training};

use crate::test_session::{TestSession, keys_of};
use crate::tiny::colors;

fn loaded(keys: &str) -> TestSession {
    let test = TestSession::new();
    test.run(Command::ModelLoad {
        source: test.model_folder(),
        settings: keys_of(training::MODEL, keys),
    })
    .unwrap();
    test.run(Command::DataInline {
        name: "colors".to_owned(),
        text: colors(),
        settings: Settings::default(),
    })
    .unwrap();
    test
}

fn packed_layers(test: &TestSession) -> usize {
    let model = test.session.state().model().unwrap();
    let is_packed = |weight: Weight| matches!(weight, Weight::Packed(_));
    packable(model.loaded.model.as_ref())
        .into_iter()
        .filter(|linear| is_packed(linear.weight().base_weight()))
        .count()
}

fn text(test: &TestSession, command: Command) -> String {
    format!("{:?}", test.run(command).unwrap().blocks)
}

#[test]
fn a_lora_learns_on_packed_weights_and_they_stay_packed() {
    for keys in [
        "load_in_4bit=true",
        "load_in_4bit=true bnb_4bit_use_double_quant=false",
        "load_in_8bit=true",
    ] {
        let test = loaded(keys);
        assert_eq!(packed_layers(&test), 14, "{keys}");
        test.attach("r=2 lora_alpha=4").unwrap();
        test.train("steps=30 lr=0.05 eval_every=0").unwrap();
        let losses = test.sink.losses();
        assert!(losses[29].1 < losses[0].1 * 0.8, "{keys}: {losses:?}");
        assert_eq!(packed_layers(&test), 14, "{keys}");
    }
}

#[test]
fn a_merge_widens_the_layers_it_changes_and_unmerging_packs_the_same_numbers() {
    let test = loaded("load_in_4bit=true");
    test.attach("r=2 lora_alpha=4 target_modules=q_proj").unwrap();
    test.train("steps=3 lr=0.05 eval_every=0").unwrap();
    test.adapter(AdapterAction::Merge { name: None }).unwrap();
    assert_eq!(packed_layers(&test), 12);
    test.adapter(AdapterAction::Unmerge { name: None }).unwrap();
    assert_eq!(packed_layers(&test), 14);
}

#[test]
fn an_interrupted_run_is_resumed_on_its_quantized_base() {
    let whole = loaded("load_in_4bit=true");
    whole.attach("r=2").unwrap();
    whole.train("steps=8 lr=0.02 eval_every=0 batch=4").unwrap();
    let expected = whole.sink.losses();
    drop(whole);
    let test = loaded("load_in_4bit=true");
    test.attach("r=2").unwrap();
    let session = test.session.clone();
    test.sink.react(move |event| {
        if matches!(event, graft_protocol::Event::Step(step) if step.step == 5) {
            session.interrupt();
        }
    });
    test.train("steps=8 lr=0.02 eval_every=0 batch=4").unwrap_err();
    let restarted = test.restarted();
    restarted.run(Command::Resume { run: None, settings: Settings::default() }).unwrap();
    assert_eq!(packed_layers(&restarted), 14);
    assert_eq!(restarted.sink.losses(), expected[5..]);
}

#[test]
fn the_model_card_shows_number_type_and_memory() {
    for (keys, kept) in [
        ("load_in_4bit=true", "nf4, the rest f32"),
        ("load_in_8bit=true", "int8, the rest f32"),
        ("dtype=bf16", "bf16"),
    ] {
        let card = text(&loaded(keys), Command::ModelCard);
        assert!(card.contains(kept) && card.contains("number type"), "{keys}: {card}");
    }
}

#[test]
fn loading_in_4_and_8_bits_at_once_is_refused() {
    let test = loaded("");
    let both = Settings::default()
        .with("load_in_4bit", Value::Bool(true))
        .with("load_in_8bit", Value::Bool(true));
    let failure =
        test.run(Command::ModelLoad { source: test.model_folder(), settings: both }).unwrap_err();
    assert!(failure.message.contains("cannot both be true") && failure.hint.is_some());
    assert!(test.session.snapshot().model.is_some());
}
