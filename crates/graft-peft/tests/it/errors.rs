//! Invalid input: each error explains what to do, and the model does not change.

use std::{fs, path::Path};

use graft_models::Llama;
use graft_nn::{Layer, Model, Tensor};
use graft_peft::{PeftError, attach, load};
use graft_spec::{Hint, Settings, Value};

use crate::contract::{attach_context, model, settings, targets};

/// The code of the error, and its message and hint.
fn refused(model: &Llama, verb: &str, settings: &Settings) -> (String, String) {
    let error = attach(&attach_context(model), verb, settings).err().expect("refused");
    let held = |site: &graft_nn::Site<'_>| matches!(site.layer, Layer::Linear(linear) if !linear.slot().names().is_empty());
    assert!(!model.sites().iter().any(held), "something was left attached");
    assert!(model.embedding().prompt().names().is_empty());
    (error.code().to_owned(), words(&error))
}

fn words(error: &PeftError) -> String {
    format!("{error} / {}", error.hint().unwrap_or_default())
}

#[test]
fn a_target_without_a_match_is_refused_with_a_suggestion_and_all_modules() {
    let model = model();
    let (code, text) = refused(&model, "lora", &settings(&[targets(&["q_prj"])]));
    assert_eq!(code, "peft::no_match");
    assert!(
        text.contains("`q_prj`")
            && text.contains("did you mean `q_proj`?")
            && text.contains("gate_proj, up_proj, down_proj, lm_head"),
        "{text}"
    );
    assert!(text.contains("`toy`"), "{text}");
    // The name of a role is understood, and one invalid name among valid ones is reported.
    assert!(
        refused(&model, "lora", &settings(&[targets(&["q_proj", "value"])]))
            .1
            .contains("did you mean `v_proj`?")
    );
    assert_eq!(
        refused(&model, "lora", &settings(&[targets(&[r"encoder\..*"])])).0,
        "peft::no_match"
    );
    assert_eq!(
        refused(&model, "lora", &settings(&[targets(&[r"(q_proj"])])).0,
        "peft::bad_pattern"
    );
    let (code, text) = refused(&model, "dora", &settings(&[targets(&["embed_tokens"])]));
    assert!(code == "peft::not_linear" && text.contains("model.embed_tokens"), "{text}");
    assert_eq!(
        refused(&model, "lora", &settings(&[targets(&["input_layernorm"])])).0,
        "peft::not_linear"
    );
}

#[test]
fn a_zero_or_too_large_rank_is_refused_with_the_limit() {
    let model = model();
    let (code, text) =
        refused(&model, "lora", &settings(&[("r", Value::Integer(0)), targets(&["q_proj"])]));
    assert!(code == "peft::settings" && text.contains("`r` must be"), "{text}");
    let init = |word: &str| ("init_lora_weights", Value::Text(word.to_owned()));
    let (code, text) =
        refused(&model, "lora", &settings(&[("r", Value::Integer(3)), init("orthogonal")]));
    assert!(code == "peft::odd_rank" && text.contains("r=4"), "{text}");
    assert_eq!(
        refused(&model, "lora", &settings(&[("lora_alpha", Value::Float(0.0)), init("pissa")])).0,
        "peft::no_scale"
    );
    let (code, text) = refused(
        &model,
        "lora",
        &settings(&[("r", Value::Integer(9)), targets(&["q_proj", "v_proj"])]),
    );
    assert!(
        code == "peft::rank_too_large"
            && text.contains("v_proj` (8 × 16)")
            && text.contains("at most 8"),
        "{text}"
    );
}

#[test]
fn unknown_methods_and_keys_and_impossible_prompts_are_refused() {
    let model = model();
    assert!(refused(&model, "loar", &Settings::default()).1.contains("did you mean `lora`?"));
    assert!(
        refused(&model, "lora", &settings(&[("rnk", Value::Integer(1))]))
            .1
            .contains("keys: r, lora_alpha")
    );
    assert_eq!(
        refused(&model, "prompt_tune", &settings(&[("num_virtual_tokens", Value::Integer(40))])).0,
        "peft::prompt_too_long"
    );
    let text = |text: &str| ("prompt_tuning_init_text", Value::Text(text.to_owned()));
    let init = |word: &str| ("prompt_tuning_init", Value::Text(word.to_owned()));
    assert_eq!(refused(&model, "prompt_tune", &settings(&[init("TEXT")])).0, "peft::needs_text");
    assert_eq!(
        refused(&model, "prompt_tune", &settings(&[init("RANDOM"), text("a b")])).0,
        "peft::conflict"
    );
    assert_eq!(
        refused(&model, "prompt_tune", &settings(&[text("a b")])).0,
        "peft::needs_tokenizer"
    );
    assert_eq!(
        refused(&model, "lora", &settings(&[("adapter_name", Value::Text("a/b".to_owned()))])).0,
        "peft::invalid_name"
    );
}

#[test]
fn a_soft_prompt_can_be_neither_merged_nor_scaled() {
    let model = model();
    let prompt = attach(&attach_context(&model), "prompt_tune", &Settings::default()).unwrap();
    assert_eq!(prompt.merge(&model).unwrap_err().code(), "peft::not_mergeable");
    assert_eq!(prompt.set_scale(&model, 0.5).unwrap_err().code(), "peft::not_scalable");
    assert!(prompt.set_scale(&model, 1.0).is_ok() && !prompt.is_merged());
}

#[test]
fn missing_modules_and_biases_are_refused() {
    let model = model();
    let save = |names: &[&str]| {
        ("modules_to_save", Value::List(names.iter().map(|name| (*name).to_owned()).collect()))
    };
    let (code, text) = refused(&model, "lora", &settings(&[save(&["lm_haed"])]));
    assert!(
        code == "peft::no_such_module" && text.contains("`lm_haed`") && text.contains("lm_head"),
        "{text}"
    );
    let only = ("bias", Value::Text("lora_only".to_owned()));
    let (code, text) = refused(&model, "lora", &settings(&[only.clone(), targets(&["up_proj"])]));
    assert!(code == "peft::no_bias" && text.contains("bias=lora_only"), "{text}");
    let adapter = attach(
        &attach_context(&model),
        "lora",
        &settings(&[only, targets(&["q_proj"]), ("r", Value::Integer(2))]),
    )
    .unwrap();
    // Three layers, each 2·(16 + 16) and a bias of 16.
    assert_eq!(adapter.trainable_parameters(), 3 * (64 + 16));
    assert_eq!(adapter.set_scale(&model, 0.5).unwrap_err().code(), "peft::not_scalable");
}

/// A saved LoRA on q_proj.
fn saved(model: &Llama) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let adapter = attach(
        &attach_context(model),
        "lora",
        &settings(&[("r", Value::Integer(2)), targets(&["q_proj"])]),
    )
    .unwrap();
    adapter.save(folder.path(), "toy").unwrap();
    adapter.detach(model).unwrap();
    folder
}

fn not_loaded(model: &Llama, folder: &Path) -> (String, String) {
    let error = load(&attach_context(model), folder, "default").err().expect("refused");
    let held = |site: &graft_nn::Site<'_>| matches!(site.layer, Layer::Linear(linear) if !linear.slot().names().is_empty());
    assert!(!model.sites().iter().any(held), "something was left attached");
    (error.code().to_owned(), words(&error))
}

fn change(folder: &Path, field: &str, value: serde_json::Value) {
    let path = folder.join("adapter_config.json");
    let mut config: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    config[field] = value;
    fs::write(path, config.to_string()).unwrap();
}

#[test]
fn a_missing_file_is_named() {
    let model = model();
    let folder = saved(&model);
    fs::remove_file(folder.path().join("adapter_model.safetensors")).unwrap();
    assert_eq!(not_loaded(&model, folder.path()).0, "peft::missing_file");
    fs::write(folder.path().join("adapter_model.bin"), "").unwrap();
    assert_eq!(not_loaded(&model, folder.path()).0, "peft::pickled");
    let (code, text) = not_loaded(&model, &folder.path().join("nowhere"));
    assert_eq!(code, "peft::missing_folder");
    assert!(text.contains("nowhere` does not exist") && text.contains("%lora save DIR"), "{text}");
    let outer = tempfile::tempdir().unwrap();
    fs::create_dir(outer.path().join("french")).unwrap();
    fs::copy(
        folder.path().join("adapter_config.json"),
        outer.path().join("french/adapter_config.json"),
    )
    .unwrap();
    assert!(not_loaded(&model, outer.path()).1.contains("french"));
    fs::write(folder.path().join("adapter_config.json"), "{\"r\": ").unwrap();
    assert_eq!(not_loaded(&model, folder.path()).0, "peft::malformed");
}

#[test]
fn unsupported_features_are_refused_and_unknown_fields_are_preserved() {
    let model = model();
    let folder = saved(&model);
    change(folder.path(), "use_qalora", true.into());
    let (code, text) = not_loaded(&model, folder.path());
    assert!(code == "peft::unsupported" && text.contains("`use_qalora`"), "{text}");
    change(folder.path(), "use_qalora", false.into());
    change(folder.path(), "peft_type", "HIRA".into());
    assert!(not_loaded(&model, folder.path()).1.contains("the method HIRA"));
    change(folder.path(), "peft_type", "LORA".into());
    change(folder.path(), "r", "two".into());
    assert!(
        not_loaded(&model, folder.path())
            .1
            .contains("`r` must be a whole number between 1 and 65536, got \"two\"")
    );
    change(folder.path(), "r", 2.into());
    change(folder.path(), "invented_in_2027", serde_json::json!([1]));
    change(folder.path(), "base_model_name_or_path", "meta-llama/Llama-3.2-1B".into());
    let (adapter, warnings) = load(&attach_context(&model), folder.path(), "default").unwrap();
    assert!(warnings.iter().any(|line| line.contains("invented_in_2027")), "{warnings:?}");
    assert!(warnings.iter().any(|line| line.contains("meta-llama/Llama-3.2-1B")), "{warnings:?}");
    adapter.save(folder.path(), "toy").unwrap();
    assert!(
        fs::read_to_string(folder.path().join("adapter_config.json"))
            .unwrap()
            .contains("invented_in_2027")
    );
}

#[test]
fn missing_misshapen_unused_or_not_finite_weights_are_reported() {
    let model = model();
    let folder = saved(&model);
    let path = folder.path().join("adapter_model.safetensors");
    let good = graft_nn::tensor_file::TensorFile::open(&path)
        .unwrap()
        .tensors(&graft_nn::Device::Cpu)
        .unwrap();
    let key = "base_model.model.model.layers.1.self_attn.q_proj.lora_A.weight";
    let write = |name: &str, tensor: Option<Tensor>| {
        let mut tensors = good.clone();
        match tensor {
            Some(tensor) => tensors.insert(name.to_owned(), tensor),
            None => tensors.remove(name),
        };
        graft_nn::tensor_file::write(&path, &tensors).unwrap();
    };
    let full = |value: f32, shape: (usize, usize)| {
        Some(Tensor::full(value, shape, &graft_nn::Device::Cpu).unwrap())
    };
    write(key, None);
    let (code, text) = not_loaded(&model, folder.path());
    assert!(
        code == "peft::missing_keys" && text.contains("1 of the 6") && text.contains(key),
        "{text}"
    );
    write(key, full(1.0, (2, 32)));
    let (code, text) = not_loaded(&model, folder.path());
    assert!(
        code == "peft::wrong_shape"
            && text.contains("[2, 32]")
            && text.contains("[2, 16]")
            && text.contains("another base"),
        "{text}"
    );
    write(key, full(f32::NAN, (2, 16)));
    assert_eq!(not_loaded(&model, folder.path()).0, "peft::not_finite");
    // HF PEFT would load it into the base model, where it does not fit.
    write("base_model.model.lm_head.weight", full(1.0, (2, 2)));
    assert_eq!(not_loaded(&model, folder.path()).0, "peft::wrong_shape");
    write("base_model.model.lm_haed.weight", full(1.0, (2, 2)));
    let (_, warnings) = load(&attach_context(&model), folder.path(), "default").unwrap();
    assert!(warnings.len() == 1 && warnings[0].contains("lm_haed"), "{warnings:?}");
}

/// HF PEFT creates such adapters, so they are loaded.
#[test]
fn a_rank_above_the_layer_is_accepted_from_a_file_with_a_warning() {
    let model = model();
    let folder = saved(&model);
    let path = folder.path().join("adapter_model.safetensors");
    let mut tensors = graft_nn::tensor_file::TensorFile::open(&path)
        .unwrap()
        .tensors(&graft_nn::Device::Cpu)
        .unwrap();
    for (key, tensor) in &mut tensors {
        let shape = if key.contains("lora_A") { (20, 16) } else { (16, 20) };
        *tensor = Tensor::zeros(shape, tensor.dtype(), tensor.device()).unwrap();
    }
    graft_nn::tensor_file::write(&path, &tensors).unwrap();
    change(folder.path(), "r", 20.into());
    let (_, warnings) = load(&attach_context(&model), folder.path(), "default").unwrap();
    assert!(
        warnings.len() == 1 && warnings[0].contains("r = 20 is larger than the smaller side"),
        "{warnings:?}"
    );
}

#[test]
fn an_adapter_that_diverged_is_not_saved_and_not_merged() {
    let model = model();
    let adapter =
        attach(&attach_context(&model), "lora", &settings(&[targets(&["q_proj"])])).unwrap();
    let trainable = adapter.trainables().remove(0);
    trainable
        .var
        .set(&Tensor::full(f32::INFINITY, trainable.var.dims(), &graft_nn::Device::Cpu).unwrap())
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(
        adapter.save(&folder.path().join("x"), "toy").unwrap_err().code(),
        "peft::not_finite"
    );
    assert!(!folder.path().join("x").exists());
    assert_eq!(adapter.merge(&model).unwrap_err().code(), "peft::not_finite");
    assert!(!adapter.is_merged());
}

#[test]
fn an_unknown_block_in_leave_out_is_refused() {
    let model = model();
    let error = attach(
        &attach_context(&model),
        "bottleneck",
        &settings(&[("leave_out", Value::List(vec!["7".to_owned()]))]),
    )
    .err()
    .unwrap();
    assert!(
        error.to_string().contains("leave_out") && error.to_string().contains("below 3"),
        "{error}"
    );
    let adapter = attach(
        &attach_context(&model),
        "bottleneck",
        &settings(&[("leave_out", Value::List(vec!["0".to_owned(), "2".to_owned()]))]),
    )
    .unwrap();
    assert!(adapter.sites().iter().all(|site| site.contains("layers.1.")), "{:?}", adapter.sites());
}
