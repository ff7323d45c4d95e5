//! The predicted memory of a training against what the process was seen to take.

use std::process::Command;

use graft_bench::contender::Figures;
use graft_bench::workload::{Scene, Shape, Work};
use graft_train::memory::Memory;

/// Trains two steps in a process of its own.
fn measured(shape: Shape) -> Figures {
    let mut command = Command::new(env!("CARGO_BIN_EXE_graft-bench"));
    let output = command.args(["step", "graft", "--shape", shape.name(), "--steps", "2"]).output().expect("starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("figures")
}

#[test]
fn the_prediction_is_within_a_tenth_of_what_a_training_takes() {
    for shape in &[Shape::Tiny, Shape::D768] {
        let figures = measured(*shape);
        let Some((start, peak)) = figures.start_bytes.zip(figures.peak_bytes) else { return };
        let predicted = Scene::new(*shape, Work::Lora).with_sizes(|sizes| Memory::predict(sizes).total()).expect("a model");
        let taken = peak - start;
        let ratio = predicted as f64 / taken as f64;
        assert!((0.9..1.1).contains(&ratio), "{}: predicted {predicted}, taken {taken}: {ratio:.3}", shape.name());
    }
}
