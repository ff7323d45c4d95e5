use graft_nn::{Device, KvCache, NnError, Rng, Sequences};
use serde_json::{Value, json};

use super::*;
use crate::{
    WeightSpec,
    llama::tests::{assert_same_weights, close, ids},
};

fn model(changes: &[(&str, Value)]) -> (T5Config, T5, Vec<WeightSpec>) {
    let mut json = config::tests::json();
    changes.iter().for_each(|(key, value)| json[*key] = value.clone());
    let (config, rng) = (T5Config::from_json(&json).unwrap(), Rng::new(3));
    let mut asked = Vec::new();
    let model = T5::build(&config, &mut |spec| {
        asked.push(spec.clone());
        let values =
            rng.stream("weights", &spec.name).normal(0.0, 0.3, spec.shape.iter().product());
        Ok(Tensor::from_vec(values, spec.shape.as_slice(), &Device::Cpu).map_err(NnError::from)?)
    });
    (config, model.unwrap(), asked)
}

#[test]
fn building_asks_for_exactly_the_weights_that_the_config_lists() {
    for changes in [
        &[][..],
        &[("tie_word_embeddings", json!(false)), ("feed_forward_proj", json!("gated-gelu"))],
        &[("num_decoder_layers", json!(1))],
    ] {
        let (config, model, asked) = model(changes);
        assert_same_weights(asked, config.weights(), &model);
    }
}

#[test]
fn padding_of_the_encoder_and_later_tokens_of_the_decoder_have_no_effect() {
    let (_, model, _) = model(&[]);
    let logits = |text: &[u32], mask: Option<&Tensor>, output: &[u32]| {
        let encoded = model.encode(&ids(text), mask, &Context::eval()).unwrap();
        let cx = Context::eval().with_encoded(encoded);
        model.logits(&ids(output), None, &cx).unwrap()
    };
    let short = logits(&[5, 9, 31], None, &[0, 4]);
    let mask = Tensor::new(&[[1u8, 1, 1, 0, 0]], &Device::Cpu).unwrap();
    assert!(close(&logits(&[5, 9, 31, 7, 7], Some(&mask), &[0, 4]), &short));
    assert!(!close(&logits(&[5, 9, 30], None, &[0, 4]), &short));
    let longer = logits(&[5, 9, 31], None, &[0, 4, 8]).narrow(1, 0, 2).unwrap();
    assert!(close(&longer, &short));
}

#[test]
fn token_by_token_with_a_cache_equals_all_at_once() {
    let (_, model, _) = model(&[("feed_forward_proj", json!("gated-gelu"))]);
    let encoded = model.encode(&ids(&[5, 9, 31]), None, &Context::eval()).unwrap();
    let whole = Context::eval().with_encoded(encoded.clone());
    let whole = model.logits(&ids(&[0, 4, 8, 15]), None, &whole).unwrap();
    let cache = Arc::new(KvCache::new(2));
    let cx = Context::eval().with_encoded(encoded).with_cache(cache);
    let parts: Vec<_> = [&[0u32, 4][..], &[8], &[15]]
        .iter()
        .map(|part| model.logits(&ids(part), None, &cx).unwrap())
        .collect();
    assert!(close(&Tensor::cat(&parts, 1).unwrap(), &whole));
}

#[test]
fn packed_texts_have_the_logits_of_separate_ones() {
    let (_, model, _) = model(&[]);
    let cx = Context::eval().with_sequences(Sequences::new(&[3, 2]));
    let packed = model.logits(&ids(&[5, 9, 31, 7, 8]), None, &cx).unwrap();
    let alone = [&[5, 9, 31][..], &[7, 8]]
        .map(|text| model.logits(&ids(text), None, &Context::eval()).unwrap());
    assert!(close(&packed, &Tensor::cat(&alone, 1).unwrap()));
}

#[test]
fn a_tied_head_divides_the_states_by_the_root_of_their_width() {
    let (_, scaled, _) = model(&[]);
    let (_, plain, _) = model(&[("scale_decoder_outputs", json!(false))]);
    let of = |model: &T5| model.logits(&ids(&[5, 9]), None, &Context::eval()).unwrap();
    assert!(close(&(of(&scaled) * 4.0).unwrap(), &of(&plain)));
}

/// Writes a folder with a random model, loads it, saves it and loads it again.
fn saved_twice(changes: &[(&str, Value)]) -> [crate::ModelFiles; 2] {
    let mut json = config::tests::json();
    json["model_type"] = "t5".into();
    changes.iter().for_each(|(key, value)| json[*key] = value.clone());
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let write = |folder: &std::path::Path, model: &dyn Model, config: &Value| {
        let dtype = graft_nn::DType::F32;
        let parts = crate::FolderParts { model, dtype, config, tokenizer: None, others: &[] };
        crate::save_folder(folder, &parts).unwrap();
    };
    let load = |folder: &std::path::Path| {
        let dtype = graft_nn::DType::F32;
        crate::load::load_model(folder, dtype, &Device::Cpu, &mut |_, _, _| {}).unwrap()
    };
    write(first.path(), &*crate::random_model(&json, 7, &Device::Cpu).unwrap(), &json);
    let once = load(first.path());
    write(second.path(), &*once.model, &once.config_json);
    [once, load(second.path())]
}

#[test]
fn head_and_scale_survive_saving_in_the_formats_of_both_versions_of_transformers() {
    for (changes, is_tied) in [
        (&[][..], true),
        (&[("tie_word_embeddings", json!(false))], false),
        (&[("scale_decoder_outputs", json!(false))], true),
        (&[("model_type", json!("mt5"))], false),
    ] {
        let [once, twice] = saved_twice(changes);
        assert_eq!(twice.config_json["tie_word_embeddings"], json!(is_tied), "{changes:?}");
        if changes.contains(&("model_type", json!("mt5"))) {
            assert_eq!(once.config_json["scale_decoder_outputs"], json!(false));
        }
        let logits = |files: &crate::ModelFiles| {
            files.model.logits(&ids(&[5, 9, 31]), None, &Context::eval()).unwrap()
        };
        assert!(close(&logits(&once), &logits(&twice)), "{changes:?}");
        assert_eq!((twice.model.shape().tied, twice.warnings.len()), (is_tied, 0), "{changes:?}");
    }
    // transformers 5 calls every head tied, and writes a separate one all the same.
    let mut json = config::tests::json();
    json["scale_decoder_outputs"] = false.into();
    let mut config = T5Config::from_json(&json).unwrap();
    crate::families::FamilyConfig::adapt_to_files(&mut config, &|name| name == "lm_head.weight");
    assert!(!config.tie_word_embeddings);
}
