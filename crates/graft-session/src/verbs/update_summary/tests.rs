use graft_protocol::{StepRecord, ValidationRecord};
use graft_spec::Settings;

use super::*;

fn record(losses: &[f64], accuracies: &[f64]) -> RunRecord {
    let step = |(index, loss): (usize, &f64)| StepRecord {
        step: index as u64 + 1,
        loss: *loss,
        lr: 0.1,
        grad_norm: 1.0,
        tokens_per_second: 1.0,
        elapsed_seconds: 1.0,
        rewards: None,
    };
    let validation = |(index, accuracy): (usize, &f64)| ValidationRecord {
        step: index as u64,
        loss: 1.0,
        accuracy: Some(*accuracy),
        metric: None,
    };
    RunRecord {
        steps: losses.iter().enumerate().map(step).collect(),
        validations: accuracies.iter().enumerate().map(validation).collect(),
        ..RunRecord::default()
    }
}

#[test]
fn an_accuracy_of_the_majority_class_and_a_flat_loss_cause_a_warning() {
    let data = graft_train::data::builtin("which-book").unwrap().unwrap();
    let config = TrainConfig::from_settings(&Settings::default(), 1e-3, 1);
    let (asked, train) = (Settings::default(), Settings::default());
    let next = Next {
        spec: &graft_spec::methods::lora::SPEC,
        adapter: ("default", 1.0),
        asked: &asked,
        train: &train,
        steps: 50,
        lr: 1e-3,
        default_lr: 1e-3,
        is_preference: false,
    };
    let warn = |record: &RunRecord| warning(record, &data, &config, &next);
    let majority = data.majority(data.scored(SplitName::Validation, config.eval_examples)).unwrap();
    let falling: Vec<f64> = (0..30).map(|step| 3.0 - 0.05 * f64::from(step)).collect();
    assert!(
        warn(&record(&falling, &[0.1, majority]))
            .unwrap()
            .contains("no better than the majority class")
    );
    assert_eq!(warn(&record(&falling[..2], &[0.1, majority])), None, "two steps show nothing");
    assert_eq!(warn(&record(&falling, &[0.1, majority + 0.2])), None);
    assert!(warn(&record(&falling, &[0.9; 3])).unwrap().contains("has stayed at 90 %"));
    assert!(warn(&record(&[3.0; 20], &[])).unwrap().contains("did not fall"));
    assert_eq!(warn(&record(&[3.0; 5], &[])), None);
    assert_eq!(warn(&record(&falling, &[1.0; 3])), None, "there was nothing left to learn");
}

#[test]
fn a_diverged_run_suggests_a_smaller_rate_whatever_its_accuracy() {
    let data = graft_train::data::builtin("which-book").unwrap().unwrap();
    let config = TrainConfig::from_settings(&Settings::default(), 1e-3, 1);
    let (asked, train) = (Settings::default(), Settings::default());
    let next = Next {
        spec: &graft_spec::methods::lora::SPEC,
        adapter: ("default", 1.0),
        asked: &asked,
        train: &train,
        steps: 50,
        lr: 1e-3,
        default_lr: 1e-3,
        is_preference: false,
    };
    let rising: Vec<f64> = (0..40).map(f64::from).collect();
    for accuracies in [&[][..], &[0.2, 0.1], &[0.2; 3]] {
        let told = warning(&record(&rising, accuracies), &data, &config, &next).unwrap();
        assert!(
            told.contains("the loss rose")
                && told.contains("`%lora steps=50 lr=1e-4`")
                && !told.contains("larger"),
            "{told}"
        );
    }
}

#[test]
fn an_update_of_zero_weights_has_a_norm_and_no_ratio() {
    let change =
        |path: &str, update: f64, weight: f64| UpdateNorm { path: path.to_owned(), update, weight };
    let zero = update(&[change("a", 0.5, 0.0), change("b", 1.5, 1e-300)]).unwrap();
    assert_eq!(
        zero,
        "the changed base weights are zero; mean norm of the update: 1.000, largest in `b` (1.500)"
    );
    let mixed = update(&[change("a", 0.5, 0.0), change("b", 1.0, 2.0)]).unwrap();
    assert_eq!(
        mixed,
        "mean size of the update: 50 % of the weights (Frobenius norm), largest in `b` (50 %); without 1 layer with zero weights"
    );
    assert!(update(&[change("a", 1e300, 1.0)]).unwrap().len() < 100);
    assert_eq!(update(&[]), None);
}
