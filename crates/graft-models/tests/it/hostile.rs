//! Invalid configs, headers and tokenizers: loading returns a model or an error in bounded time and
//! memory, and never panics.
//!
//! A few hundred mutations of each kind by default; `GRAFT_TEST_LONG=1` makes it twenty thousand.

use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
};

use graft_models::{FolderParts, Loaded, ModelError, load, random_model, save_folder};
use graft_nn::{Context, DType, Device, Rng, Stream, Tensor, TokenEncoder};
use graft_spec::{Hint, Settings};
use serde_json::{Value, json};

use crate::bounded_alloc::largest_request;

/// Largest accepted allocation: these models have a few kilobytes.
const BOUND: usize = 64 << 20;

/// Reproducible random choices.
struct Dice(Stream);

impl Dice {
    fn new(name: &str) -> Self {
        Self(Rng::new(20).stream("hostile", name))
    }

    fn below(&mut self, limit: usize) -> usize {
        self.0.below(limit as u64) as usize
    }

    fn of<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.below(choices.len())]
    }
}

fn rounds(few: usize) -> usize {
    if std::env::var_os("GRAFT_TEST_LONG").is_some() { 20_000 } else { few }
}

fn configs() -> Vec<Value> {
    let llama = json!({"model_type": "llama", "architectures": ["LlamaForCausalLM"], "vocab_size": 64, "hidden_size": 16, "intermediate_size": 24,
        "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 4, "max_position_embeddings": 32, "rope_theta": 1e4,
        "rms_norm_eps": 1e-6, "tie_word_embeddings": false, "eos_token_id": 1});
    let mut qwen = llama.clone();
    qwen["model_type"] = "qwen3".into();
    let gpt2 = json!({"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "vocab_size": 64, "n_embd": 16, "n_layer": 2, "n_head": 4, "n_inner": 24,
        "n_positions": 32, "layer_norm_epsilon": 1e-5, "activation_function": "gelu_new"});
    let bert = json!({"model_type": "bert", "architectures": ["BertForSequenceClassification"], "vocab_size": 64, "hidden_size": 16, "intermediate_size": 24,
        "num_hidden_layers": 2, "num_attention_heads": 4, "max_position_embeddings": 32, "type_vocab_size": 2, "id2label": {"0": "a", "1": "b"},
        "layer_norm_eps": 1e-12, "hidden_act": "gelu"});
    vec![llama, qwen, gpt2, bert]
}

/// Optional keys of a config, in addition to those of [`configs`].
const MORE_KEYS: &[&str] = &[
    "sliding_window",
    "use_sliding_window",
    "max_window_layers",
    "layer_types",
    "rope_scaling",
    "rope_parameters",
    "num_labels",
    "n_ctx",
    "label2id",
    "quantization_config",
];

fn hostile(dice: &mut Dice) -> Value {
    let numbers = [0i64, -1, 1, 2, 3, 7, 1 << 20, 1 << 31, (1 << 32) - 1, 1 << 32, i64::MAX];
    match dice.below(5) {
        0 | 1 => json!(dice.of(&numbers)),
        2 => dice
            .of(&[
                json!(null),
                json!(true),
                json!("x"),
                json!([]),
                json!({}),
                json!(u64::MAX),
                json!(1e308),
                json!(-0.5),
                json!(1e-320),
            ])
            .clone(),
        3 => {
            json!({"rope_type": dice.of(&["linear", "llama3", "default", "yarn"]), "factor": dice.of(&[0.0, 1e308, -1.0, 8.0]), "low_freq_factor": 4.0,
            "high_freq_factor": dice.of(&[4.0, 1.0, 0.0]), "original_max_position_embeddings": dice.of(&[0.0, 1e300, 32.0])})
        }
        _ => json!(vec!["sliding_attention"; dice.below(4)]),
    }
}

/// A folder with a random model and a tokenizer of 64 words.
fn folder(config: &Value) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let model = random_model(config, 1, &Device::Cpu).unwrap();
    save_folder(
        folder.path(),
        &FolderParts { model: &*model, dtype: DType::F32, config, tokenizer: None, others: &[] },
    )
    .unwrap();
    fs::write(folder.path().join("tokenizer.json"), tokenizer().to_string()).unwrap();
    folder
}

pub(crate) fn tokenizer() -> Value {
    let vocab: serde_json::Map<_, _> = (0..62)
        .map(|id| (format!("w{id}"), id.into()))
        .chain([("[UNK]".to_owned(), 62.into()), ("a".to_owned(), 63.into())])
        .collect();
    json!({"version": "1.0", "truncation": null, "padding": null, "added_tokens": [{"id": 0, "content": "w0", "single_word": false, "lstrip": false,
            "rstrip": false, "normalized": false, "special": true}],
        "normalizer": {"type": "Sequence", "normalizers": [{"type": "Lowercase"}, {"type": "Replace", "pattern": {"String": "b"}, "content": "a"}]},
        "pre_tokenizer": {"type": "Whitespace"}, "post_processor": null, "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": true},
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100, "vocab": vocab}})
}

fn open(place: &Path) -> Result<Loaded, ModelError> {
    load(&place.display().to_string(), &Settings::default(), &Device::Cpu, &mut |_, _, _| {})
}

/// Loads and, if that succeeds, runs the model. The result may be wrong, but it must not panic.
fn survives(place: &Path, what: &str) -> bool {
    let answer = catch_unwind(AssertUnwindSafe(|| {
        let loaded = match open(place) {
            Ok(loaded) => loaded,
            Err(error) => {
                assert!(!error.to_string().is_empty());
                return false;
            }
        };
        let ids = Tensor::new(&[[3u32, 9, 20]], &Device::Cpu).unwrap();
        let _ = loaded.model.hidden(&ids, None, &Context::eval());
        let _ = loaded.tokenizer.encode("a w1 b").and_then(|ids| loaded.tokenizer.decode(&ids));
        true
    }));
    assert!(largest_request() < BOUND, "{what}: {} bytes at once", largest_request());
    answer.unwrap_or_else(|_| panic!("a panic: {what}"))
}

#[test]
fn a_config_with_any_values_is_a_model_or_an_error() {
    let mut dice = Dice::new("config");
    let folders: Vec<_> = configs().iter().map(folder).collect();
    let mut loaded = 0;
    for round in 0..rounds(400) {
        let (config, folder) = (&configs()[round % 4], &folders[round % 4]);
        let mut keys: Vec<_> = config.as_object().unwrap().keys().map(String::as_str).collect();
        keys.extend(MORE_KEYS);
        let mut mutated = config.clone();
        for _ in 0..=dice.below(2) {
            let key = *dice.of(&keys);
            mutated[key] = hostile(&mut dice);
        }
        fs::write(folder.path().join("config.json"), mutated.to_string()).unwrap();
        loaded += usize::from(survives(folder.path(), &mutated.to_string()));
    }
    assert!(loaded > 0, "some of the values are harmless");
}

#[test]
fn sizes_beyond_the_files_are_refused_by_name() {
    for (config, keys) in configs().iter().zip([
        ["num_hidden_layers", "vocab_size", "hidden_size", "num_key_value_heads"],
        ["num_hidden_layers", "intermediate_size", "num_attention_heads", "head_dim"],
        ["n_layer", "n_embd", "n_inner", "n_head"],
        ["num_hidden_layers", "type_vocab_size", "hidden_size", "num_attention_heads"],
    ]) {
        let folder = folder(config);
        for key in keys {
            for size in [0u64, 1 << 31] {
                let mut mutated = config.clone();
                mutated[key] = size.into();
                fs::write(folder.path().join("config.json"), mutated.to_string()).unwrap();
                let error = open(folder.path()).err().unwrap();
                assert!(
                    error.code() == "models::malformed"
                        && error.to_string().contains(&format!("`{key}`")),
                    "{error}"
                );
            }
        }
    }
    // A context of two billion positions needs no memory until it is used.
    let mut long = configs()[0].clone();
    let folder = folder(&long);
    long["max_position_embeddings"] = (1u64 << 31).into();
    fs::write(folder.path().join("config.json"), long.to_string()).unwrap();
    assert!(survives(folder.path(), "2^31 positions"));
}

#[test]
fn a_safetensors_header_with_any_bytes_is_a_model_or_an_error() {
    let mut dice = Dice::new("safetensors");
    let folder = folder(&configs()[3]);
    let path = folder.path().join("model.safetensors");
    let whole = fs::read(&path).unwrap();
    let header = u64::from_le_bytes(whole[..8].try_into().unwrap()) as usize;
    for round in 0..rounds(400) {
        let mut bytes = whole.clone();
        for _ in 0..=dice.below(3) {
            let place = dice.below(8 + header);
            bytes[place] = match dice.below(3) {
                0 => *dice.of(b"0123456789"),
                1 => *dice.of(b"{}[]\",:"),
                _ => dice.below(256) as u8,
            };
        }
        if dice.below(8) == 0 {
            bytes.truncate(dice.below(whole.len()));
        }
        fs::write(&path, &bytes).unwrap();
        survives(folder.path(), &format!("round {round}"));
    }
}

fn golden(name: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/goldens-gguf")).join(name)
}

#[test]
fn a_gguf_header_with_any_bytes_is_a_model_or_an_error() {
    let (mut dice, folder) = (Dice::new("gguf"), tempfile::tempdir().unwrap());
    let path = folder.path().join("x.gguf");
    let names = ["llama-q8_0.gguf", "qwen2-q4_0.gguf", "qwen3-f16.gguf"]
        .map(|name| fs::read(golden(name)).unwrap());
    for round in 0..rounds(150) {
        let mut bytes = names[round % 3].clone();
        // Mutates the counts, the first keys and the tensor names, not the long vocabulary.
        let places = [24usize, 2_000, bytes.len() / 2];
        for _ in 0..=dice.below(3) {
            let limit = *dice.of(&places);
            let place = dice.below(limit);
            let numbers = [0, 1, 1 << 31, u64::MAX, 1 << 40, dice.below(1 << 16) as u64];
            let number = dice.of(&numbers).to_le_bytes();
            let width = (*dice.of(&[1, 4, 8])).min(bytes.len() - place);
            bytes[place..place + width].copy_from_slice(&number[..width]);
        }
        fs::write(&path, &bytes).unwrap();
        survives(&path, &format!("round {round}"));
    }
}

/// Replaces the number after a key.
fn with_number(name: &str, key: &str, number: u32) -> Vec<u8> {
    let mut bytes = fs::read(golden(name)).unwrap();
    let place = bytes.windows(key.len()).position(|window| window == key.as_bytes()).unwrap()
        + key.len()
        + 4;
    bytes[place..place + 4].copy_from_slice(&number.to_le_bytes());
    bytes
}

#[test]
fn invalid_gguf_numbers_are_refused_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.gguf");
    for (key, number, word) in [
        ("qwen2.attention.head_count_kv", 0, "num_key_value_heads"),
        ("qwen2.attention.head_count", 0, "head_count` must not be 0"),
        ("qwen2.block_count", 1 << 31, "num_hidden_layers"),
        ("qwen2.embedding_length", u32::MAX, "hidden_size"),
    ] {
        fs::write(&path, with_number("qwen2-q4_0.gguf", key, number)).unwrap();
        let error = open(&path).err().unwrap();
        assert!(
            error.code() == "models::malformed" && error.to_string().contains(word),
            "{key}: {error}"
        );
    }
    // Renames an optional key to the alignment; the data that it shifts comes later.
    let bytes = fs::read(golden("qwen2-q4_0.gguf")).unwrap();
    let key = b"qwen2.vocab_size";
    let place = bytes.windows(key.len()).position(|window| window == key).unwrap();
    let mut header = bytes[..place - 8].to_vec();
    header.extend(17u64.to_le_bytes());
    header.extend(b"general.alignment");
    header.extend(4u32.to_le_bytes());
    header.extend(0u32.to_le_bytes());
    header.extend(&bytes[place + key.len() + 8..]);
    fs::write(&path, &header).unwrap();
    let error = open(&path).err().unwrap().to_string();
    assert!(error.contains("`general.alignment` must be a multiple of 8, got 0"), "{error}");
}

/// Replaces a random nested value by a hostile one.
fn scatter(value: &mut Value, dice: &mut Dice) {
    let children: Vec<&mut Value> = match value {
        Value::Object(object) => object.values_mut().collect(),
        Value::Array(array) => array.iter_mut().collect(),
        _ => Vec::new(),
    };
    let (count, chosen) = (children.len(), dice.below(children.len()));
    if count == 0 || dice.below(5) == 0 {
        *value = hostile(dice);
        return;
    }
    children.into_iter().skip(chosen).take(1).for_each(|child| scatter(child, dice));
}

#[test]
fn a_tokenizer_with_any_values_is_one_or_an_error() {
    let (mut dice, folder) = (Dice::new("tokenizer"), folder(&configs()[0]));
    let path = folder.path().join("tokenizer.json");
    let whole = tokenizer().to_string().into_bytes();
    for round in 0..rounds(300) {
        let mut bytes = whole.clone();
        if round % 2 == 0 {
            let mut changed = tokenizer();
            scatter(&mut changed, &mut dice);
            bytes = changed.to_string().into_bytes();
        }
        for _ in 0..dice.below(3) * (round % 2) {
            let place = dice.below(bytes.len());
            match dice.below(3) {
                0 => bytes[place] = *dice.of(b"0123456789{}[]\",:"),
                1 => drop(bytes.remove(place)),
                _ => bytes[place] = 32 + dice.below(90) as u8,
            }
        }
        fs::write(&path, &bytes).unwrap();
        survives(folder.path(), &format!("round {round}: {}", String::from_utf8_lossy(&bytes)));
    }
    let mut exploding = tokenizer();
    exploding["normalizer"]["normalizers"] =
        json!(vec![json!({"type": "Replace", "pattern": {"String": "a"}, "content": "aa"}); 40]);
    fs::write(&path, exploding.to_string()).unwrap();
    let error = open(folder.path()).err().unwrap();
    assert!(error.to_string().contains("times longer"), "{error}");
}

#[test]
fn pipes_devices_and_circles_of_links_in_the_place_of_files_are_answered_at_once() {
    for name in [
        "config.json",
        "tokenizer.json",
        "model.safetensors",
        "generation_config.json",
        "tokenizer_config.json",
        "README.md",
    ] {
        for kind in ["pipe", "zero", "circle"] {
            let folder = folder(&configs()[0]);
            let path = folder.path().join(name);
            let _ = fs::remove_file(&path);
            match kind {
                "pipe" => assert!(
                    std::process::Command::new("mkfifo").arg(&path).status().unwrap().success()
                ),
                "zero" => std::os::unix::fs::symlink("/dev/zero", &path).unwrap(),
                _ => std::os::unix::fs::symlink(&path, &path).unwrap(),
            }
            let is_needed = matches!(name, "config.json" | "tokenizer.json" | "model.safetensors");
            assert_eq!(survives(folder.path(), name), !is_needed, "{name} as a {kind}");
        }
    }
}

#[test]
fn a_head_beyond_all_memory_is_refused_before_it_is_made() {
    let folder = folder(&configs()[3]);
    let mut config = configs()[3].clone();
    config["num_labels"] = (1u64 << 31).into();
    let tensors = graft_nn::tensor_file::TensorFile::open(&folder.path().join("model.safetensors"))
        .unwrap()
        .tensors(&Device::Cpu)
        .unwrap();
    let headless =
        tensors.into_iter().filter(|(name, _)| !name.starts_with("classifier")).collect();
    graft_nn::tensor_file::write(&folder.path().join("model.safetensors"), &headless).unwrap();
    fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
    let error = open(folder.path()).err().unwrap();
    assert_eq!(error.code(), "models::memory", "{error}");
}
