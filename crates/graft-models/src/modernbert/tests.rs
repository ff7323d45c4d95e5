use graft_nn::{Device, Rng, Sequences};
use serde_json::json;

use super::*;
use crate::{
    WeightSpec,
    llama::tests::{assert_same_weights, close, ids},
};

fn model(changes: &[(&str, serde_json::Value)]) -> (ModernBertConfig, ModernBert, Vec<WeightSpec>) {
    let mut json = config::tests::json();
    changes.iter().for_each(|(key, value)| json[*key] = value.clone());
    let (config, rng) = (ModernBertConfig::from_json(&json).unwrap(), Rng::new(3));
    let mut asked = Vec::new();
    let model = ModernBert::build(&config, &Device::Cpu, &mut |spec| {
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
        &[("architectures", json!(["ModernBertModel"]))],
        &[
            ("norm_bias", json!(true)),
            ("attention_bias", json!(true)),
            ("mlp_bias", json!(true)),
            ("classifier_bias", json!(true)),
        ],
    ] {
        let (config, model, asked) = model(changes);
        assert_same_weights(asked, config.weights(), &model);
    }
}

#[test]
fn padding_does_not_reach_the_text_and_other_tokens_do() {
    let cx = Context::eval();
    for pooling in ["cls", "mean"] {
        let (_, model, _) = model(&[("classifier_pooling", json!(pooling))]);
        let short = model.logits(&ids(&[5, 9, 31]), None, &cx).unwrap();
        let mask = Tensor::new(&[[1u8, 1, 1, 0, 0]], &Device::Cpu).unwrap();
        let padded = ids(&[5, 9, 31, 7, 7]);
        assert!(close(&model.logits(&padded, Some(&mask), &cx).unwrap(), &short), "{pooling}");
        // The trainer names the last token instead of a mask.
        let states = model.hidden(&padded, Some(&mask), &cx).unwrap().states;
        assert!(close(&model.class_logits(&states, &[2], &cx).unwrap(), &short), "{pooling}");
        assert!(!close(&model.logits(&ids(&[5, 9, 30]), None, &cx).unwrap(), &short), "{pooling}");
    }
}

#[test]
fn packed_texts_have_the_logits_of_separate_ones() {
    for pooling in ["cls", "mean"] {
        let (_, model, _) = model(&[("classifier_pooling", json!(pooling))]);
        let cx = Context::eval().with_sequences(Sequences::new(&[3, 2]));
        let packed = model.logits(&ids(&[5, 9, 31, 7, 8]), None, &cx).unwrap();
        let alone = [&[5, 9, 31][..], &[7, 8]]
            .map(|text| model.logits(&ids(text), None, &Context::eval()).unwrap());
        assert!(close(&packed, &Tensor::cat(&alone, 0).unwrap()), "{pooling}");
    }
}

#[test]
fn a_local_layer_sees_half_of_its_window_to_either_side() {
    // The first layer is local, and the others cannot carry information further: there are none.
    let (_, model, _) = model(&[
        ("num_hidden_layers", json!(1)),
        ("layer_types", json!(["sliding_attention"])),
        ("local_attention", json!(4)),
    ]);
    let states = |tokens: &[u32]| {
        model.hidden(&ids(tokens), None, &Context::eval()).unwrap().states.get(0).unwrap()
    };
    let text = states(&[1, 2, 3, 4, 5, 6, 7, 8]);
    let other = states(&[1, 2, 3, 4, 30, 6, 7, 8]);
    let moved: Vec<bool> =
        (0..8).map(|place| !close(&text.get(place).unwrap(), &other.get(place).unwrap())).collect();
    assert_eq!(moved, [false, false, true, true, true, true, true, false]);
}
