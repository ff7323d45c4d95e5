use graft_nn::{Device, Rng};
use serde_json::json;

use super::*;
use crate::{
    WeightSpec,
    llama::tests::{assert_same_weights, close, ids},
};

fn model(architecture: &str) -> (BertConfig, Bert, Vec<WeightSpec>) {
    let mut json = config::tests::json();
    json["architectures"] = json!([architecture]);
    let (config, rng, mut asked) = (BertConfig::from_json(&json).unwrap(), Rng::new(3), Vec::new());
    let model = Bert::build(&config, &mut |spec| {
        asked.push(spec.clone());
        let values =
            rng.stream("weights", &spec.name).normal(0.0, 0.3, spec.shape.iter().product());
        Ok(Tensor::from_vec(values, spec.shape.as_slice(), &Device::Cpu).map_err(NnError::from)?)
    });
    (config, model.unwrap(), asked)
}

#[test]
fn building_asks_for_exactly_the_weights_that_the_config_lists() {
    for architecture in ["BertModel", "BertForSequenceClassification"] {
        let (config, model, asked) = model(architecture);
        assert_same_weights(asked, config.weights(), &model);
    }
}

#[test]
fn padding_does_not_reach_the_text_and_later_tokens_do() {
    let (_, model, _) = model("BertForSequenceClassification");
    let cx = Context::eval();
    let short = model.logits(&ids(&[5, 9, 31]), None, &cx).unwrap();
    let mask = Tensor::new(&[[1u8, 1, 1, 0, 0]], &Device::Cpu).unwrap();
    assert!(close(&model.logits(&ids(&[5, 9, 31, 7, 7]), Some(&mask), &cx).unwrap(), &short));
    assert!(!close(&model.logits(&ids(&[5, 9, 30]), None, &cx).unwrap(), &short));
}

#[test]
fn a_bare_encoder_returns_states_and_reports_that_it_has_no_head() {
    let (_, model, _) = model("BertModel");
    assert_eq!(model.task(), Task::FeatureExtraction);
    let hidden = model.hidden(&ids(&[5, 9, 31]), None, &Context::eval()).unwrap();
    assert_eq!(hidden.states.dims(), [1, 3, 16]);
    assert!(matches!(model.head(&hidden.states, &Context::eval()), Err(NnError::NoHead { .. })));
}
