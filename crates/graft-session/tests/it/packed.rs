//! QLoRA: a base in 4 or 8 bits under an adapter in 32.

use graft_nn::{Weight, packable};
use graft_protocol::{AdapterAction, Command};
use graft_spec::{Settings, Value, training};

use crate::tiny::colours;
use crate::world::{World, keys_of};

fn loaded(keys: &str) -> World {
    let world = World::new();
    world
        .run(Command::ModelLoad {
            source: world.model_folder(),
            settings: keys_of(training::MODEL, keys),
        })
        .unwrap();
    world
        .run(Command::DataInline {
            name: "colours".to_owned(),
            text: colours(),
            settings: Settings::default(),
        })
        .unwrap();
    world
}

fn packed_layers(world: &World) -> usize {
    let model = world.session.state().model().unwrap();
    let is_packed = |weight: Weight| matches!(weight, Weight::Packed(_));
    packable(model.loaded.model.as_ref())
        .into_iter()
        .filter(|linear| is_packed(linear.weight().base_weight()))
        .count()
}

fn text(world: &World, command: Command) -> String {
    format!("{:?}", world.run(command).unwrap().blocks)
}

#[test]
fn a_lora_learns_on_packed_weights_and_they_stay_packed() {
    for keys in [
        "load_in_4bit=true",
        "load_in_4bit=true bnb_4bit_use_double_quant=false",
        "load_in_8bit=true",
    ] {
        let world = loaded(keys);
        assert_eq!(packed_layers(&world), 14, "{keys}");
        world.attach("r=2 lora_alpha=4").unwrap();
        world.train("steps=30 lr=0.05 eval_every=0").unwrap();
        let losses = world.ear.losses();
        assert!(losses[29].1 < losses[0].1 * 0.8, "{keys}: {losses:?}");
        assert_eq!(packed_layers(&world), 14, "{keys}");
    }
}

#[test]
fn a_merge_widens_the_layers_it_changes_and_unmerging_packs_the_same_numbers() {
    let world = loaded("load_in_4bit=true");
    world.attach("r=2 lora_alpha=4 target_modules=q_proj").unwrap();
    world.train("steps=3 lr=0.05 eval_every=0").unwrap();
    world.adapter(AdapterAction::Merge { name: None }).unwrap();
    assert_eq!(packed_layers(&world), 12);
    world.adapter(AdapterAction::Unmerge { name: None }).unwrap();
    assert_eq!(packed_layers(&world), 14);
}

#[test]
fn an_interrupted_run_finds_its_base_packed_again() {
    let whole = loaded("load_in_4bit=true");
    whole.attach("r=2").unwrap();
    whole.train("steps=8 lr=0.02 eval_every=0 batch=4").unwrap();
    let expected = whole.ear.losses();
    drop(whole);
    let world = loaded("load_in_4bit=true");
    world.attach("r=2").unwrap();
    let session = world.session.clone();
    world.ear.react(move |event| {
        if matches!(event, graft_protocol::Event::Step(step) if step.step == 5) {
            session.interrupt();
        }
    });
    world.train("steps=8 lr=0.02 eval_every=0 batch=4").unwrap_err();
    let reborn = world.reborn();
    reborn.run(Command::Resume { run: None, settings: Settings::default() }).unwrap();
    assert_eq!(packed_layers(&reborn), 14);
    assert_eq!(reborn.ear.losses(), expected[5..]);
}

#[test]
fn the_card_says_how_the_weights_are_kept_and_what_they_take() {
    for (keys, kept) in [
        ("load_in_4bit=true", "nf4, the rest f32"),
        ("load_in_8bit=true", "int8, the rest f32"),
        ("dtype=bf16", "bf16"),
    ] {
        let card = text(&loaded(keys), Command::ModelCard);
        assert!(card.contains(kept) && card.contains("memory of the weights"), "{keys}: {card}");
    }
}

#[test]
fn four_and_eight_bits_at_once_are_refused_and_the_model_before_stays() {
    let world = loaded("");
    let both = Settings::default()
        .with("load_in_4bit", Value::Bool(true))
        .with("load_in_8bit", Value::Bool(true));
    let failure =
        world.run(Command::ModelLoad { source: world.model_folder(), settings: both }).unwrap_err();
    assert!(failure.message.contains("cannot both be true") && failure.hint.is_some());
    assert!(world.session.snapshot().model.is_some());
}
