//! The programs in `examples/`, with few steps.

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

#[allow(dead_code, unreachable_pub, reason = "a program of its own")]
#[path = "../../examples/exchange_with_peft.rs"]
mod exchange_with_peft;
#[allow(dead_code, unreachable_pub, reason = "a program of its own")]
#[path = "../../examples/fine_tune.rs"]
mod fine_tune;
#[allow(dead_code, unreachable_pub, reason = "a program of its own")]
#[path = "../../examples/own_loop.rs"]
mod own_loop;
#[allow(dead_code, unreachable_pub, reason = "a program of its own")]
#[path = "../../examples/own_method.rs"]
mod own_method;

/// The examples share the session of the process, so they run one after another, in a folder of
/// their own for the runs.
fn turn() -> (MutexGuard<'static, ()>, &'static std::path::Path) {
    static TURN: Mutex<()> = Mutex::new(());
    static FOLDER: OnceLock<tempfile::TempDir> = OnceLock::new();
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = FOLDER.get_or_init(|| tempfile::tempdir().expect("a folder for the runs")).path();
    std::env::set_current_dir(folder).expect("the folder exists");
    (turn, folder)
}

#[test]
fn fine_tune_trains_and_saves_an_adapter() {
    let (_turn, folder) = turn();
    fine_tune::fine_tune(3).unwrap();
    assert!(folder.join(".graft/runs").is_dir());
}

#[test]
fn own_method_lowers_the_loss() {
    let _turn = turn();
    let (before, after) = own_method::own_method(5).unwrap();
    assert!(after < before, "{before} -> {after}");
}

#[test]
fn own_loop_lowers_the_loss() {
    let _turn = turn();
    let losses = own_loop::own_loop(8).unwrap();
    let mean = |losses: &[f32]| losses.iter().sum::<f32>() / losses.len() as f32;
    assert!(mean(&losses[4..]) < mean(&losses[..4]), "{losses:?}");
}

#[test]
fn an_exchanged_adapter_gives_the_same_logits() {
    let (_turn, folder) = turn();
    let saved = folder.join("exchanged");
    let difference =
        exchange_with_peft::exchange_with_peft(&saved.display().to_string(), 2).unwrap();
    assert_eq!(difference, 0.0);
    assert!(saved.join("adapter_model.safetensors").is_file());
}
