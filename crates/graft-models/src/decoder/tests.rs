use std::{path::Path, sync::Arc};

use graft_nn::{DType, Device, KvCache, ops::IGNORED};
use serde_json::{Value, json};

use super::*;
use crate::{families::plan, random_model};

/// A small config of each family.
fn configs() -> Vec<Value> {
    let sizes = json!({"vocab_size": 40, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 3, "num_attention_heads": 4,
        "num_key_value_heads": 2, "head_dim": 8, "max_position_embeddings": 32, "initializer_range": 0.2});
    let differences = json!({
        "gemma2": {"sliding_window": 3, "query_pre_attn_scalar": 5, "attn_logit_softcapping": 2.0, "final_logit_softcapping": 1.5},
        "gemma3_text": {"sliding_window": 3, "sliding_window_pattern": 2, "rope_theta": 1e6, "rope_local_base_freq": 100.0},
        "phi3": {"head_dim": null, "partial_rotary_factor": 0.5, "sliding_window": 4},
        "olmo2": {"tie_word_embeddings": true},
        "smollm3": {"no_rope_layers": [1, 0, 1]},
        "granite": {"embedding_multiplier": 6.0, "attention_multiplier": 0.3, "residual_multiplier": 0.5, "logits_scaling": 3.0},
        "gpt_neox": {"head_dim": null, "rotary_pct": 0.5, "use_parallel_residual": false},
    });
    let families = differences.as_object().unwrap().iter();
    let config = |(family, own): (&String, &Value)| {
        let mut config = sizes.clone();
        let object = config.as_object_mut().unwrap();
        object.insert("model_type".to_owned(), family.clone().into());
        object.extend(own.as_object().unwrap().clone());
        config
    };
    families.map(config).collect()
}

fn ids(values: &[u32]) -> Tensor {
    Tensor::from_slice(values, (1, values.len()), &Device::Cpu).unwrap()
}

fn distance(a: &Tensor, b: &Tensor) -> f32 {
    (a - b).and_then(|d| d.abs()?.flatten_all()?.max(0)?.to_scalar()).unwrap()
}

#[test]
fn the_listed_weights_are_the_parameters_of_the_model() {
    for config in configs() {
        let mut listed: Vec<_> = plan(&config, Path::new("config.json"))
            .unwrap()
            .weights()
            .into_iter()
            .map(|spec| (spec.name, spec.shape))
            .collect();
        let model = random_model(&config, 1, &Device::Cpu).unwrap();
        let parameters = model.parameters();
        let mut named: Vec<_> = parameters
            .iter()
            .map(|parameter| (parameter.path().to_owned(), parameter.dims()))
            .collect();
        listed.sort();
        named.sort();
        assert_eq!(named, listed, "{}", config["model_type"]);
        assert!(listed.len() > 3 * 6);
    }
}

#[test]
fn cached_single_token_passes_match_one_pass() {
    let text = [5, 9, 31, 2, 7, 7, 12, 3];
    for config in configs() {
        let model = random_model(&config, 3, &Device::Cpu).unwrap();
        let whole = model.logits(&ids(&text), None, &Context::eval()).unwrap();
        let cx = Context::eval().with_cache(Arc::new(KvCache::new(3)));
        for (place, id) in text.iter().enumerate() {
            let next = model.logits(&ids(&[*id]), None, &cx).unwrap();
            let far = distance(&next, &whole.narrow(1, place, 1).unwrap());
            assert!(far < 1e-4, "{}, token {place}: {far}", config["model_type"]);
        }
    }
}

#[test]
fn the_loss_without_stored_logits_is_that_of_the_logits() {
    let labels = [3i64, IGNORED, 0, 36, 12];
    for config in configs() {
        let model = random_model(&config, 3, &Device::Cpu).unwrap();
        let cx = Context::eval();
        let states = model.hidden(&ids(&[5, 9, 31, 2, 7]), None, &cx).unwrap().states;
        let states = states.squeeze(0).unwrap(); // (T, C)
        let loss = model.label_loss(&states, &labels, 4.0, &cx).unwrap();
        let logits = model.head(&states, &cx).unwrap();
        let expected = ops::cross_entropy(&logits, &labels, 4.0).unwrap();
        let far = distance(&loss.reshape(1).unwrap(), &expected.reshape(1).unwrap());
        assert!(far < 1e-5, "{}: {far}", config["model_type"]);
    }
}

#[test]
fn padding_after_a_text_does_not_change_its_logits_or_its_class() {
    for mut config in configs() {
        let mask = Tensor::new(&[[1u8, 1, 1, 0, 0]], &Device::Cpu).unwrap();
        let compare = |config: &Value, tokens: usize| {
            let model = random_model(config, 3, &Device::Cpu).unwrap();
            let short = model.logits(&ids(&[5, 9, 31]), None, &Context::eval()).unwrap();
            let padded =
                model.logits(&ids(&[5, 9, 31, 0, 0]), Some(&mask), &Context::eval()).unwrap();
            assert_eq!(padded.dims()[..padded.rank() - 1].iter().product::<usize>(), tokens);
            let same = if short.rank() == 3 { padded.narrow(1, 0, 3).unwrap() } else { padded };
            assert!(distance(&short, &same) < 1e-5, "{}", config["model_type"]);
        };
        compare(&config, 5);
        config["architectures"] = json!(["AnyForSequenceClassification"]);
        config["num_labels"] = 3.into();
        config["pad_token_id"] = 0.into();
        compare(&config, 1);
    }
}

#[test]
fn the_scale_of_gemmas_embedding_is_rounded_to_the_type_of_its_table() {
    let scale = |dtype| {
        let table = Tensor::zeros((4, 640), dtype, &Device::Cpu).unwrap();
        Embedding::new("embed_tokens", table).scaled(640f64.sqrt()).unwrap().scale()
    };
    assert_eq!(scale(DType::F32), f64::from(640f32.sqrt()));
    assert_eq!(scale(DType::BF16), 25.25);
}

#[test]
fn unsupported_values_are_named() {
    for (family, key, value, word) in [
        ("gemma3_text", "use_bidirectional_attention", json!(true), "use_bidirectional_attention"),
        ("gemma2", "hidden_activation", json!("relu"), "relu"),
        ("gemma2", "layer_types", json!(["full_attention"]), "1 entries for 3 layers"),
        ("phi3", "partial_rotary_factor", json!(3), "partial_rotary_factor"),
        ("granite", "logits_scaling", json!(0.0), "logits_scaling"),
        ("gpt_neox", "hidden_act", json!("relu"), "relu"),
        ("olmo2", "hidden_act", json!("gelu"), "gelu"),
    ] {
        let mut configs = configs();
        let config = configs.iter_mut().find(|config| config["model_type"] == family).unwrap();
        config[key] = value;
        let error = plan(config, Path::new("config.json")).err().unwrap().to_string();
        assert!(error.contains(word), "{error}");
    }
}
