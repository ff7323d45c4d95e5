//! Prompt and completion are tokenized as transformers and TRL tokenize them.

use std::path::Path;

use graft_models::{FolderParts, Tokenizer, random_model, save_folder};
use graft_nn::{DType, Device};
use graft_protocol::{Block, Command, Event};
use graft_spec::{Settings, training};

use crate::{
    test_session::{TestSession, keys_of},
    text_golden::check,
};

const GOLDENS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/goldens/text");

#[test]
fn every_completion_and_conversation_is_tokenized_and_labeled_as_by_transformers_and_trl() {
    let tallies = check(Path::new(GOLDENS)).unwrap();
    let unmet: Vec<_> = tallies
        .iter()
        .flat_map(|(name, tally)| tally.unmet.iter().map(move |case| format!("{name}: {case}")))
        .collect();
    assert_eq!(unmet, Vec::<String>::new());
    let met = |kind: &str| {
        let of_kind = tallies.iter().filter(|(name, _)| name.starts_with(kind));
        of_kind.map(|(_, tally)| tally.met).collect::<Vec<_>>()
    };
    assert_eq!((met("completion "), met("chat ")), (vec![10; 5], vec![96; 5]));
}

/// A model of a few kilobytes with one of the five tokenizers.
pub(crate) fn load(test: &TestSession, tokenizer: &str) {
    let folder = test.folder.path().join(tokenizer);
    let config = serde_json::json!({"model_type": "llama", "architectures": ["LlamaForCausalLM"], "vocab_size": 700, "hidden_size": 16, "intermediate_size": 24,
        "num_hidden_layers": 2, "num_attention_heads": 2, "max_position_embeddings": 64, "initializer_range": 0.3});
    let model = random_model(&config, 5, &Device::Cpu).unwrap();
    let tokenizer =
        Tokenizer::from_folder(&Path::new(GOLDENS).join("tokenizers").join(tokenizer)).unwrap();
    save_folder(
        &folder,
        &FolderParts {
            model: &*model,
            dtype: DType::F32,
            config: &config,
            tokenizer: Some(&tokenizer),
            others: &[],
        },
    )
    .unwrap();
    test.run(Command::ModelLoad {
        source: folder.display().to_string(),
        settings: Settings::default(),
    })
    .unwrap();
}

#[test]
fn a_model_learns_the_completion_with_its_one_space_and_writes_it_so() {
    for tokenizer in
        ["bytelevel", "llama2", "metaspace-always", "metaspace-first", "metaspace-never"]
    {
        let test = TestSession::new();
        load(&test, tokenizer);
        let lines = vec![r#"{"prompt": "Answer:", "completion": " yes"}"#; 20].join("\n");
        test.run(Command::DataInline {
            name: "answers".to_owned(),
            text: lines,
            settings: Settings::default(),
        })
        .unwrap();
        let settings = keys_of(training::TRAIN, "steps=60 lr=0.02 batch=8 eval_every=0");
        test.run(Command::Train {
            attach: Some(("full".to_owned(), Settings::default())),
            settings,
        })
        .unwrap();
        // ` yes` is one token after the prompt, and the end another.
        let reply = test
            .run(Command::Eval { settings: keys_of(training::EVAL, "split=train base=false") })
            .unwrap();
        assert!(
            format!("{:?}", reply.blocks).contains("over 32 tokens with loss"),
            "{tokenizer}: {:?}",
            reply.blocks
        );
        let settings = keys_of(training::GENERATE, "max_new_tokens=8");
        let reply = test.run(Command::Generate { prompt: "Answer:".to_owned(), settings }).unwrap();
        let Some(Block::Generated { text, .. }) = reply.blocks.into_iter().next() else {
            panic!("no text")
        };
        let streamed: String = test
            .sink
            .events()
            .into_iter()
            .filter_map(|event| if let Event::Text(text) = event { Some(text) } else { None })
            .collect();
        assert_eq!((text.as_str(), streamed.as_str()), (" yes", " yes"), "{tokenizer}");
    }
}
