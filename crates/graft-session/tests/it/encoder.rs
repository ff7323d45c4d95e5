//! A BERT encoder learns to tell texts apart.

use graft_models::{FolderParts, Tokenizer, random_model, save_folder};
use graft_nn::{DType, Device};
use graft_protocol::{Command, Settings, training};

use crate::tiny::colours;
use crate::world::{World, keys_of};

/// A bare encoder of a few kilobytes beside the world's model, whose tokenizer it shares.
fn encoder(world: &World) -> String {
    let folder = world.folder.path().join("encoder");
    let config = serde_json::json!({"model_type": "bert", "architectures": ["BertModel"], "vocab_size": 258, "hidden_size": 16, "intermediate_size": 24,
        "num_hidden_layers": 2, "num_attention_heads": 2, "max_position_embeddings": 64, "initializer_range": 0.3});
    let model = random_model(&config, 5, &Device::Cpu).unwrap();
    let tokenizer = Tokenizer::from_folder(&world.folder.path().join("model")).unwrap();
    save_folder(&folder, &FolderParts { model: &*model, dtype: DType::F32, config: &config, tokenizer: Some(&tokenizer), others: &[] }).unwrap();
    folder.display().to_string()
}

fn with_data() -> (World, String) {
    let world = World::new();
    let folder = encoder(&world);
    world.run(Command::DataInline { name: "colours".to_owned(), text: colours(), settings: Settings::default() }).unwrap();
    (world, folder)
}

fn load(world: &World, folder: &str, keys: &str) -> String {
    let settings = keys_of(training::MODEL, keys);
    format!("{:?}", world.run(Command::ModelLoad { source: folder.to_owned(), settings }).unwrap().blocks)
}

#[test]
fn a_lora_and_a_fresh_head_learn_the_labels_and_are_scored() {
    let (world, folder) = with_data();
    let said = load(&world, &folder, "num_labels=2");
    assert!(said.contains("`classifier`"), "{said}");
    world.attach("r=2 lora_alpha=4").unwrap();
    world.train("steps=40 lr=0.02 eval_every=0 batch=8").unwrap();
    let losses = world.ear.losses();
    assert!(losses[39].1 < losses[0].1 * 0.8, "{losses:?}");
    let reply = world.run(Command::Eval { settings: keys_of(training::EVAL, "split=train") }).unwrap();
    assert!(format!("{:?}", reply.blocks).contains("accuracy"));
}

#[test]
fn a_head_that_does_not_fit_the_data_and_a_missing_one_say_what_to_type() {
    let (world, folder) = with_data();
    for (keys, code) in [("num_labels=3", "train::classes"), ("", "train::no_head")] {
        load(&world, &folder, keys);
        world.attach("r=2").unwrap();
        let failure = world.train("steps=2 eval_every=0").unwrap_err();
        assert_eq!(failure.code, code);
        assert!(failure.hint.is_some_and(|hint| hint.contains("num_labels=2")));
    }
}
