use super::*;
use crate::best::Direction;
use crate::testing::training_goldens;

fn rates(decay: Decay) -> Vec<f64> {
    let schedule = Schedule { peak: 2.0, warmup: 2, steps: 6, decay };
    (1..=7).map(|step| (schedule.rate(step) * 1e6).round() / 1e6).collect()
}

#[test]
fn the_rate_rises_to_its_peak_and_falls_to_zero_one_step_after_the_last() {
    assert_eq!(rates(Decay::Linear), [1.0, 2.0, 2.0, 1.5, 1.0, 0.5, 0.0]);
    assert_eq!(rates(Decay::Cosine), [1.0, 2.0, 2.0, 1.707_107, 1.0, 0.292_893, 0.0]);
    assert_eq!(rates(Decay::ConstantWithWarmup), [1.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0]);
    assert_eq!(rates(Decay::Constant), [2.0; 7]);
}

#[test]
fn a_warm_up_longer_than_the_run_only_rises() {
    let schedule = Schedule { peak: 1.0, warmup: 10, steps: 4, decay: Decay::Cosine };
    assert_eq!((1..=4).map(|step| schedule.rate(step)).collect::<Vec<_>>(), [0.1, 0.2, 0.3, 0.4]);
}

/// The rates of transformers after k steps are those of step k + 1 here; in the warm-up, of step k.
#[test]
fn every_schedule_equals_transformers() {
    let goldens = training_goldens();
    let number = |name: &str| goldens[name].as_f64().expect("a number");
    let warmup = number("warmup") as u64;
    for (name, expected) in goldens["schedules"].as_object().expect("schedules") {
        let decay = match name.as_str() {
            "constant" => Decay::Constant,
            "constant_with_warmup" => Decay::ConstantWithWarmup,
            "linear" => Decay::Linear,
            "cosine" => Decay::Cosine,
            "cosine_with_min_lr" => Decay::CosineWithMin(0.25),
            "inverse_sqrt" => Decay::InverseSqrt,
            "polynomial" => Decay::Polynomial(2.0),
            other => panic!("unknown schedule {other}"),
        };
        let schedule =
            Schedule { peak: number("peak"), warmup, steps: number("steps") as u64, decay };
        let expected = expected.as_array().expect("rates").iter().enumerate().skip(1);
        for (k, rate) in expected.take(schedule.steps as usize) {
            let k = k as u64;
            let step = if decay.has_warmup() && k <= warmup { k } else { k + 1 };
            let (found, rate) = (schedule.rate(step), rate.as_f64().expect("a rate"));
            assert!((found - rate).abs() < 1e-12, "{name}, k = {k}: {found} instead of {rate}");
        }
    }
}

#[test]
fn reductions_on_a_plateau_equal_pytorch() {
    let goldens = training_goldens();
    let peak = goldens["peak"].as_f64().expect("a rate");
    for (mode, direction) in [("min", Direction::Lower), ("max", Direction::Higher)] {
        let of = |name: &str| -> Vec<f64> {
            let list = goldens["plateau"][mode][name].as_array().expect("a list");
            list.iter().map(|value| value.as_f64().expect("a number")).collect()
        };
        let plateau = Plateau { patience: 2, factor: 0.5 };
        let mut state = PlateauState::default();
        let found: Vec<f64> = of("values")
            .into_iter()
            .map(|value| {
                plateau.after_validation(&mut state, value, direction, peak);
                state.rate.map_or(peak, crate::best::ExactFloat::value)
            })
            .collect();
        assert_eq!(found, of("rates"), "{mode}");
    }
}
