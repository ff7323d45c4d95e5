//! Soft prompts and prefixes: behavior that the method contract does not cover.

use std::sync::Arc;

use graft_nn::{Context, Device, KvCache, Model, Tensor};
use graft_peft::{PeftError, attach, load, parameter_table};
use graft_protocol::Cell;
use graft_spec::Value;

use crate::{
    contract::{attach_context, model, settings},
    method_contract::randomize,
};

fn ids(range: std::ops::Range<usize>) -> Tensor {
    let all = [4u32, 8, 15, 16, 23, 42];
    Tensor::from_slice(&all[range.clone()], (1, range.len()), &Device::Cpu).unwrap()
}

#[test]
fn decoding_token_by_token_after_a_prefix_equals_one_pass() {
    let model = model();
    let adapter = attach(
        &attach_context(&model),
        "prefix_tune",
        &settings(&[("num_virtual_tokens", Value::Integer(3))]),
    )
    .unwrap();
    randomize(&adapter, 3);
    let last =
        |logits: Tensor| logits.flatten_to(1).unwrap().to_vec2::<f32>().unwrap().pop().unwrap();
    let whole = last(model.logits(&ids(0..6), None, &Context::eval()).unwrap());
    let cx = Context::eval().with_cache(Arc::new(KvCache::new(model.shape().layers)));
    model.logits(&ids(0..4), None, &cx).unwrap();
    assert_eq!(cx.offset(), 7);
    model.logits(&ids(4..5), None, &cx).unwrap();
    let parts = last(model.logits(&ids(5..6), None, &cx).unwrap());
    assert!(whole.iter().zip(&parts).all(|(a, b)| (a - b).abs() < 1e-5), "{whole:?} {parts:?}");
}

#[test]
fn a_prefix_takes_room_from_the_context() {
    let model = model();
    let error = attach(
        &attach_context(&model),
        "prefix_tune",
        &settings(&[("num_virtual_tokens", Value::Integer(40))]),
    )
    .err()
    .unwrap();
    assert!(matches!(error, PeftError::PromptTooLong { .. }), "{error}");
    let adapter = attach(
        &attach_context(&model),
        "prefix_tune",
        &settings(&[("num_virtual_tokens", Value::Integer(36))]),
    )
    .unwrap();
    assert_eq!(model.embedding().positions_taken(), 36);
    assert!(model.logits(&ids(0..4), None, &Context::eval()).is_ok());
    assert!(model.logits(&ids(0..5), None, &Context::eval()).is_err());
    adapter.detach(&model).unwrap();
    assert!(model.logits(&ids(0..5), None, &Context::eval()).is_ok());
}

#[test]
fn the_network_of_a_soft_prompt_is_in_the_table_and_not_in_the_file() {
    let model = model();
    let adapter = attach(
        &attach_context(&model),
        "p_tune",
        &settings(&[
            ("num_virtual_tokens", Value::Integer(4)),
            ("encoder_hidden_size", Value::Integer(5)),
        ]),
    )
    .unwrap();
    let rows = parameter_table(&model, Some(&adapter)).rows;
    let is_map = |row: &Vec<Cell>| {
        row[0] == Cell::Code("prompt_encoder.default.mlp_head.2.weight".to_owned())
            && row[3] == Cell::Integer(25)
    };
    assert!(rows.iter().any(is_map), "{rows:?}");
    let folder = tempfile::tempdir().unwrap();
    adapter.save(folder.path(), "toy").unwrap();
    let (loaded, _) = load(&attach_context(&model), folder.path(), "default").unwrap();
    assert_eq!(loaded.state().unwrap().into_keys().collect::<Vec<_>>(), ["prompt_embeddings"]);
    assert_eq!(loaded.trainable_parameters(), 4 * 16);
}
