//! GGUF files written by llama.cpp's package, compared with the results of transformers.

use std::collections::BTreeMap;

use graft_nn::{Context, TokenEncoder, Weight, packable, tensor_file::TensorFile};
use graft_spec::Settings;

use super::*;
use crate::load;

/// The text whose ids are stored with each model; `make_gguf.py` has the same text.
const TEXT: &str = "A low-rank update W + BA, r = 16: 12345 parameters?\n\tYes, it's   trained.";

fn folder() -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/goldens-gguf")).to_owned()
}

fn expected(name: &str) -> BTreeMap<String, Tensor> {
    TensorFile::open(&folder().join(format!("{name}.safetensors")))
        .unwrap()
        .tensors(&Device::Cpu)
        .unwrap()
        .into_iter()
        .collect()
}

fn loaded(name: &str) -> crate::Loaded {
    load(
        &folder().join(format!("{name}.gguf")).display().to_string(),
        &Settings::default(),
        &Device::Cpu,
        &mut |_, _, _| {},
    )
    .unwrap()
}

#[test]
fn logits_and_ids_are_those_of_transformers_and_linear_layers_stay_packed() {
    for (name, kinds) in
        [("llama-q8_0", vec!["q5_1", "q8_0"]), ("qwen2-q4_0", vec!["q4_0"]), ("qwen3-f16", vec![])]
    {
        let (loaded, expected) = (loaded(name), expected(name));
        let ids = expected["input_ids"].to_dtype(DType::U32).unwrap();
        let logits = loaded.model.logits(&ids, None, &Context::eval()).unwrap();
        let away = (&logits - &expected["logits"])
            .unwrap()
            .abs()
            .unwrap()
            .max_all()
            .unwrap()
            .to_scalar::<f32>()
            .unwrap();
        let most = expected["logits"].abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
        assert!(away < 1e-4 * most.max(1.0), "{name}: {away} of {most}");
        let text_ids: Vec<u32> = expected["text_ids"]
            .to_vec1::<i64>()
            .unwrap()
            .into_iter()
            .map(|id| id as u32)
            .collect();
        assert_eq!(loaded.tokenizer.encode(TEXT).unwrap(), text_ids, "{name}");
        assert_eq!(loaded.tokenizer.decode(&text_ids).unwrap(), TEXT, "{name}");
        assert_eq!(
            (loaded.tokenizer.bos(), loaded.tokenizer.eos()),
            (name.starts_with("llama").then_some(0), Some(1)),
            "{name}"
        );
        let mut found: Vec<_> = packable(&*loaded.model)
            .into_iter()
            .filter_map(|linear| match linear.weight().weight() {
                Weight::Packed(packed) => Some(packed.name()),
                Weight::Dense(_) => None,
            })
            .collect();
        found.sort_unstable();
        found.dedup();
        assert_eq!(found, kinds, "{name}");
        assert_eq!(loaded.warnings, Vec::<String>::new(), "{name}");
    }
}

#[test]
fn a_saved_copy_acts_like_the_file() {
    let (loaded, to) = (loaded("llama-q8_0"), tempfile::tempdir().unwrap());
    let parts = crate::FolderParts {
        model: &*loaded.model,
        dtype: DType::F32,
        config: &loaded.config_json,
        tokenizer: Some(&loaded.tokenizer),
        others: &[],
    };
    crate::save_folder(to.path(), &parts).unwrap();
    let again = load(
        &to.path().display().to_string(),
        &Settings::default(),
        &Device::Cpu,
        &mut |_, _, _| {},
    )
    .unwrap();
    let ids = Tensor::new(&[[1u32, 5, 9, 200]], &Device::Cpu).unwrap();
    let of = |loaded: &crate::Loaded| loaded.model.logits(&ids, None, &Context::eval()).unwrap();
    let away = (of(&loaded) - of(&again))
        .unwrap()
        .abs()
        .unwrap()
        .max_all()
        .unwrap()
        .to_scalar::<f32>()
        .unwrap();
    assert!(away < 1e-5, "{away}");
    assert_eq!(again.tokenizer.encode(TEXT).unwrap(), loaded.tokenizer.encode(TEXT).unwrap());
}

#[test]
fn unknown_and_unsupported_models_are_refused_with_the_reason() {
    let to = tempfile::tempdir().unwrap();
    let refused = |name: &str, bytes: &[u8]| {
        let path = to.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        load(&path.display().to_string(), &Settings::default(), &Device::Cpu, &mut |_, _, _| {})
            .err()
            .unwrap()
            .to_string()
    };
    assert!(refused("text.gguf", b"not a model at all").contains("not a complete GGUF file"));
    let whole = std::fs::read(folder().join("qwen2-q4_0.gguf")).unwrap();
    assert!(refused("cut.gguf", &whole[..400]).contains("not a complete GGUF file"));
    assert!(refused("half.gguf", &whole[..whole.len() / 2]).contains("cannot read"));
    let place = whole.windows(5).position(|window| window == b"qwen2").unwrap();
    let mut other = whole.clone();
    other[place..place + 5].copy_from_slice(b"gemma");
    assert!(refused("other.gguf", &other).contains("`gemma`"));
}

#[test]
fn a_folder_with_one_gguf_file_is_that_file_and_one_with_several_asks() {
    let to = tempfile::tempdir().unwrap();
    let load = || {
        load(
            &to.path().display().to_string(),
            &Settings::default(),
            &Device::Cpu,
            &mut |_, _, _| {},
        )
    };
    std::fs::copy(folder().join("qwen2-q4_0.gguf"), to.path().join("a.gguf")).unwrap();
    assert!(load().unwrap().source.ends_with("a.gguf"));
    std::fs::copy(folder().join("qwen2-q4_0.gguf"), to.path().join("b.gguf")).unwrap();
    let error = load().err().unwrap();
    assert!(graft_spec::Hint::hint(&error).unwrap().contains("b.gguf"), "{error}");
}
