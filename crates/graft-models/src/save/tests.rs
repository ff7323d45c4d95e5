use std::fs;

use graft_nn::{Context, Device, Tensor};
use graft_spec::{Settings, Value as Setting};
use serde_json::json;

use super::*;
use crate::{load, random_model, tokenizer::tests::byte_level};

/// Tokenizer, chat and generation files that Graft reads only in part.
const SIDE_FILES: &[(&str, &str)] = &[
    (
        "tokenizer_config.json",
        r#"{"tokenizer_class": "PreTrainedTokenizerFast",   "eos_token": "</s>"}"#,
    ),
    ("special_tokens_map.json", r#"{"eos_token": "</s>"}"#),
    ("added_tokens.json", r#"{"<extra>": 257}"#),
    ("chat_template.jinja", "{% for m in messages %}{{ m.content }}{% endfor %}\n"),
    ("additional_chat_templates/tools.jinja", "{{ tools }}"),
    ("generation_config.json", r#"{"eos_token_id": [1, 9], "temperature": 0.6, "top_p": 0.9}"#),
    ("vocab.json", "{}"),
    ("merges.txt", "#version: 0.2\n"),
];

/// A folder with a random model, a tokenizer with padding, and all side files.
fn folder(config: &Value) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let model = random_model(config, 7, &Device::Cpu).unwrap();
    let tokenizer = byte_level(true).replace(
        r#""padding":null"#,
        r#""padding":{"strategy":"BatchLongest","direction":"Right","pad_to_multiple_of":null,"pad_id":1,"pad_type_id":0,"pad_token":"</s>"}"#,
    );
    assert!(tokenizer.contains("BatchLongest"));
    save_folder(
        folder.path(),
        &FolderParts { model: &*model, dtype: DType::F32, config, tokenizer: None, others: &[] },
    )
    .unwrap();
    // Restores the config as another program writes it.
    fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
    fs::write(folder.path().join("tokenizer.json"), tokenizer).unwrap();
    fs::create_dir(folder.path().join("additional_chat_templates")).unwrap();
    SIDE_FILES.iter().for_each(|(name, text)| fs::write(folder.path().join(name), text).unwrap());
    folder
}

fn llama() -> Value {
    json!({"model_type": "llama", "architectures": ["LlamaForCausalLM"], "vocab_size": 258, "hidden_size": 16, "intermediate_size": 24,
        "num_hidden_layers": 1, "num_attention_heads": 2, "initializer_range": 0.3, "auto_map": {"AutoModel": "modeling.Mine"}})
}

fn masked() -> Value {
    json!({"model_type": "bert", "architectures": ["BertForMaskedLM"], "vocab_size": 258, "hidden_size": 16, "intermediate_size": 24,
        "num_hidden_layers": 1, "num_attention_heads": 2, "max_position_embeddings": 32, "initializer_range": 0.3, "problem_type": "regression",
        "id2label": {"0": "old", "1": "older"}, "label2id": {"old": 0, "older": 1}})
}

fn open(folder: &Path, settings: &Settings) -> Loaded {
    load(&folder.display().to_string(), settings, &Device::Cpu, &mut |_, _, _| {}).unwrap()
}

fn logits(loaded: &Loaded) -> Vec<f32> {
    let ids = Tensor::new(&[[3u32, 9, 200], [7, 7, 1]], &Device::Cpu).unwrap();
    loaded
        .model
        .logits(&ids, None, &Context::eval())
        .unwrap()
        .flatten_all()
        .unwrap()
        .to_vec1()
        .unwrap()
}

fn config_of(folder: &Path) -> Value {
    serde_json::from_slice(&fs::read(folder.join("config.json")).unwrap()).unwrap()
}

#[test]
fn a_classifier_is_saved_with_its_architecture_and_its_classes_and_predicts_the_same() {
    let (from, to) = (folder(&masked()), tempfile::tempdir().unwrap());
    let loaded = open(from.path(), &Settings::default().with("num_labels", Setting::Integer(3)));
    let save = || {
        save_loaded(to.path(), &SavedModel { loaded: &loaded, dtype: DType::F32 }).unwrap();
        config_of(to.path())
    };
    let config = save();
    assert_eq!(config["architectures"], json!(["BertForSequenceClassification"]));
    assert_eq!(
        (&config["num_labels"], &config["problem_type"]),
        (&json!(3), &json!("single_label_classification"))
    );
    assert_eq!(config["id2label"], json!({"0": "LABEL_0", "1": "LABEL_1", "2": "LABEL_2"}));
    assert_eq!(config["label2id"], json!({"LABEL_0": 0, "LABEL_1": 1, "LABEL_2": 2}));
    // Class names from training labels.
    loaded
        .model
        .label_names()
        .unwrap()
        .set(Some(std::sync::Arc::new(["no", "yes", "maybe"].map(str::to_owned).to_vec())));
    let config = save();
    assert_eq!(
        (&config["id2label"]["2"], &config["label2id"]["yes"]),
        (&json!("maybe"), &json!(1))
    );
    let again = open(to.path(), &Settings::default());
    assert_eq!(logits(&again), logits(&loaded));
    assert_eq!(again.model.label_names().unwrap().get().unwrap()[2], "maybe");
    assert_eq!(again.warnings, Vec::<String>::new());
    let names = tensor_file::TensorFile::open(&to.path().join("model.safetensors")).unwrap();
    assert!(
        names.entries().contains_key("classifier.weight")
            && names.entries().contains_key("bert.embeddings.LayerNorm.weight")
    );
}

#[test]
fn a_bare_encoder_is_saved_as_one() {
    let (from, to) = (folder(&masked()), tempfile::tempdir().unwrap());
    save_loaded(
        to.path(),
        &SavedModel { loaded: &open(from.path(), &Settings::default()), dtype: DType::F32 },
    )
    .unwrap();
    assert_eq!(config_of(to.path())["architectures"], json!(["BertModel"]));
}

#[test]
fn every_file_of_tokenizer_chat_and_generation_is_carried_over_byte_by_byte() {
    let (from, to) = (folder(&llama()), tempfile::tempdir().unwrap());
    let loaded = open(from.path(), &Settings::default());
    let target = to.path().join("new");
    let written =
        save_loaded(&target, &SavedModel { loaded: &loaded, dtype: DType::BF16 }).unwrap();
    for name in SIDE_FILES.iter().map(|(name, _)| *name).chain(["tokenizer.json"]) {
        assert_eq!(
            fs::read(from.path().join(name)).unwrap(),
            fs::read(target.join(name)).unwrap(),
            "{name}"
        );
        assert!(written.iter().any(|file| file == name), "{name} of {written:?}");
    }
    let config = config_of(&target);
    assert_eq!(
        (&config["dtype"], &config["tie_word_embeddings"], &config["auto_map"]),
        (&json!("bfloat16"), &json!(false), &Value::Null)
    );
    let again = open(&target, &Settings::default());
    assert_eq!(again.tokenizer.ends(), loaded.tokenizer.ends());
    assert_eq!(fs::read_dir(to.path()).unwrap().count(), 1);
}

#[test]
fn a_model_is_saved_without_its_source_folder_and_over_itself() {
    let from = folder(&llama());
    let loaded = open(from.path(), &Settings::default());
    save_loaded(from.path(), &SavedModel { loaded: &loaded, dtype: DType::F32 }).unwrap();
    assert_eq!(logits(&open(from.path(), &Settings::default())), logits(&loaded));
    assert_eq!(fs::read_to_string(from.path().join("vocab.json")).unwrap(), "{}");
    let to = tempfile::tempdir().unwrap();
    drop(from);
    save_loaded(to.path(), &SavedModel { loaded: &loaded, dtype: DType::F32 }).unwrap();
    let again = open(to.path(), &Settings::default());
    assert_eq!(
        (logits(&again), again.tokenizer.ends()),
        (logits(&loaded), loaded.tokenizer.ends())
    );
}

#[test]
fn the_files_of_a_model_that_was_loaded_by_a_relative_path_are_found_from_every_folder() {
    let (from, to) = (folder(&llama()), tempfile::tempdir().unwrap());
    let up = "../".repeat(std::env::current_dir().unwrap().components().count() - 1);
    let relative = format!("{up}{}", from.path().strip_prefix("/").unwrap().display());
    let loaded = open(Path::new(&relative), &Settings::default());
    assert!(loaded.source.is_absolute() && loaded.name == relative, "{}", loaded.source.display());
    save_loaded(to.path(), &SavedModel { loaded: &loaded, dtype: DType::F32 }).unwrap();
    assert_eq!(fs::read_to_string(to.path().join("merges.txt")).unwrap(), "#version: 0.2\n");
}

#[test]
fn files_of_the_model_before_go_and_those_of_the_user_stay() {
    let (from, to) = (folder(&llama()), tempfile::tempdir().unwrap());
    for stale in [
        "spiece.model",
        "chat_template.json",
        "model.safetensors.index.json",
        "model-00001-of-00002.safetensors",
        "notes.md",
    ] {
        fs::write(to.path().join(stale), "old").unwrap();
    }
    save_loaded(
        to.path(),
        &SavedModel { loaded: &open(from.path(), &Settings::default()), dtype: DType::F32 },
    )
    .unwrap();
    let names: Vec<_> = fs::read_dir(to.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    assert!(names.iter().any(|name| name == "notes.md"), "{names:?}");
    assert!(!names.iter().any(|name| name.contains("spiece")
        || name == "chat_template.json"
        || name.starts_with("model-")
        || name.ends_with("index.json")));
    open(to.path(), &Settings::default());
}

#[test]
fn a_gguf_files_special_tokens_and_chat_template_are_saved() {
    let golden =
        Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/goldens-gguf/qwen2-q4_0.gguf"));
    let (folder, template) = (
        tempfile::tempdir().unwrap(),
        "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}{% endfor %}",
    );
    let source = folder.path().join("chat.gguf");
    with_key(golden, &source, "tokenizer.chat_template", template);
    let loaded = open(&source, &Settings::default());
    let target = folder.path().join("saved");
    save_loaded(&target, &SavedModel { loaded: &loaded, dtype: DType::F32 }).unwrap();
    let tokenizer: Value =
        serde_json::from_slice(&fs::read(target.join("tokenizer_config.json")).unwrap()).unwrap();
    assert_eq!(tokenizer["chat_template"], json!(template));
    assert_eq!(tokenizer["eos_token"], json!(graft_nn::TokenEncoder::token(&*loaded.tokenizer, 1)));
    let again = open(&target, &Settings::default());
    assert_eq!(again.tokenizer.ends(), loaded.tokenizer.ends());
    assert_eq!(config_of(&target)["architectures"], json!(["Qwen2ForCausalLM"]));
}

/// A copy of a GGUF file with an additional key.
fn with_key(from: &Path, to: &Path, key: &str, text: &str) {
    use candle_core::quantized::gguf_file::{Content, Value as Entry, write};
    let mut file = fs::File::open(from).unwrap();
    let content = Content::read(&mut file).unwrap();
    let added = Entry::String(text.to_owned());
    let metadata: Vec<_> = content
        .metadata
        .iter()
        .map(|(key, value)| (key.as_str(), value))
        .chain([(key, &added)])
        .collect();
    let tensors: Vec<_> = content
        .tensor_infos
        .keys()
        .map(|name| (name, content.tensor(&mut file, name, &Device::Cpu).unwrap()))
        .collect();
    let tensors: Vec<_> = tensors.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
    write(&mut fs::File::create(to).unwrap(), &metadata, &tensors).unwrap();
}
