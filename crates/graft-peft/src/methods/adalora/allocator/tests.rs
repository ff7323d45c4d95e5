use graft_nn::{Device, Rng};

use super::*;

const SCHEDULE: Schedule = Schedule {
    init_r: 4,
    target_r: 2,
    tinit: 2,
    tfinal: 3,
    delta: 1,
    betas: (0.85, 0.85),
    orthogonality: 0.5,
    done: false,
};

fn var(name: &str, shape: (usize, usize)) -> Var {
    let values = Rng::new(1).stream("adalora", name).normal(0.0, 1.0, shape.0 * shape.1);
    Var::from_tensor(&Tensor::from_vec(values, shape, &Device::Cpu).expect("a matrix"))
        .expect("a variable")
}

fn allocator() -> Allocator {
    let layer = |path: &str| Triplet {
        path: path.to_owned(),
        a: var(&format!("{path} a"), (4, 6)),
        b: var(&format!("{path} b"), (5, 4)),
        e: var(path, (4, 1)),
    };
    Allocator::new(vec![layer("one"), layer("two")], SCHEDULE)
}

fn zeros(layer: &Triplet) -> usize {
    layer
        .e
        .flatten_all()
        .and_then(|e| e.to_vec1::<f32>())
        .expect("values")
        .iter()
        .filter(|value| **value == 0.0)
        .count()
}

/// A step whose gradients make the ranks of the second layer ten times as sensitive as those of the
/// first.
fn step(allocator: &Allocator, number: u64) {
    let gradients: Vec<(String, Tensor)> = allocator
        .layers
        .iter()
        .flat_map(|layer| {
            layer.matrices().map(|(key, var)| {
                (
                    key,
                    (var.ones_like().expect("ones") * if layer.path == "two" { 10.0 } else { 1.0 })
                        .expect("g"),
                )
            })
        })
        .collect();
    allocator
        .after_step(
            number,
            &gradients.iter().map(|(key, gradient)| (key.as_str(), gradient)).collect(),
        )
        .expect("works");
}

#[test]
fn the_budget_decreases_to_the_target_and_stays_there() {
    let budgets: Vec<_> = (1..=7).map(|step| SCHEDULE.budget(step, 10, 2)).collect();
    // 4 (1 - (step - 2) / 5)³ + 4
    assert_eq!(budgets, [None, None, Some(6), Some(4), Some(4), Some(4), Some(4)]);
}

#[test]
fn the_least_sensitive_ranks_are_pruned_for_good() {
    let allocator = allocator();
    allocator.start(10).expect("fits");
    step(&allocator, 1);
    assert_eq!(allocator.layers.iter().map(zeros).sum::<usize>(), 0);
    (2..=7).for_each(|number| step(&allocator, number));
    assert_eq!((zeros(&allocator.layers[0]), zeros(&allocator.layers[1])), (4, 0));
    allocator.layers[0].e.set(&allocator.layers[0].e.ones_like().expect("ones")).expect("sets");
    step(&allocator, 8);
    assert_eq!(zeros(&allocator.layers[0]), 4);
}

#[test]
fn a_resumed_run_equals_an_uninterrupted_run() {
    let (whole, parts, resumed) = (allocator(), allocator(), allocator());
    [&whole, &parts, &resumed].iter().for_each(|allocator| allocator.start(10).expect("fits"));
    (1..=7).for_each(|number| step(&whole, number));
    (1..=3).for_each(|number| step(&parts, number));
    resumed.restore(&parts.state()).expect("restores");
    resumed
        .layers
        .iter()
        .zip(&parts.layers)
        .for_each(|(to, from)| to.e.set(&from.e.as_detached_tensor()).expect("sets"));
    (4..=7).for_each(|number| step(&resumed, number));
    assert_eq!(resumed.progress().remaining, whole.progress().remaining);
    assert!(whole.progress().remaining.is_some());
}

#[test]
fn too_few_steps_for_the_schedule_are_refused() {
    let error = allocator().start(5).expect_err("refused");
    assert!(
        error.to_string().contains("tinit=2 and tfinal=3")
            && error.to_string().contains("5 training steps"),
        "{error}"
    );
}

#[test]
fn a_file_contains_the_remaining_ranks_and_their_mask() {
    let allocator = allocator();
    allocator.start(10).expect("fits");
    (1..=7).for_each(|number| step(&allocator, number));
    let mut state: BTreeMap<String, Tensor> = allocator
        .layers
        .iter()
        .flat_map(Triplet::matrices)
        .map(|(key, var)| (key, var.as_detached_tensor()))
        .collect();
    let mut config = ConfigFile::new("{}", []);
    allocator.export(&mut config, &mut state).expect("works");
    assert_eq!(config.get("total_step"), Some(&10.into()));
    assert_eq!(
        config.get("rank_pattern"),
        Some(
            &serde_json::json!({"one.lora_E": [true, false, false, false], "two.lora_E": [true, true, true, true]})
        )
    );
    assert_eq!(state["base_model.model.one.lora_A"].dims(), [1, 6]);
    assert_eq!(state["base_model.model.one.lora_B"].dims(), [5, 1]);
    assert_eq!(state["base_model.model.two.lora_E"].dims(), [4, 1]);
}
