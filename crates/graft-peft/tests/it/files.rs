//! Adapter folders as other programs write them: base weights in the file, several files, null
//! targets; and interrupted saves.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use graft_models::{Llama, LlamaConfig, random_model};
use graft_nn::{Context, DType, Device, Model, Tensor, tensor_file};
use graft_peft::{Adapter, AttachContext, PeftError, attach, load};
use graft_spec::{Hint, Settings, Value};
use serde_json::json;

use crate::method_contract::randomize;

type Tensors = BTreeMap<String, Tensor>;

/// A small Llama, with or without a tied head.
pub(crate) fn llama(tied: bool, seed: u64) -> Llama {
    let json = json!({"vocab_size": 50, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 3, "num_attention_heads": 4,
        "num_key_value_heads": 2, "max_position_embeddings": 40, "initializer_range": 0.2, "tie_word_embeddings": tied});
    Llama::random(&LlamaConfig::from_json(&json).unwrap(), seed, &Device::Cpu).unwrap()
}

pub(crate) fn attach_context(model: &dyn Model) -> AttachContext<'_> {
    AttachContext::new(model, "toy", 9)
}

pub(crate) fn output(model: &dyn Model) -> Vec<f32> {
    let ids = Tensor::new(&[[4u32, 8, 15, 16, 23, 42], [7, 7, 1, 0, 49, 3]], &Device::Cpu).unwrap();
    model.logits(&ids, None, &Context::eval()).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

pub(crate) fn distance(a: &[f32], b: &[f32]) -> f32 {
    if a.len() != b.len() {
        f32::INFINITY
    } else {
        a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
    }
}

/// A randomized LoRA on q_proj, saved and detached.
pub(crate) fn saved(model: &dyn Model, folder: &Path) {
    let keys = Settings::default()
        .with("r", Value::Integer(2))
        .with("target_modules", Value::List(vec!["q_proj".to_owned()]));
    let adapter = attach(&attach_context(model), "lora", &keys).unwrap();
    randomize(&adapter, 3);
    adapter.save(folder, "toy").unwrap();
    adapter.detach(model).unwrap();
}

fn tensors(folder: &Path) -> Tensors {
    tensor_file::TensorFile::open(&folder.join("adapter_model.safetensors"))
        .unwrap()
        .tensors(&Device::Cpu)
        .unwrap()
}

fn write(folder: &Path, tensors: &Tensors) {
    tensor_file::write(&folder.join("adapter_model.safetensors"), tensors).unwrap();
}

fn noise(seed: u64, shape: (usize, usize)) -> Tensor {
    Tensor::from_vec(
        graft_nn::Rng::new(seed).stream("own", "").normal(0.0, 0.3, shape.0 * shape.1),
        shape,
        &Device::Cpu,
    )
    .unwrap()
}

fn refused(model: &dyn Model, folder: &Path) -> PeftError {
    let base = output(model);
    let error = load(&attach_context(model), folder, "default").err().expect("refused");
    assert_eq!(output(model), base, "something was left attached");
    error
}

/// A model with other weights at these paths, as HF PEFT's `load_state_dict` changes the base
/// model.
fn with_weights(tied: bool, seed: u64, weights: &[(&str, &Tensor)]) -> Llama {
    let model = llama(tied, seed);
    for (path, tensor) in weights {
        model
            .parameters()
            .into_iter()
            .find(|parameter| parameter.path() == *path)
            .unwrap()
            .set(*tensor)
            .unwrap();
    }
    model
}

#[test]
fn base_weights_in_the_file_are_used_as_in_hf_peft_and_reported() {
    let (embed, head) = (noise(1, (50, 16)), noise(2, (50, 16)));
    for tied in [false, true] {
        let (model, folder) = (llama(tied, 1), tempfile::tempdir().unwrap());
        saved(&model, folder.path());
        let mut all = tensors(folder.path());
        all.insert("base_model.model.model.embed_tokens.weight".to_owned(), embed.clone());
        all.insert("base_model.model.lm_head.weight".to_owned(), head.clone());
        write(folder.path(), &all);
        // A tied head is the same tensor, and HF PEFT writes it last.
        let other = if tied {
            with_weights(true, 1, &[("model.embed_tokens.weight", &head)])
        } else {
            with_weights(
                false,
                1,
                &[("model.embed_tokens.weight", &embed), ("lm_head.weight", &head)],
            )
        };
        let plain = tempfile::tempdir().unwrap();
        saved(&llama(tied, 1), plain.path());
        load(&attach_context(&other), plain.path(), "default").unwrap();
        let expected = output(&other);

        let base = output(&model);
        let (adapter, warnings) = load(&attach_context(&model), folder.path(), "default").unwrap();
        assert!(
            distance(&output(&model), &expected) < 1e-6 && distance(&expected, &base) > 0.1,
            "tied: {tied}"
        );
        assert_eq!(warnings.len(), if tied { 1 } else { 2 }, "{warnings:?}");
        assert!(warnings.iter().all(|line| line.contains("contains its own")), "{warnings:?}");
        // Saving again loses nothing; merging and unmerging changes nothing.
        let again = tempfile::tempdir().unwrap();
        adapter.save(again.path(), "toy").unwrap();
        assert!(tensors(again.path()).keys().eq(all.keys()));
        adapter.merge(&model).unwrap();
        assert!(distance(&output(&model), &expected) < 1e-4);
        adapter.unmerge(&model).unwrap();
        adapter.set_scale(&model, 0.5).unwrap();
        adapter.set_scale(&model, 1.0).unwrap();
        assert!(distance(&output(&model), &expected) < 1e-6);
        adapter.detach(&model).unwrap();
        assert_eq!(output(&model), base, "detached is not the base");
    }
}

#[test]
fn base_weights_under_a_targeted_embedding_are_used_and_saved_again() {
    let (model, folder) = (llama(false, 1), tempfile::tempdir().unwrap());
    let keys = Settings::default().with("r", Value::Integer(2)).with(
        "target_modules",
        Value::List(["q_proj", "embed_tokens", "lm_head"].map(str::to_owned).to_vec()),
    );
    let adapter = attach(&attach_context(&model), "lora", &keys).unwrap();
    randomize(&adapter, 3);
    adapter.save(folder.path(), "toy").unwrap();
    adapter.detach(&model).unwrap();
    let (mut all, embed) = (tensors(folder.path()), noise(1, (50, 16)));
    let key = "base_model.model.model.embed_tokens.base_layer.weight";
    assert!(all.insert(key.to_owned(), embed.clone()).is_some());
    write(folder.path(), &all);
    let other = with_weights(false, 1, &[("model.embed_tokens.weight", &embed)]);
    load(&attach_context(&other), folder.path(), "default").unwrap();
    let (adapter, warnings) = load(&attach_context(&model), folder.path(), "default").unwrap();
    assert!(
        warnings.len() == 1 && warnings[0].contains("`model.embed_tokens.weight`"),
        "{warnings:?}"
    );
    assert!(distance(&output(&model), &output(&other)) < 1e-5);
    adapter.merge(&model).unwrap();
    assert!(distance(&output(&model), &output(&other)) < 1e-4, "merged");
    adapter.unmerge(&model).unwrap();
    let again = tempfile::tempdir().unwrap();
    adapter.save(again.path(), "toy").unwrap();
    let written =
        tensors(again.path()).remove(key).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
    assert_eq!(written, embed.flatten_all().unwrap().to_vec1::<f32>().unwrap());
}

#[test]
fn base_weights_that_differ_only_by_rounding_are_ignored() {
    let (model, folder) = (llama(false, 1), tempfile::tempdir().unwrap());
    saved(&model, folder.path());
    let mut all = tensors(folder.path());
    let own = model.embedding().weight().base_value().to_dtype(DType::BF16).unwrap();
    all.insert("base_model.model.model.embed_tokens.weight".to_owned(), own);
    write(folder.path(), &all);
    let (_, warnings) = load(&attach_context(&model), folder.path(), "default").unwrap();
    assert!(warnings.is_empty(), "{warnings:?}");
}

#[test]
fn an_adapter_of_a_resized_vocabulary_is_refused_with_instructions() {
    let (model, folder) = (llama(false, 1), tempfile::tempdir().unwrap());
    saved(&model, folder.path());
    let all = tensors(folder.path());
    for key in ["base_model.model.model.embed_tokens.weight", "base_model.model.lm_head.weight"] {
        let mut all = all.clone();
        all.insert(key.to_owned(), noise(1, (53, 16)));
        write(folder.path(), &all);
        let error = refused(&model, folder.path());
        let text = format!("{error} / {}", error.hint().unwrap());
        assert!(
            error.code() == "peft::resized_vocabulary"
                && text.contains("53 tokens")
                && text.contains("has 50")
                && text.contains("`%model load SOURCE resize_tokens=53`"),
            "{text}"
        );
    }
    // Another width means another base model; this also holds for a module that is saved as a
    // whole.
    let mut wide = all.clone();
    wide.insert("base_model.model.lm_head.weight".to_owned(), noise(1, (50, 17)));
    write(folder.path(), &wide);
    assert_eq!(refused(&model, folder.path()).code(), "peft::wrong_shape");
    let mut all = all;
    all.insert("base_model.model.lm_head.weight".to_owned(), noise(1, (53, 16)));
    write(folder.path(), &all);
    change(folder.path(), "modules_to_save", json!(["lm_head"]));
    assert_eq!(refused(&model, folder.path()).code(), "peft::resized_vocabulary");
}

#[test]
fn every_unused_tensor_is_named() {
    let (model, folder) = (llama(false, 1), tempfile::tempdir().unwrap());
    saved(&model, folder.path());
    let mut all = tensors(folder.path());
    for block in 0..3 {
        all.insert(
            format!("base_model.model.model.layers.{block}.self_attn.v_proj.lora_A.weight"),
            noise(1, (2, 16)),
        );
    }
    all.insert("something.else".to_owned(), noise(1, (1, 1)));
    write(folder.path(), &all);
    let (_, warnings) = load(&attach_context(&model), folder.path(), "default").unwrap();
    assert!(
        warnings.len() == 1
            && warnings[0].contains("v_proj.lora_A.weight` (3 tensors)")
            && warnings[0].contains("`something.else`"),
        "{warnings:?}"
    );
}

fn change(folder: &Path, field: &str, value: serde_json::Value) {
    let path = folder.join("adapter_config.json");
    let mut config: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    config[field] = value;
    fs::write(path, config.to_string()).unwrap();
}

/// The sites of an adapter, without duplicates of a module's name.
fn modules(adapter: &Adapter) -> Vec<String> {
    let mut names: Vec<String> = adapter
        .sites()
        .iter()
        .map(|site| site.rsplit('.').next().unwrap_or_default().to_owned())
        .collect();
    names.sort();
    names.dedup();
    names
}

#[test]
fn null_targets_become_hf_pefts_default_for_the_family() {
    let small = |family: &str| {
        json!({"model_type": family, "vocab_size": 50, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4,
            "num_key_value_heads": 2, "max_position_embeddings": 40, "n_embd": 16, "n_layer": 2, "n_head": 4, "n_positions": 40, "initializer_range": 0.2,
            "architectures": [if family == "bert" { "BertForSequenceClassification" } else { "CausalLM" }]})
    };
    // Method, family and the modules of HF PEFT's table.
    let rows: &[(&str, &str, &[&str])] = &[
        ("lora", "llama", &["q_proj", "v_proj"]),
        ("dora", "mistral", &["q_proj", "v_proj"]),
        ("lora", "gpt2", &["c_attn"]),
        ("lora", "bert", &["query", "value"]),
        ("adalora", "qwen2", &["q_proj", "v_proj"]),
        ("vera", "qwen3", &["q_proj", "v_proj"]),
        ("loha", "llama", &["q_proj", "v_proj"]),
        ("lokr", "llama", &["q_proj", "v_proj"]),
        ("oft", "llama", &["q_proj", "v_proj"]),
        ("shira", "llama", &["q_proj", "v_proj"]),
        ("ia3", "llama", &["down_proj", "k_proj", "v_proj"]),
        ("ia3", "qwen2", &["down_proj", "q_proj", "v_proj"]),
        ("ia3", "gpt2", &["c_attn", "c_proj"]),
        ("ln_tuning", "llama", &["input_layernorm", "norm", "post_attention_layernorm"]),
        ("ln_tuning", "qwen3", &["post_attention_layernorm"]),
        ("ln_tuning", "gpt2", &["ln_1", "ln_2", "ln_f"]),
        ("trainable_tokens", "llama", &["embed_tokens"]),
    ];
    for (verb, family, expected) in rows {
        let model = random_model(&small(family), 1, &Device::Cpu).unwrap();
        let sizes: &[(&str, i64)] = match *verb {
            "adalora" => &[("init_r", 3), ("target_r", 2)],
            "oft" => &[("oft_block_size", 4)],
            "ia3" | "ln_tuning" | "trainable_tokens" => &[],
            _ => &[("r", 3)],
        };
        let mut keys = sizes
            .iter()
            .fold(Settings::default(), |keys, (name, size)| keys.with(name, Value::Integer(*size)));
        if *verb == "trainable_tokens" {
            keys = keys.with("token_indices", Value::List(vec!["3".to_owned()]));
        } else {
            let names = if *family == "gpt2" && *verb == "ia3" {
                vec!["c_attn".to_owned(), "mlp.c_proj".to_owned()]
            } else {
                expected.iter().map(|name| (*name).to_owned()).collect()
            };
            keys = keys.with("target_modules", Value::List(names));
        }
        let adapter = attach(&attach_context(&*model), verb, &keys)
            .unwrap_or_else(|error| panic!("{verb} on {family}: {error}"));
        randomize(&adapter, 3);
        let (acting, folder) = (output(&*model), tempfile::tempdir().unwrap());
        adapter.save(folder.path(), "toy").unwrap();
        adapter.detach(&*model).unwrap();
        change(folder.path(), "target_modules", serde_json::Value::Null);
        change(folder.path(), "feedforward_modules", serde_json::Value::Null);
        let (again, _) = load(&attach_context(&*model), folder.path(), "default")
            .unwrap_or_else(|error| panic!("{verb} on {family}: {error}"));
        let found: Vec<String> =
            modules(&again).into_iter().filter(|name| name != "classifier").collect();
        assert_eq!(found, *expected, "{verb} on {family}");
        assert_eq!(output(&*model), acting, "{verb} on {family}");
    }
    // HF PEFT has no default for these either.
    let (model, folder) =
        (random_model(&small("bert"), 1, &Device::Cpu).unwrap(), tempfile::tempdir().unwrap());
    attach(&attach_context(&*model), "ln_tuning", &Settings::default())
        .unwrap()
        .save(folder.path(), "toy")
        .unwrap();
    change(folder.path(), "target_modules", serde_json::Value::Null);
    let error = load(&attach_context(&*model), folder.path(), "other").err().expect("refused");
    assert!(
        error.code() == "peft::no_default_targets" && error.to_string().contains("`bert`"),
        "{error}"
    );
}

#[test]
fn regular_expressions_and_all_linear_in_a_file_match_as_in_hf_peft() {
    let (model, folder) = (llama(false, 1), tempfile::tempdir().unwrap());
    for (targets, expected) in [
        (json!(r".*\.(0|2)\.self_attn\.(q|v)_proj"), 4),
        (json!("ALL-linear"), 21),
        (json!("q_proj"), 0),
        (json!(["q_proj", "layers.1.mlp.up_proj"]), 4),
    ] {
        saved(&model, folder.path());
        change(folder.path(), "target_modules", targets.clone());
        // A string must match the whole path, so `q_proj` matches nothing.
        let error = load(&attach_context(&model), folder.path(), "default").err();
        match (error, expected) {
            (Some(PeftError::NoMatch { .. }), 0) => {}
            (Some(PeftError::MissingKeys { expected: found, .. }), expected) => {
                assert_eq!(found, 2 * expected, "{targets}")
            }
            (other, _) => panic!("{targets}: {other:?}"),
        }
    }
}

/// Splits the weights in a folder into `count` files.
fn split(folder: &Path, count: usize) -> serde_json::Map<String, serde_json::Value> {
    let (mut parts, mut map) = (vec![Tensors::new(); count], serde_json::Map::new());
    for (place, (key, tensor)) in tensors(folder).into_iter().enumerate() {
        map.insert(key.clone(), name(place % count, count).into());
        parts[place % count].insert(key, tensor);
    }
    parts.iter().enumerate().for_each(|(part, tensors)| {
        tensor_file::write(&folder.join(name(part, count)), tensors).unwrap()
    });
    fs::remove_file(folder.join("adapter_model.safetensors")).unwrap();
    map
}

fn name(part: usize, count: usize) -> String {
    format!("adapter_model-{:05}-of-{count:05}.safetensors", part + 1)
}

#[test]
fn weights_in_several_files_are_loaded_with_and_without_an_index() {
    let (model, folder) = (llama(false, 1), tempfile::tempdir().unwrap());
    saved(&model, folder.path());
    let (whole, _) = load(&attach_context(&model), folder.path(), "default").unwrap();
    let acting = output(&model);
    whole.detach(&model).unwrap();
    let map = split(folder.path(), 3);
    let (parts, warnings) = load(&attach_context(&model), folder.path(), "default").unwrap();
    assert!(warnings.is_empty() && output(&model) == acting);
    parts.detach(&model).unwrap();
    let index = |map: &serde_json::Map<String, serde_json::Value>| {
        fs::write(
            folder.path().join("adapter_model.safetensors.index.json"),
            json!({"metadata": {"total_size": 1}, "weight_map": map}).to_string(),
        )
        .unwrap();
    };
    index(&map);
    let (indexed, _) = load(&attach_context(&model), folder.path(), "default").unwrap();
    assert_eq!(output(&model), acting);
    // Saving over them leaves one file and none of the parts.
    indexed.save(folder.path(), "toy").unwrap();
    indexed.detach(&model).unwrap();
    let mut names: Vec<_> = fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["adapter_config.json", "adapter_model.safetensors"]);

    let map = split(folder.path(), 3);
    for bad in ["../x.safetensors", "/etc/passwd", "adapter_model.bin"] {
        let mut map = map.clone();
        map.values_mut().for_each(|file| *file = bad.into());
        index(&map);
        assert_eq!(refused(&model, folder.path()).code(), "peft::malformed", "{bad}");
    }
    let mut moved = map.clone();
    moved.values_mut().for_each(|file| *file = name(0, 3).into());
    index(&moved);
    assert!(
        refused(&model, folder.path()).to_string().contains("not in the file that the index names")
    );
    index(&map);
    fs::remove_file(folder.path().join(name(1, 3))).unwrap();
    for _ in 0..2 {
        let error = refused(&model, folder.path());
        assert!(
            error.code() == "peft::missing_file" && error.to_string().contains(&name(1, 3)),
            "{error}"
        );
        let _ = fs::remove_file(folder.path().join("adapter_model.safetensors.index.json"));
    }
}

#[test]
fn pickles_of_any_name_are_refused_with_the_step_that_converts_them() {
    let (model, folder) = (llama(false, 1), tempfile::tempdir().unwrap());
    for pickle in [
        "adapter_model.bin",
        "adapter_model-00001-of-00002.bin",
        "pytorch_adapter.bin",
        "adapter_model.pt",
    ] {
        saved(&model, folder.path());
        fs::remove_file(folder.path().join("adapter_model.safetensors")).unwrap();
        fs::write(folder.path().join(pickle), "").unwrap();
        let error = refused(&model, folder.path());
        let hint = error.hint().unwrap();
        assert!(error.code() == "peft::pickled" && error.to_string().contains(pickle), "{error}");
        assert!(
            hint.contains("weights_only=True")
                && hint.contains(pickle)
                && hint.contains("adapter_model.safetensors"),
            "{hint}"
        );
        fs::remove_file(folder.path().join(pickle)).unwrap();
    }
}

#[test]
fn shira_files_of_hf_peft_contain_the_indices() {
    let (model, folder) = (llama(false, 1), tempfile::tempdir().unwrap());
    let keys = Settings::default()
        .with("r", Value::Integer(2))
        .with("target_modules", Value::List(vec!["q_proj".to_owned()]));
    let adapter = attach(&attach_context(&model), "shira", &keys).unwrap();
    randomize(&adapter, 3);
    adapter.save(folder.path(), "toy").unwrap();
    let acting = output(&model);
    adapter.detach(&model).unwrap();
    let (mut all, key) =
        (tensors(folder.path()), "base_model.model.model.layers.0.self_attn.q_proj.shira_indices");
    assert_eq!((all[key].dims(), all[key].dtype()), (&[2, 64][..], DType::I32));
    let (same, warnings) = load(&attach_context(&model), folder.path(), "default").unwrap();
    assert!(warnings.is_empty() && output(&model) == acting, "{warnings:?}");
    same.detach(&model).unwrap();
    // Other indices, from another kind of mask, are used unchanged.
    change(folder.path(), "mask_type", "other".into());
    let elsewhere: Vec<i32> =
        (0..64).map(|place| place / 16).chain((0..64).map(|place| place % 16)).collect();
    all.insert(key.to_owned(), Tensor::from_vec(elsewhere, (2, 64), &Device::Cpu).unwrap());
    write(folder.path(), &all);
    let (other, _) = load(&attach_context(&model), folder.path(), "default").unwrap();
    assert!(distance(&output(&model), &acting) > 1e-4);
    other.detach(&model).unwrap();
    all.insert(key.to_owned(), Tensor::full(16i32, (2, 64), &Device::Cpu).unwrap());
    write(folder.path(), &all);
    assert_eq!(refused(&model, folder.path()).code(), "peft::bad_indices");
}

#[test]
fn other_files_survive_a_save_and_weights_of_another_kind_of_adapter_do_not() {
    let (model, folder) = (llama(false, 1), tempfile::tempdir().unwrap());
    fs::write(folder.path().join("README.md"), "mine").unwrap();
    fs::write(folder.path().join("tokenizer.json"), "{}").unwrap();
    let bottleneck = attach(&attach_context(&model), "bottleneck", &Settings::default()).unwrap();
    bottleneck.save(folder.path(), "toy").unwrap();
    bottleneck.detach(&model).unwrap();
    assert!(folder.path().join("adapter.safetensors").is_file());
    saved(&model, folder.path());
    assert!(!folder.path().join("adapter.safetensors").exists());
    let (lora, _) = load(&attach_context(&model), folder.path(), "default").unwrap();
    assert_eq!(lora.spec().verb, "lora");
    assert_eq!(fs::read_to_string(folder.path().join("README.md")).unwrap(), "mine");
    assert!(folder.path().join("tokenizer.json").is_file());
}

/// Name of the environment variable with the folder for a child process.
const CHILD: &str = "GRAFT_TEST_SAVES_INTO";

/// Saves adapters one after the other, the n-th with `lora_alpha = n` and every weight n, until the
/// process is killed.
fn save_for_ever(folder: &Path) {
    let model = llama(false, 1);
    for version in (1i64..=50).cycle() {
        let keys = Settings::default()
            .with("r", Value::Integer(2))
            .with("lora_alpha", Value::Integer(version))
            .with("target_modules", Value::List(vec!["q_proj".to_owned()]));
        let adapter = attach(&attach_context(&model), "lora", &keys).unwrap();
        for trainable in adapter.trainables() {
            trainable
                .var
                .set(&Tensor::full(version as f32, trainable.var.dims(), &Device::Cpu).unwrap())
                .unwrap();
        }
        adapter.save(folder, "toy").unwrap();
    }
}

#[test]
fn a_save_that_is_killed_at_any_moment_leaves_one_whole_adapter() {
    if let Some(folder) = std::env::var_os(CHILD) {
        save_for_ever(Path::new(&folder));
    }
    let test = "files::a_save_that_is_killed_at_any_moment_leaves_one_whole_adapter";
    for round in 0..24u64 {
        let (around, model) = (tempfile::tempdir().unwrap(), llama(false, 1));
        let folder = around.path().join("adapter");
        saved(&model, &folder);
        fs::write(folder.join("README.md"), "mine").unwrap();
        if round % 2 == 1 {
            // With a folder inside, files are replaced one by one.
            fs::create_dir(folder.join("checkpoint-1")).unwrap();
        }
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--exact", test, "--nocapture"])
            .env(CHILD, &folder)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let is_first = || {
            fs::read_to_string(folder.join("adapter_config.json"))
                .is_ok_and(|text| text.contains("\"lora_alpha\": 8"))
        };
        (0..2_000)
            .take_while(|_| is_first())
            .for_each(|_| std::thread::sleep(Duration::from_millis(5)));
        std::thread::sleep(Duration::from_micros(700 * round + 137));
        child.kill().unwrap();
        child.wait().unwrap();
        let (adapter, _) = load(&attach_context(&model), &folder, "default")
            .unwrap_or_else(|error| panic!("round {round}: {error}"));
        let alpha = adapter.settings().float(adapter.spec().keys, "lora_alpha").unwrap() as f32;
        for trainable in adapter.trainables() {
            let values = trainable.var.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            assert!(
                values.iter().all(|value| *value == alpha),
                "round {round}: config {alpha}, {} holds {}",
                trainable.name,
                values[0]
            );
        }
        assert_eq!(fs::read_to_string(folder.join("README.md")).unwrap(), "mine", "round {round}");
        saved(&model, &folder);
        let hidden = |folder: &Path| {
            fs::read_dir(folder)
                .unwrap()
                .filter(|entry| {
                    entry.as_ref().unwrap().file_name().to_string_lossy().starts_with('.')
                })
                .count()
        };
        assert_eq!(
            (hidden(&folder), hidden(around.path())),
            (0, 0),
            "round {round}: something was left behind"
        );
    }
}
