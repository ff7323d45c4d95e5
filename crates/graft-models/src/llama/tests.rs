use std::sync::Arc;

use graft_nn::{Context, DType, Device, KvCache, Model, NnError};

use super::*;
use crate::WeightSpec;

pub(crate) fn json() -> serde_json::Value {
    serde_json::json!({"vocab_size": 40, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2, "max_position_embeddings": 32, "initializer_range": 0.2, "attention_bias": true})
}

fn config() -> LlamaConfig {
    LlamaConfig::from_json(&json()).unwrap()
}

pub(crate) fn ids(values: &[u32]) -> Tensor {
    Tensor::from_slice(values, (1, values.len()), &Device::Cpu).unwrap()
}

/// Checks that building a model asks for exactly the weights that its config lists, and that these
/// are its parameters.
pub(crate) fn assert_same_weights(
    mut asked: Vec<WeightSpec>,
    mut listed: Vec<WeightSpec>,
    model: &dyn Model,
) {
    let parameters = model.parameters();
    let mut named: Vec<_> = parameters
        .iter()
        .map(|parameter| WeightSpec { name: parameter.path().to_owned(), shape: parameter.dims() })
        .collect();
    for list in [&mut asked, &mut listed, &mut named] {
        list.sort_by(|a, b| a.name.cmp(&b.name));
    }
    assert_eq!(asked, listed);
    assert_eq!(named, listed);
}

pub(crate) fn close(a: &Tensor, b: &Tensor) -> bool {
    let difference = (a - b)
        .unwrap()
        .abs()
        .unwrap()
        .flatten_all()
        .unwrap()
        .max(0)
        .unwrap()
        .to_scalar::<f32>()
        .unwrap();
    difference < 1e-5
}

#[test]
fn building_asks_for_exactly_the_weights_that_the_config_lists() {
    for tied in [false, true] {
        let config = LlamaConfig { tie_word_embeddings: tied, ..config() };
        let mut asked = Vec::new();
        let model = Llama::build(&config, &Device::Cpu, &mut |spec| {
            asked.push(spec.clone());
            Ok(Tensor::zeros(spec.shape.as_slice(), DType::F32, &Device::Cpu)
                .map_err(NnError::from)?)
        })
        .unwrap();
        assert_same_weights(asked, config.weights(), &model);
    }
}

#[test]
fn cached_single_token_passes_match_one_pass() {
    let model = Llama::random(&config(), 3, &Device::Cpu).unwrap();
    let text = [5, 9, 31, 2, 7, 7];
    let whole = model.logits(&ids(&text), None, &Context::eval()).unwrap();
    let cx = Context::eval().with_cache(Arc::new(KvCache::new(2)));
    let first = model.logits(&ids(&text[..3]), None, &cx).unwrap();
    assert!(close(&first, &whole.narrow(1, 0, 3).unwrap()));
    for (place, id) in text.iter().enumerate().skip(3) {
        let next = model.logits(&ids(&[*id]), None, &cx).unwrap();
        assert!(close(&next, &whole.narrow(1, place, 1).unwrap()), "token {place}");
    }
}

#[test]
fn later_tokens_and_padding_do_not_reach_earlier_ones() {
    let model = Llama::random(&config(), 3, &Device::Cpu).unwrap();
    let short = model.logits(&ids(&[5, 9, 31]), None, &Context::eval()).unwrap();
    let mask = Tensor::new(&[[1u8, 1, 1, 0, 0]], &Device::Cpu).unwrap();
    let padded = model.logits(&ids(&[5, 9, 31, 0, 0]), Some(&mask), &Context::eval()).unwrap();
    assert!(close(&short, &padded.narrow(1, 0, 3).unwrap()));
}

#[test]
fn the_seed_decides_every_fresh_weight() {
    let weights = |seed| {
        let model = Llama::random(&config(), seed, &Device::Cpu).unwrap();
        let parameters = model.parameters();
        let path = "model.layers.1.mlp.up_proj.weight";
        let weight = parameters.iter().find(|weight| weight.path() == path).unwrap().tensor();
        weight.flatten_all().unwrap().to_vec1::<f32>().unwrap()
    };
    assert_eq!(weights(1), weights(1));
    assert_ne!(weights(1), weights(2));
}

#[test]
fn more_tokens_than_positions_are_refused() {
    let model = Llama::random(&config(), 3, &Device::Cpu).unwrap();
    let error = model.logits(&ids(&[1; 33]), None, &Context::eval()).unwrap_err();
    assert_eq!(error.to_string(), "position 32 is outside 0..32");
}

#[test]
fn no_tokens_at_all_are_an_error_and_no_panic() {
    let model = Llama::random(&config(), 1, &Device::Cpu).unwrap();
    let none = Tensor::zeros((1, 0), DType::U32, &Device::Cpu).unwrap();
    assert!(matches!(
        model.hidden(&none, None, &Context::eval()),
        Err(NnError::Shape { what: "ids", .. })
    ));
}
