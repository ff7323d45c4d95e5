use super::*;
use graft_nn::Var;

fn parameter(name: &str, values: &[f32]) -> Trainable {
    Trainable::new(name, Var::new(values, &Device::Cpu).expect("var"))
}

fn values(trainable: &Trainable) -> Vec<f32> {
    trainable.var.to_vec1().expect("values")
}

fn gradient(values: &[f32]) -> Tensor {
    Tensor::new(values, &Device::Cpu).expect("gradient")
}

fn close(found: &[f32], expected: &[f32]) {
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() < 1e-6, "{found} instead of {expected}");
    }
}

/// Values of `torch.optim.AdamW(lr=0.1, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.1)`, computed
/// from its formula in 64-bit floats.
#[test]
fn two_steps_match_pytorch() {
    let p = parameter("p", &[1.0, -2.0]);
    let mut optimizer =
        Optimizer::new(AdamW { weight_decay: 0.1, ..AdamW::default() }, vec![p.clone()]);
    optimizer.step(&[gradient(&[0.5, -0.25])], 0.1, 1.0).expect("step");
    close(&values(&p), &[0.89, -1.88]);
    optimizer.step(&[gradient(&[0.1, 0.4])], 0.1, 1.0).expect("step");
    close(&values(&p), &[0.800_795_9, -1.888_811_3]);
}

#[test]
fn groups_have_their_own_decay_and_rate() {
    let plain = Trainable { decay: false, ..parameter("plain", &[1.0]) };
    let fast = Trainable { lr_scale: 2.0, ..parameter("fast", &[1.0]) };
    let mut optimizer = Optimizer::new(
        AdamW { weight_decay: 0.5, ..AdamW::default() },
        vec![plain.clone(), fast.clone()],
    );
    optimizer.step(&[gradient(&[1.0]), gradient(&[1.0])], 0.1, 1.0).expect("step");
    close(&values(&plain), &[0.9]);
    close(&values(&fast), &[0.7]);
}

#[test]
fn a_restored_optimizer_continues_bit_for_bit() {
    let steps = [[0.5f32, -0.25], [0.1, 0.4], [-0.3, 0.2]];
    let whole = parameter("p", &[1.0, -2.0]);
    let mut optimizer = Optimizer::new(AdamW::default(), vec![whole.clone()]);
    for step in &steps {
        optimizer.step(&[gradient(step)], 0.1, 0.7).expect("step");
    }
    let halved = parameter("p", &[1.0, -2.0]);
    let mut first = Optimizer::new(AdamW::default(), vec![halved.clone()]);
    first.step(&[gradient(&steps[0])], 0.1, 0.7).expect("step");
    let mut second = Optimizer::new(AdamW::default(), vec![halved.clone()]);
    second.restore(&first.state().expect("state"), first.steps()).expect("restores");
    for step in &steps[1..] {
        second.step(&[gradient(step)], 0.1, 0.7).expect("step");
    }
    assert_eq!(values(&halved), values(&whole));
}

#[test]
fn a_step_can_be_taken_back() {
    let p = parameter("p", &[1.0, -2.0]);
    let mut optimizer = Optimizer::new(AdamW::default(), vec![p.clone()]);
    optimizer.step(&[gradient(&[1.0, 1.0])], 0.1, 1.0).expect("step");
    let good = values(&p);
    optimizer.step(&[gradient(&[1.0, 1.0])], 1e30, 1.0).expect("step");
    optimizer.undo().expect("undo");
    assert_eq!(values(&p), good);
}
