use std::sync::Arc;

use graft_nn::{Device, KvCache, NnError, Rng};
use serde_json::json;

use super::*;
use crate::{
    WeightSpec,
    llama::tests::{close, ids},
};

fn model(tied: bool) -> (Gpt2Config, Gpt2, Vec<WeightSpec>) {
    let json = json!({"vocab_size": 40, "n_embd": 16, "n_layer": 2, "n_head": 4, "n_positions": 32, "tie_word_embeddings": tied});
    let (config, rng, mut asked) = (Gpt2Config::from_json(&json).unwrap(), Rng::new(3), Vec::new());
    let model = Gpt2::build(&config, &mut |spec| {
        asked.push(spec.clone());
        let values =
            rng.stream("weights", &spec.name).normal(0.0, 0.2, spec.shape.iter().product());
        Ok(Tensor::from_vec(values, spec.shape.as_slice(), &Device::Cpu).map_err(NnError::from)?)
    });
    (config, model.unwrap(), asked)
}

#[test]
fn building_asks_for_exactly_the_weights_that_the_config_lists() {
    for tied in [false, true] {
        let (config, _, mut asked) = model(tied);
        let mut listed = config.weights();
        for list in [&mut asked, &mut listed] {
            list.sort_by(|a, b| a.name.cmp(&b.name));
        }
        assert_eq!(asked, listed);
    }
}

#[test]
fn cached_single_token_passes_match_one_pass() {
    let (_, model, _) = model(true);
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
fn a_text_longer_than_the_table_of_positions_is_refused() {
    let (_, model, _) = model(true);
    let error = model.logits(&ids(&[1; 33]), None, &Context::eval()).unwrap_err();
    assert_eq!(error.to_string(), "position 32 is outside 0..32");
}
