use std::fs;

use graft_nn::{Context, NnError, Tensor};
use graft_spec::{Hint, Value as Setting};
use serde_json::json;

use super::*;
use crate::{FolderParts, Llama, LlamaConfig, save_folder, tokenizer::tests::byte_level};

fn config() -> LlamaConfig {
    let json = json!({"vocab_size": 258, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 1, "num_attention_heads": 2});
    LlamaConfig::from_json(&json).unwrap()
}

/// A complete folder with a random model.
fn folder() -> (tempfile::TempDir, Llama) {
    let folder = tempfile::tempdir().unwrap();
    let model = Llama::random(&config(), 1, &Device::Cpu).unwrap();
    let config = config().to_json(Some(0), Some(1));
    save_folder(
        folder.path(),
        &FolderParts {
            model: &model,
            dtype: DType::F32,
            config: &config,
            tokenizer: None,
            others: &[],
        },
    )
    .unwrap();
    fs::write(folder.path().join("tokenizer.json"), byte_level(true)).unwrap();
    (folder, model)
}

fn open(folder: &Path) -> Result<Loaded, ModelError> {
    load(folder.to_str().unwrap(), &Settings::default(), &Device::Cpu, &mut |_, _, _| {})
}

fn refused(folder: &Path) -> (&'static str, String) {
    let error = open(folder).err().expect("refused");
    (error.code(), format!("{error} / {}", error.hint().unwrap_or_default()))
}

fn logits(model: &dyn Model) -> Vec<f32> {
    let ids = Tensor::new(&[[3u32, 9, 200]], &Device::Cpu).unwrap();
    model.logits(&ids, None, &Context::eval()).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

/// Splits model.safetensors into two shards with an index.
fn shard(folder: &Path) {
    let whole = fs::read(folder.join("model.safetensors")).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&whole).unwrap();
    let mut map = serde_json::Map::new();
    for (number, file) in ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
        .into_iter()
        .enumerate()
    {
        let part: Vec<_> = tensors
            .tensors()
            .into_iter()
            .enumerate()
            .filter(|(place, _)| place % 2 == number)
            .map(|(_, entry)| entry)
            .collect();
        map.extend(part.iter().map(|(name, _)| (name.clone(), file.into())));
        fs::write(folder.join(file), safetensors::serialize(part, None).unwrap()).unwrap();
    }
    fs::write(
        folder.join("model.safetensors.index.json"),
        json!({ "weight_map": map }).to_string(),
    )
    .unwrap();
    fs::remove_file(folder.join("model.safetensors")).unwrap();
}

#[test]
fn a_saved_folder_loads_to_the_same_model_whole_or_in_shards() {
    let (folder, model) = folder();
    let whole = open(folder.path()).unwrap();
    assert_eq!(logits(&*whole.model), logits(&model));
    assert!(whole.warnings.is_empty(), "{:?}", whole.warnings);
    assert_eq!(whole.tokenizer.eos(), Some(1));
    shard(folder.path());
    assert_eq!(logits(&*open(folder.path()).unwrap().model), logits(&model));
}

#[test]
fn half_precision_storage_changes_the_numbers_only_a_little() {
    let (folder, model) = folder();
    let settings = Settings::default().with("dtype", Setting::Text("bf16".to_owned()));
    let half =
        load(folder.path().to_str().unwrap(), &settings, &Device::Cpu, &mut |_, _, _| {}).unwrap();
    let largest = logits(&*half.model)
        .iter()
        .zip(logits(&model))
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f32::max);
    assert!(largest > 0.0 && largest < 1e-2, "{largest}");
    let norm = half
        .model
        .parameters()
        .into_iter()
        .find(|parameter| parameter.path() == "model.norm.weight")
        .unwrap()
        .tensor();
    assert_eq!(norm.dtype(), DType::F32);
}

#[test]
fn damaged_files_are_refused_by_name() {
    let (folder, _) = folder();
    let path = folder.path().join("model.safetensors");
    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[..whole.len() - 1]).unwrap();
    let (code, text) = refused(folder.path());
    assert!(code == "file::truncated" && text.contains("model.safetensors"), "{code} {text}");
    fs::write(&path, b"\x80\x02}q\x00(X\x05\x00\x00\x00").unwrap();
    assert_eq!(refused(folder.path()).0, "file::malformed");
    fs::remove_file(&path).unwrap();
    assert_eq!(refused(folder.path()).0, "models::missing_file");
    fs::write(folder.path().join("pytorch_model.bin"), "").unwrap();
    let (code, text) = refused(folder.path());
    assert!(code == "models::pickled" && text.contains("pytorch_model.bin"), "{text}");
    fs::write(folder.path().join("config.json"), "{").unwrap();
    assert_eq!(refused(folder.path()).0, "models::malformed");
}

#[test]
fn weights_that_do_not_fit_the_config_are_named() {
    let (folder, _) = folder();
    let change = |key: &str, value: Value| {
        let mut json = config().to_json(Some(0), Some(1));
        json[key] = value;
        fs::write(folder.path().join("config.json"), json.to_string()).unwrap();
    };
    change("num_hidden_layers", json!(2));
    let (code, text) = refused(folder.path());
    assert!(
        code == "models::missing_weights"
            && text.contains("9 of the 21")
            && text.contains("`model.layers.1.input_layernorm.weight`"),
        "{text}"
    );
    change("intermediate_size", json!(32));
    let (code, text) = refused(folder.path());
    assert!(
        code == "models::wrong_shape"
            && text.contains("gate_proj")
            && text.contains("[32, 16]")
            && text.contains("[24, 16]"),
        "{text}"
    );
    change("model_type", json!("bloom"));
    let (code, text) = refused(folder.path());
    assert!(
        code == "models::unsupported_family" && text.contains("supported families: llama"),
        "{text}"
    );
    change("vocab_size", json!(258));
    fs::write(
        folder.path().join("tokenizer.json"),
        byte_level(true).replace("\"</s>\":1,", "\"</s>\":1,\"more\":300,"),
    )
    .unwrap();
    let (code, text) = refused(folder.path());
    assert!(
        code == "models::tokenizer_mismatch" && text.contains("300") && text.contains("258"),
        "{text}"
    );
}

#[test]
fn a_shard_that_the_index_lists_must_be_there_and_in_the_folder() {
    let (folder, _) = folder();
    shard(folder.path());
    fs::remove_file(folder.path().join("model-00002-of-00002.safetensors")).unwrap();
    let (code, text) = refused(folder.path());
    assert!(code == "models::missing_file" && text.contains("model-00002"), "{text}");
    fs::write(
        folder.path().join("model.safetensors.index.json"),
        r#"{"weight_map": {"a": "../../x.safetensors"}}"#,
    )
    .unwrap();
    assert_eq!(refused(folder.path()).0, "models::malformed");
}

#[test]
fn unused_weights_are_a_warning() {
    let (folder, model) = folder();
    let mut tensors: std::collections::BTreeMap<_, _> = model
        .parameters()
        .into_iter()
        .map(|parameter| (parameter.path().to_owned(), parameter.tensor()))
        .collect();
    tensors.insert(
        "score.weight".to_owned(),
        Tensor::zeros((2, 16), DType::F32, &Device::Cpu).map_err(NnError::from).unwrap(),
    );
    graft_nn::tensor_file::write(&folder.path().join("model.safetensors"), &tensors).unwrap();
    let warnings = open(folder.path()).unwrap().warnings;
    assert!(warnings.len() == 1 && warnings[0].contains("`score.weight`"), "{warnings:?}");
}

/// A folder with a random encoder of the architecture in its config.
fn encoder(architecture: &str) -> (tempfile::TempDir, Arc<dyn Model>) {
    let folder = tempfile::tempdir().unwrap();
    let config = json!({"model_type": "bert", "architectures": [architecture], "vocab_size": 258, "hidden_size": 16, "intermediate_size": 24,
        "num_hidden_layers": 2, "num_attention_heads": 2, "max_position_embeddings": 32, "initializer_range": 0.3});
    let model = crate::random_model(&config, 3, &Device::Cpu).unwrap();
    save_folder(
        folder.path(),
        &FolderParts {
            model: &*model,
            dtype: DType::F32,
            config: &config,
            tokenizer: None,
            others: &[],
        },
    )
    .unwrap();
    fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
    fs::write(folder.path().join("tokenizer.json"), byte_level(true)).unwrap();
    (folder, model)
}

/// Renames the weights of a folder and adds others.
fn rewrite(folder: &Path, rename: &dyn Fn(&str) -> String, more: &[(&str, &[usize])]) {
    let path = folder.join("model.safetensors");
    let mut tensors: std::collections::BTreeMap<_, _> =
        tensors_of(&path).into_iter().map(|(name, tensor)| (rename(&name), tensor)).collect();
    tensors.extend(more.iter().map(|(name, shape)| {
        ((*name).to_owned(), Tensor::ones(*shape, DType::F32, &Device::Cpu).unwrap())
    }));
    graft_nn::tensor_file::write(&path, &tensors).unwrap();
}

fn states(model: &dyn Model) -> Vec<f32> {
    let ids = Tensor::new(&[[3u32, 9, 200]], &Device::Cpu).unwrap();
    model
        .hidden(&ids, None, &Context::eval())
        .unwrap()
        .states
        .flatten_all()
        .unwrap()
        .to_vec1()
        .unwrap()
}

#[test]
fn old_names_of_norms_and_wrappers_of_other_programs_are_read() {
    let gamma = |name: &str| {
        name.replace("LayerNorm.weight", "LayerNorm.gamma")
            .replace("LayerNorm.bias", "LayerNorm.beta")
    };
    let renames: [&dyn Fn(&str) -> String; 5] = [
        &gamma,
        &|name| format!("bert.{}", gamma(name)),
        &|name| format!("_orig_mod.{name}"),
        &|name| format!("module._orig_mod.bert.{name}"),
        &|name| name.replace("encoder.layer.1.", "encoder.layer.1._orig_mod."),
    ];
    for rename in renames {
        let (folder, model) = encoder("BertModel");
        rewrite(folder.path(), rename, &[]);
        let loaded = open(folder.path()).unwrap();
        assert_eq!(
            states(&*loaded.model),
            states(&*model),
            "{}",
            rename("embeddings.LayerNorm.weight")
        );
        assert!(
            loaded.warnings.is_empty() && loaded.keys.0 == loaded.keys.1,
            "{:?} {:?}",
            loaded.warnings,
            loaded.keys
        );
    }
    let (folder, model) = folder();
    rewrite(
        folder.path(),
        &|name| format!("module.{}", name.replace("self_attn", "_orig_mod.self_attn")),
        &[],
    );
    assert_eq!(logits(&*open(folder.path()).unwrap().model), logits(&model));
}

#[test]
fn one_weight_under_two_names_is_refused() {
    let (folder, _) = encoder("BertModel");
    rewrite(folder.path(), &str::to_owned, &[("module.pooler.dense.bias", &[16])]);
    let (code, text) = refused(folder.path());
    assert!(
        code == "models::malformed"
            && text.contains("`module.pooler.dense.bias`")
            && text.contains("the same weight"),
        "{text}"
    );
}

#[test]
fn an_unused_head_is_named_with_its_predictions() {
    let (folder, _) = encoder("BertForMaskedLM");
    let head: [(&str, &[usize]); 3] = [
        ("cls.predictions.bias", &[258]),
        ("cls.predictions.transform.dense.bias", &[16]),
        ("cls.seq_relationship.bias", &[2]),
    ];
    rewrite(folder.path(), &str::to_owned, &head);
    let loaded = open(folder.path()).unwrap();
    let text = loaded.warnings.join(" / ");
    assert!(
        text.contains("masked-language-model head")
            && text.contains("`cls.predictions.bias` and 1 more")
            && text.contains("next-sentence head"),
        "{text}"
    );
    assert_eq!(loaded.keys.1, loaded.keys.0 + 3);
    let (folder, _) = encoder("BertForTokenClassification");
    rewrite(
        folder.path(),
        &str::to_owned,
        &[("classifier.weight", &[5, 16]), ("classifier.bias", &[5])],
    );
    let text = open(folder.path()).unwrap().warnings.join(" / ");
    assert!(
        text.contains("token-classification head")
            && text.contains("does not predict a label for each token"),
        "{text}"
    );
    let settings = Settings::default().with("num_labels", Setting::Integer(5));
    let loaded =
        load(folder.path().to_str().unwrap(), &settings, &Device::Cpu, &mut |_, _, _| {}).unwrap();
    assert!(loaded.warnings.join(" ").contains("train it before"), "{:?}", loaded.warnings);
}

#[test]
fn a_nan_or_an_infinity_in_an_encoder_or_a_decoder_is_refused_by_name() {
    let (encoder, decoder) = (encoder("BertModel").0, folder().0);
    for (folder, name) in [
        (encoder.path(), "encoder.layer.1.output.dense.weight"),
        (decoder.path(), "model.layers.0.mlp.up_proj.weight"),
    ] {
        let path = folder.join("model.safetensors");
        let whole = tensors_of(&path);
        for value in [f32::NAN, f32::INFINITY] {
            let mut tensors = whole.clone();
            let broken = Tensor::full(value, tensors[name].shape(), &Device::Cpu).unwrap();
            tensors.insert(name.to_owned(), broken);
            graft_nn::tensor_file::write(&path, &tensors).unwrap();
            let (code, text) = refused(folder);
            assert!(code == "models::not_finite_weight" && text.contains(name), "{text}");
        }
    }
}

#[test]
fn an_unknown_word_is_answered_with_the_nearest_known_one() {
    let error = load("tiyn", &Settings::default(), &Device::Cpu, &mut |_, _, _| {}).err().unwrap();
    assert_eq!(error.code(), "models::unknown_model");
    assert!(error.hint().unwrap().contains("did you mean `tiny`?"), "{:?}", error.hint());
}

#[test]
fn a_path_that_does_not_exist_is_reported_as_such_with_the_nearest_name() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("my-model")).unwrap();
    let refused = |source: &str| {
        let error = load(source, &Settings::default(), &Device::Cpu, &mut |_, _, _| {});
        let error = error.err().expect("refused");
        (error.code(), format!("{error} / {}", error.hint().unwrap_or_default()))
    };
    let (code, text) = refused(&format!("{}/my-modle", folder.path().display()));
    assert_eq!(code, "models::missing_path");
    assert!(text.contains("my-modle` does not exist / did you mean"), "{text}");
    assert!(text.contains("/my-model`?"), "{text}");
    let (_, text) = refused("./nosuchdir");
    assert!(text.starts_with("`./nosuchdir` does not exist / check the path"), "{text}");
    let (_, text) = refused("~/no/such/dir");
    assert!(text.contains("does not exist either"), "{text}");
    let (code, text) = refused("gpt2");
    assert_eq!(code, "models::unknown_model");
    assert!(text.contains("did you mean `openai-community/gpt2`, which is downloaded"), "{text}");
}

#[test]
fn a_folder_with_an_adapter_is_reported_as_such() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("adapter_config.json"), "{}").unwrap();
    assert!(refused(folder.path()).1.contains("%lora load"));
}

#[test]
fn an_unknown_key_or_value_is_refused_before_anything_is_read() {
    let settings = Settings::default().with("dtype", Setting::Text("int3".to_owned()));
    let error = load("tiny", &settings, &Device::Cpu, &mut |_, _, _| {}).err().unwrap();
    assert!(error.to_string().contains("int3"), "{error}");
}

/// Folders written by bitsandbytes and transformers; `make_bnb.py` in the same folder creates them.
fn packed_folder(kind: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/goldens-bnb")).join(kind)
}

fn tensors_of(file: &Path) -> std::collections::BTreeMap<String, Tensor> {
    graft_nn::tensor_file::TensorFile::open(file).unwrap().tensors(&Device::Cpu).unwrap()
}

fn far(one: &Tensor, other: &Tensor) -> f32 {
    (one - other).unwrap().abs().unwrap().max_all().unwrap().to_scalar().unwrap()
}

#[test]
fn bitsandbytes_weights_stay_quantized_and_have_the_same_values() {
    for kind in ["nf4", "nf4-double", "int8"] {
        let files =
            load_model(&packed_folder(kind), DType::F32, &Device::Cpu, &mut |_, _, _| {}).unwrap();
        assert!(files.warnings.is_empty(), "{:?}", files.warnings);
        let expected = tensors_of(&packed_folder(kind).join("expected.safetensors"));
        let ids = expected["input_ids"].to_dtype(DType::U32).unwrap();
        assert!(
            far(&files.model.logits(&ids, None, &Context::eval()).unwrap(), &expected["logits"])
                < 1e-4,
            "{kind}"
        );
        let mut compared = 0;
        for linear in graft_nn::packable(&*files.model) {
            assert!(
                matches!(linear.weight().base_weight(), graft_nn::Weight::Packed(_)),
                "{kind} {}",
                linear.path()
            );
            if let Some(unpacked) = expected.get(linear.weight().path()) {
                assert!(
                    far(&linear.weight().base_value(), unpacked) < 1e-6,
                    "{kind} {}",
                    linear.path()
                );
                compared += 1;
            }
        }
        assert_eq!(compared, 2);
        let saved = tempfile::tempdir().unwrap();
        let parts = FolderParts {
            model: &*files.model,
            dtype: DType::F32,
            config: &files.config_json,
            tokenizer: None,
            others: &[],
        };
        save_folder(saved.path(), &parts).unwrap();
        let config = read_config(saved.path(), &saved.path().join("config.json")).unwrap();
        let again = load_model(saved.path(), DType::F32, &Device::Cpu, &mut |_, _, _| {}).unwrap();
        assert!(
            far(&again.model.logits(&ids, None, &Context::eval()).unwrap(), &expected["logits"])
                < 1e-4,
            "{kind}"
        );
        if kind == "int8" {
            assert!(
                config.get("quantization_config").is_none(),
                "8-bit numbers are written unpacked"
            );
            continue;
        }
        assert_eq!(
            config["quantization_config"]["bnb_4bit_use_double_quant"],
            json!(kind == "nf4-double")
        );
        assert_eq!(config["quantization_config"]["llm_int8_skip_modules"], json!(["lm_head"]));
        let (theirs, ours) = (
            tensors_of(&packed_folder(kind).join("model.safetensors")),
            tensors_of(&saved.path().join("model.safetensors")),
        );
        assert_eq!(theirs.keys().collect::<Vec<_>>(), ours.keys().collect::<Vec<_>>());
        for (name, theirs) in theirs.iter().filter(|(name, _)| !name.contains("quant_state")) {
            let flat = |tensor: &Tensor| {
                tensor
                    .to_dtype(DType::F32)
                    .unwrap()
                    .flatten_all()
                    .unwrap()
                    .to_vec1::<f32>()
                    .unwrap()
            };
            assert_eq!(
                (theirs.dims(), flat(theirs)),
                (ours[name].dims(), flat(&ours[name])),
                "{name}"
            );
        }
    }
}

#[test]
fn incomplete_packed_weights_are_refused_with_the_reason() {
    let broken = |edit: &dyn Fn(&mut std::collections::BTreeMap<String, Tensor>)| {
        let folder = tempfile::tempdir().unwrap();
        fs::copy(packed_folder("nf4").join("config.json"), folder.path().join("config.json"))
            .unwrap();
        let mut tensors = tensors_of(&packed_folder("nf4").join("model.safetensors"));
        edit(&mut tensors);
        graft_nn::tensor_file::write(&folder.path().join("model.safetensors"), &tensors).unwrap();
        load_model(folder.path(), DType::F32, &Device::Cpu, &mut |_, _, _| {})
            .err()
            .expect("refused")
            .to_string()
    };
    let weight = "model.layers.0.mlp.up_proj.weight";
    let state = format!("{weight}.quant_state.bitsandbytes__nf4");
    assert!(
        broken(&|tensors| drop(tensors.remove(&format!("{weight}.quant_map"))))
            .contains("quant_map` is missing")
    );
    assert!(
        broken(&|tensors| drop(
            tensors.insert(state.clone(), Tensor::new(b"{]".as_slice(), &Device::Cpu).unwrap())
        ))
        .contains("not valid JSON")
    );
    let cut = |tensors: &mut std::collections::BTreeMap<String, Tensor>| {
        let codes = tensors[weight].narrow(0, 0, 7).unwrap();
        tensors.insert(weight.to_owned(), codes);
    };
    assert!(broken(&cut).contains("packed numbers"));
    // Without its quantization state it is a weight of bytes with another shape.
    assert!(broken(&|tensors| drop(tensors.remove(&state))).contains("has shape"));
    let (folder, _) = folder();
    let path = folder.path().join("config.json");
    let mut config: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    config["quantization_config"] = json!({"quant_method": "gptq"});
    fs::write(&path, config.to_string()).unwrap();
    assert!(refused(folder.path()).1.contains("quantized with `gptq`"));
}
