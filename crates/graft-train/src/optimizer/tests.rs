use super::*;
use crate::testing::{drawn, training_goldens};
use graft_nn::Var;

fn parameter(name: &str, values: &[f32]) -> Trainable {
    Trainable::new(name, Var::new(values, &Device::Cpu).expect("var"))
}

fn values(trainable: &Trainable) -> Vec<f32> {
    trainable.var.flatten_all().and_then(|flat| flat.to_vec1()).expect("values")
}

fn gradient(values: &[f32]) -> Tensor {
    Tensor::new(values, &Device::Cpu).expect("gradient")
}

fn close(found: &[f32], expected: &[f32]) {
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() < 1e-6, "{found} instead of {expected}");
    }
}

/// The parameters of `make_training_goldens.py`.
const SHAPES: [(&str, &[usize]); 4] =
    [("vector", &[6]), ("matrix", &[3, 4]), ("stack", &[2, 3, 4]), ("large", &[72, 64])];

fn parameters() -> Vec<Trainable> {
    SHAPES
        .iter()
        .zip(0..)
        .map(|((name, shape), seed)| {
            let var = Var::from_tensor(&drawn(seed, shape)).expect("a variable");
            Trainable::new(*name, var)
        })
        .collect()
}

fn gradients(step: u64) -> Vec<Tensor> {
    SHAPES.iter().zip(0..).map(|((_, shape), seed)| drawn(100 * step + seed, shape)).collect()
}

fn golden_config(name: &str) -> OptimizerConfig {
    let kind = OptimizerKind::parse(name.trim_end_matches("_momentum")).expect("an optimizer");
    let config = OptimizerConfig { weight_decay: 0.1, ..OptimizerConfig::of(kind) };
    match name {
        "sgd_momentum" => OptimizerConfig { momentum: 0.9, ..config },
        "adamw" => OptimizerConfig { beta1: 0.8, beta2: 0.95, epsilon: 1e-6, ..config },
        _ => config,
    }
}

const NAMES: [&str; 6] = ["sgd", "sgd_momentum", "adamw", "adafactor", "lion", "adamw_8bit"];

/// PyTorch's `SGD` and `AdamW`, `Adafactor` of transformers, `Lion` of lion-pytorch and `AdamW8bit`
/// of bitsandbytes, three steps each.
#[test]
fn every_optimizer_equals_its_reference() {
    let goldens = training_goldens();
    let lr = goldens["peak"].as_f64().expect("a rate");
    for name in NAMES {
        let parameters = parameters();
        let mut optimizer = Optimizer::new(golden_config(name), parameters.clone());
        for step in 1..=3 {
            optimizer.step(&gradients(step), lr, 1.0).expect("a step");
        }
        for parameter in &parameters {
            let every = if parameter.name == "large" { 37 } else { 1 };
            let found: Vec<f32> = values(parameter).into_iter().step_by(every).collect();
            let expected = goldens["optimizers"][name][&parameter.name].as_array().expect("values");
            assert_eq!(found.len(), expected.len());
            for (found, expected) in found.iter().zip(expected) {
                let expected = expected.as_f64().expect("a number");
                let away = (f64::from(*found) - expected).abs();
                assert!(away < 2e-6, "{name}, {}: {found} and {expected}", parameter.name);
            }
        }
    }
}

/// Three steps of AdamW with 8-bit moments stay within a tenth of a step of those with 32 bits.
#[test]
fn eight_bits_change_an_update_by_less_than_a_tenth_of_the_learning_rate() {
    let [exact, rounded] = [OptimizerKind::AdamW, OptimizerKind::AdamW8bit].map(|kind| {
        let parameters = parameters();
        let mut optimizer = Optimizer::new(OptimizerConfig::of(kind), parameters.clone());
        for step in 1..=3 {
            optimizer.step(&gradients(step), 0.01, 1.0).expect("a step");
        }
        values(&parameters[3])
    });
    let pairs = exact.iter().zip(&rounded);
    let differences: Vec<f32> = pairs.map(|(exact, rounded)| (exact - rounded).abs()).collect();
    let mean = differences.iter().sum::<f32>() / differences.len() as f32;
    assert!(mean > 0.0 && mean < 1e-3, "{mean}");
}

#[test]
fn groups_have_their_own_decay_and_rate() {
    let plain = Trainable { decay: false, ..parameter("plain", &[1.0]) };
    let fast = Trainable { lr_scale: 2.0, ..parameter("fast", &[1.0]) };
    let mut optimizer = Optimizer::new(
        OptimizerConfig { weight_decay: 0.5, ..OptimizerConfig::default() },
        vec![plain.clone(), fast.clone()],
    );
    optimizer.step(&[gradient(&[1.0]), gradient(&[1.0])], 0.1, 1.0).expect("step");
    close(&values(&plain), &[0.9]);
    close(&values(&fast), &[0.7]);
}

#[test]
fn every_restored_optimizer_continues_bit_for_bit() {
    for name in NAMES {
        let whole = parameters();
        let mut optimizer = Optimizer::new(golden_config(name), whole.clone());
        for step in 1..=4 {
            optimizer.step(&gradients(step), 0.01, 0.7).expect("step");
        }
        let halved = parameters();
        let mut first = Optimizer::new(golden_config(name), halved.clone());
        for step in 1..=2 {
            first.step(&gradients(step), 0.01, 0.7).expect("step");
        }
        let mut second = Optimizer::new(golden_config(name), halved.clone());
        second.restore(&first.state().expect("state"), first.steps()).expect("restores");
        for step in 3..=4 {
            second.step(&gradients(step), 0.01, 0.7).expect("step");
        }
        for (whole, halved) in whole.iter().zip(&halved) {
            assert_eq!(values(whole), values(halved), "{name}, {}", whole.name);
        }
    }
}

#[test]
fn the_state_has_the_predicted_size() {
    for name in NAMES {
        let config = golden_config(name);
        let mut optimizer = Optimizer::new(config, parameters());
        optimizer.step(&gradients(1), 0.01, 1.0).expect("step");
        let found: usize = optimizer
            .state()
            .expect("state")
            .values()
            .map(|tensor| tensor.elem_count() * tensor.dtype().size_in_bytes())
            .sum();
        let predicted: u64 = SHAPES.iter().map(|(_, shape)| config.state_bytes(shape)).sum();
        assert_eq!(found as u64, predicted, "{name}");
    }
}

#[test]
fn a_state_of_another_optimizer_or_shape_is_refused_and_changes_nothing() {
    let mut lion = Optimizer::new(golden_config("lion"), parameters());
    lion.step(&gradients(1), 0.01, 1.0).expect("step");
    let mut adamw = Optimizer::new(golden_config("adamw"), parameters());
    let error = adamw.restore(&lion.state().expect("state"), 1).expect_err("no second moment");
    assert_eq!(error, "`vector.exp_avg_sq` is missing");
    assert_eq!(adamw.steps(), 0);
    let mut other = Optimizer::new(golden_config("lion"), vec![parameter("vector", &[1.0])]);
    let error = other.restore(&lion.state().expect("state"), 1).expect_err("another shape");
    assert_eq!(error, "`vector.exp_avg` has shape [6], but the parameter has shape [1]");
}

#[test]
fn a_step_can_be_taken_back() {
    for name in NAMES {
        let p = parameter("p", &[1.0, -2.0]);
        let mut optimizer = Optimizer::new(golden_config(name), vec![p.clone()]);
        optimizer.step(&[gradient(&[1.0, 1.0])], 0.1, 1.0).expect("step");
        let good = values(&p);
        optimizer.step(&[gradient(&[1.0, 1.0])], 1e30, 1.0).expect("step");
        optimizer.undo().expect("undo");
        assert_eq!(values(&p), good, "{name}");
    }
}
