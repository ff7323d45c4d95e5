//! Compares the predicted memory of training with measurements, for every method and model family.

use std::process::Command;

use graft_bench::backend::Figures;
use graft_bench::methods::Costs;
use graft_protocol::MemoryUse;
use graft_spec::methods::METHODS;

/// The measurements that the program prints in its own process.
fn measure<T: serde::de::DeserializeOwned>(arguments: &[&str]) -> T {
    let output = Command::new(env!("CARGO_BIN_EXE_graft-bench"))
        .args(arguments)
        .args(["--steps", "2"])
        .output()
        .expect("starts");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("figures")
}

/// Measurements of one run before it counts as wrong.
const ATTEMPTS: usize = 3;

/// Whether prediction and measurement differ by at most a tenth. Passes if the system does not
/// report memory.
///
/// The peak includes what several threads hold at the same moment, which depends on the load of the
/// machine, so a measurement that is too high is repeated.
fn is_close(name: &str, measured: impl Fn() -> Option<MemoryUse>) -> Result<(), String> {
    let mut result = Ok(());
    for _ in 0..ATTEMPTS {
        let memory = measured().expect("a run ends with its memory");
        let Some((predicted, taken)) = memory.predicted.zip(memory.taken) else { return Ok(()) };
        let ratio = predicted as f64 / taken as f64;
        let row = format!("{name}: predicted {predicted}, taken {taken}: {ratio:.3}");
        eprintln!("{row}");
        result = if (0.9..=1.1).contains(&ratio) { Ok(()) } else { Err(row) };
        if ratio >= 0.9 {
            break;
        }
    }
    result
}

fn assert_all_close(rows: impl Iterator<Item = Result<(), String>>) {
    let wrong: Vec<String> = rows.filter_map(Result::err).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn of_methods<'a>(
    shape: &'a str,
    verbs: impl Iterator<Item = &'a str>,
) -> impl Iterator<Item = Result<(), String>> {
    verbs.map(move |verb| {
        is_close(&format!("{verb} on {shape}"), || {
            measure::<Costs>(&["method", verb, "--shape", shape]).memory
        })
    })
}

#[test]
fn the_prediction_is_within_a_tenth_for_every_method_on_a_small_model() {
    assert_all_close(of_methods("tiny", METHODS.iter().map(|spec| spec.verb)));
}

#[test]
fn the_prediction_is_within_a_tenth_where_the_validation_takes_the_most() {
    let measured = |verb: &str| {
        is_close(&format!("{verb}, validated"), || {
            measure::<Costs>(&["method", verb, "--shape", "tiny", "--validated"]).memory
        })
    };
    // One of each kind: in layers, in the embedding, before the text, before the keys, between
    // layers, all weights.
    let kinds = ["lora", "trainable_tokens", "prompt_tune", "prefix_tune", "bottleneck", "full"];
    assert_all_close(
        METHODS
            .iter()
            .map(|spec| spec.verb)
            .filter(|verb| is_long() || kinds.contains(verb))
            .map(measured),
    );
}

#[test]
fn the_prediction_is_within_a_tenth_on_a_larger_model() {
    assert_all_close(of_methods(
        "d768",
        METHODS.iter().map(|spec| spec.verb).filter(|verb| is_long() || *verb == "lora"),
    ));
}

#[test]
fn the_prediction_is_within_a_tenth_with_checkpointing_and_in_every_family() {
    let works =
        [("tiny", "checkpointed"), ("d768", "checkpointed"), ("gpt2", "lora"), ("bert", "lora")];
    let measured = if is_long() { works.len() } else { 1 };
    assert_all_close(works.into_iter().take(measured).map(|(shape, work)| {
        is_close(&format!("{work} on {shape}"), || {
            measure::<Figures>(&["step", "graft", "--shape", shape, "--work", work]).memory
        })
    }));
}

/// Whether to measure the larger models, each of which takes half a minute.
fn is_long() -> bool {
    std::env::var_os("GRAFT_TEST_LONG").is_some()
}
