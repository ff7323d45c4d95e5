//! Where weights start.

use graft_peft::attach;
use graft_protocol::Value;

use crate::contract::{bench, model, settings};

/// `%ablate` compares ranks: they must differ in rank alone.
#[test]
fn a_lora_of_a_small_rank_starts_as_the_first_rows_of_one_of_a_large_rank() {
    let model = model();
    let rows = |r: i64| {
        let adapter = attach(&bench(&model), "lora", &settings(&[("r", Value::Integer(r))])).unwrap();
        let state = adapter.state().unwrap();
        state.into_iter().filter(|(key, _)| key.contains("lora_A")).map(|(_, a)| a.to_vec2::<f32>().unwrap()).collect::<Vec<_>>()
    };
    let (small, large) = (rows(2), rows(8));
    assert!(!small.is_empty() && small.iter().zip(&large).all(|(small, large)| small[..] == large[..2]));
}
