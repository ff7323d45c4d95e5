//! Soft prompts and prefixes: behavior that the method contract does not cover.

use std::sync::Arc;

use graft_nn::{Context, Device, KvCache, Model, Tensor, TokenEncoder};
use graft_peft::{AttachContext, PeftError, attach, load, parameter_table};
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

/// A tokenizer with one token per character; a text begins with token 1.
struct Letters;

impl TokenEncoder for Letters {
    fn encode(&self, text: &str) -> graft_nn::Result<Vec<u32>> {
        Ok(text.bytes().map(|byte| u32::from(byte) % 50).collect())
    }
    fn encode_with_offsets(
        &self,
        text: &str,
    ) -> graft_nn::Result<Vec<(u32, std::ops::Range<usize>)>> {
        Ok(self.encode(text)?.into_iter().enumerate().map(|(at, id)| (id, at..at + 1)).collect())
    }
    fn decode(&self, _: &[u32]) -> graft_nn::Result<String> {
        Ok(String::new())
    }
    fn bos(&self) -> Option<u32> {
        Some(1)
    }
    fn eos(&self) -> Option<u32> {
        None
    }
    fn vocab(&self) -> usize {
        50
    }
    fn token(&self, id: u32) -> String {
        id.to_string()
    }
}

#[test]
fn a_soft_prompt_is_initialized_from_a_text_or_from_rows_of_the_embedding() {
    let model = model();
    let table = model.embedding().weight().tensor().to_vec2::<f32>().unwrap();
    let vectors = |count: i64, text: &str| {
        let attach_context = AttachContext { tokenizer: Some(&Letters), ..attach_context(&model) };
        let mut keys = vec![("num_virtual_tokens", Value::Integer(count))];
        if !text.is_empty() {
            keys.push(("prompt_tuning_init_text", Value::Text(text.to_owned())));
        }
        let adapter = attach(&attach_context, "prompt_tune", &settings(&keys)).unwrap();
        adapter.state().unwrap().into_values().next().unwrap().to_vec2::<f32>().unwrap()
    };
    let rows = |ids: &[usize]| ids.iter().map(|id| table[*id].clone()).collect::<Vec<_>>();
    // `a` is 97 mod 50 and `b` 98 mod 50; as in HF PEFT, the text includes the token that begins
    // every text.
    assert_eq!(vectors(5, "ab"), rows(&[1, 47, 48, 1, 47]));
    assert_eq!(vectors(2, "ab"), rows(&[1, 47]));
    assert!(vectors(6, "").iter().all(|vector| table.contains(vector)));
}
