//! Text to text with a T5 of a few kilobytes.

use graft_models::{FolderParts, random_model, save_folder};
use graft_nn::{DType, Device};
use graft_protocol::{AdapterAction, Block, Command};
use graft_spec::{Settings, training};

use crate::test_session::{TestSession, keys_of};
use crate::tiny::byte_level;

/// A session with a T5, whose tokenizer has the 256 bytes, and questions with answers.
fn ready() -> TestSession {
    let test = TestSession::new();
    let folder = test.folder.path().join("t5");
    let config = serde_json::json!({"model_type": "t5", "architectures": ["T5ForConditionalGeneration"], "vocab_size": 258, "d_model": 32, "d_kv": 8, "d_ff": 48,
        "num_layers": 2, "num_heads": 4, "feed_forward_proj": "gated-gelu", "tie_word_embeddings": false, "decoder_start_token_id": 0, "pad_token_id": 0,
        "n_positions": 64, "initializer_range": 0.3});
    let model = random_model(&config, 5, &Device::Cpu).unwrap();
    let ends = ("generation_config.json", r#"{"eos_token_id": 1}"#.to_owned());
    save_folder(
        &folder,
        &FolderParts {
            model: &*model,
            dtype: DType::F32,
            config: &config,
            tokenizer: None,
            others: &[("tokenizer.json", byte_level()), ends],
        },
    )
    .unwrap();
    load(&test, &folder.display().to_string());
    let lines = (0..40).map(|n| {
        let (thing, color) = if n % 2 == 0 { ("sky", "blue") } else { ("grass", "red") };
        serde_json::json!({"prompt": format!("{n} {thing}?"), "completion": color}).to_string()
    });
    let text = lines.collect::<Vec<_>>().join("\n");
    let name = "pairs".to_owned();
    test.run(Command::DataInline { name, text, settings: Settings::default() }).unwrap();
    test
}

fn load(test: &TestSession, source: &str) {
    let source = source.to_owned();
    test.run(Command::ModelLoad { source, settings: Settings::default() }).unwrap();
}

fn answer(test: &TestSession, prompt: &str) -> String {
    let settings = keys_of(training::GENERATE, "max_new_tokens=8");
    let reply = test.run(Command::Generate { prompt: prompt.to_owned(), settings }).unwrap();
    let Some(Block::Generated { text, .. }) = reply.blocks.into_iter().next() else {
        panic!("no text")
    };
    text
}

#[test]
fn a_lora_learns_the_answers_and_writes_them_after_saving_and_loading() {
    let test = ready();
    test.attach("r=8 lora_alpha=32 target_modules=all-linear").unwrap();
    test.train("steps=150 lr=0.01 eval_every=0 batch=8").unwrap();
    let losses = test.sink.losses();
    assert!(losses[149].1 < losses[0].1 * 0.2, "{:?} {:?}", losses[0], losses[149]);
    assert_eq!(
        [answer(&test, "7 sky?"), answer(&test, "8 grass?")],
        ["blue", "red"].map(str::to_owned)
    );
    let reply =
        test.run(Command::Eval { settings: keys_of(training::EVAL, "split=train") }).unwrap();
    assert!(format!("{:?}", reply.blocks).contains("loss"), "{:?}", reply.blocks);
    let exact = keys_of(training::EVAL, "split=train metric=exact_match");
    let reply = test.run(Command::Eval { settings: exact }).unwrap();
    assert!(format!("{:?}", reply.blocks).contains("exact"), "{:?}", reply.blocks);

    let adapter = test.folder.path().join("adapter").display().to_string();
    test.adapter(AdapterAction::Save { directory: adapter.clone(), name: None }).unwrap();
    let config: serde_json::Value = serde_json::from_slice(
        &std::fs::read(std::path::Path::new(&adapter).join("adapter_config.json")).unwrap(),
    )
    .unwrap();
    assert_eq!(config["task_type"], "SEQ_2_SEQ_LM");
    test.adapter(AdapterAction::Merge { name: None }).unwrap();
    let saved = test.folder.path().join("saved").display().to_string();
    test.run(Command::ModelSave { directory: saved.clone(), settings: Settings::default() })
        .unwrap();
    load(&test, &saved);
    assert_eq!(answer(&test, "9 grass?"), "red");
}
