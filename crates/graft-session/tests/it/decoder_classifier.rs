//! Text classification with a decoder.

use graft_protocol::{AdapterAction, Command};
use graft_spec::{Settings, training};

use crate::test_session::{TestSession, keys_of};
use crate::tiny::colors;

#[test]
fn a_decoder_with_a_fresh_head_learns_the_labels_and_is_saved_with_them() {
    let test = TestSession::new();
    let said = |command: Command| format!("{:?}", test.run(command).unwrap().blocks);
    said(Command::DataInline {
        name: "colors".to_owned(),
        text: colors(),
        settings: Settings::default(),
    });
    let load = |source: String, keys: &str| {
        said(Command::ModelLoad { source, settings: keys_of(training::MODEL, keys) })
    };
    let loaded = load(test.model_folder(), "num_labels=2");
    assert!(loaded.contains("`score`"), "{loaded}");
    test.attach("r=2 lora_alpha=4").unwrap();
    test.train("steps=40 lr=0.02 eval_every=0 batch=8").unwrap();
    let losses = test.sink.losses();
    assert!(losses[39].1 < losses[0].1 * 0.8, "{losses:?}");
    let evaluated = said(Command::Eval { settings: keys_of(training::EVAL, "split=train") });
    assert!(evaluated.contains("accuracy"), "{evaluated}");
    test.adapter(AdapterAction::Merge { name: None }).unwrap();
    let saved = test.folder.path().join("saved");
    said(Command::ModelSave {
        directory: saved.display().to_string(),
        settings: Settings::default(),
    });
    let config: serde_json::Value =
        serde_json::from_slice(&std::fs::read(saved.join("config.json")).unwrap()).unwrap();
    assert_eq!(config["architectures"][0], "LlamaForSequenceClassification");
    assert_eq!(config["id2label"], serde_json::json!({"0": "blue", "1": "green"}));
    let again = load(saved.display().to_string(), "");
    assert!(!again.contains("newly initialized"), "{again}");
}
