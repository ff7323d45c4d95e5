mod options;

use super::*;
use crate::data::Dataset;
use crate::testing::{TinyLlama, config, job, labeled_data};
use crate::{TrainConfig, TrainError};
use graft_nn::{Model, Tensor, Trainable};
use graft_protocol::StepRecord;
use std::sync::Arc;
use tempfile::TempDir;

/// A fresh model with adapters, data and a folder for runs.
struct Bench {
    model: TinyLlama,
    trainables: Vec<Trainable>,
    data: Dataset,
    base: TempDir,
}

impl Bench {
    fn new() -> Self {
        let model = TinyLlama::new(16, 32);
        let trainables = model.attach(0.1);
        Self { model, trainables, data: labeled_data(), base: tempfile::tempdir().expect("folder") }
    }

    fn job(&self, config: TrainConfig) -> TrainingJob<'_> {
        job(&self.model, &self.data, &self.trainables, config, self.base.path())
    }

    fn values(&self) -> Vec<Vec<f32>> {
        self.trainables
            .iter()
            .map(|t| t.var.flatten_all().and_then(|flat| flat.to_vec1()).expect("values"))
            .collect()
    }
}

type Go = fn(TrainingJob<'_>, &Control, &mut dyn FnMut(Event)) -> Result<RunEnded>;

/// Runs and stops after so many steps of this call; returns the losses as bits.
fn losses(job: TrainingJob<'_>, stop_after: u64, go: Go) -> (Vec<(u64, u64)>, RunEnded) {
    let control = Control::new();
    let mut losses = Vec::new();
    let mut emit = |event| {
        if let Event::Step(StepRecord { step, loss, .. }) = event {
            losses.push((step, loss.to_bits()));
            if losses.len() as u64 == stop_after {
                control.stop();
            }
        }
    };
    let ended = go(job, &control, &mut emit).expect("trains");
    (losses, ended)
}

#[test]
fn training_lowers_the_loss_and_validates_on_the_way() {
    let bench = Bench::new();
    let mut validations = Vec::new();
    let mut emit = |event| {
        if let Event::Validation(record) = event {
            validations.push(record);
        }
    };
    let ended = fit(bench.job(config(30)), &Control::new(), &mut emit).expect("trains");
    assert_eq!((ended.outcome, ended.step), (RunOutcome::Finished, 30));
    assert_eq!(validations.iter().map(|record| record.step).take(3).collect::<Vec<_>>(), [0, 3, 6]);
    let first = validations[0];
    let last = validations[validations.len() - 1];
    assert!(last.loss < 0.7 * first.loss && last.accuracy.is_some(), "{first:?} {last:?}");
}

#[test]
fn a_pause_is_possible_before_every_step_and_validation_pass_and_does_not_count_as_training_time() {
    let expected = losses(Bench::new().job(config(9)), u64::MAX, fit).0;
    let pauses = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = pauses.clone();
    let control = Control::new().with_pause(Arc::new(move || {
        counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        std::thread::sleep(std::time::Duration::from_millis(50));
        true
    }));
    let bench = Bench::new();
    let mut steps = Vec::new();
    let mut emit = |event| {
        if let Event::Step(step) = event {
            steps.push(step);
        }
    };
    let ended = fit(bench.job(config(9)), &control, &mut emit).expect("trains");
    assert_eq!(
        steps.iter().map(|step| (step.step, step.loss.to_bits())).collect::<Vec<_>>(),
        expected
    );
    let pauses = pauses.load(std::sync::atomic::Ordering::Relaxed);
    assert!(pauses > 9, "{pauses}");
    let spent = steps[8].elapsed_seconds;
    assert!(spent < 0.05 * pauses as f64, "{spent} s with {pauses} pauses");
    assert_eq!(
        ended.memory.and_then(|memory| memory.taken),
        None,
        "what others took meanwhile cannot be told apart"
    );
}

#[test]
fn a_stopped_run_resumes_with_the_very_losses_of_an_uninterrupted_one() {
    let whole = Bench::new();
    let (expected, _) = losses(whole.job(config(9)), u64::MAX, fit);
    let halved = Bench::new();
    let first = halved.job(config(9));
    let folder = first.folder.clone();
    let (mut found, ended) = losses(first, 4, fit);
    assert_eq!((ended.outcome, ended.step), (RunOutcome::Interrupted, 4));
    // Another session: fresh adapters, everything else from the run's folder.
    let later = Bench::new();
    let mut second = later.job(config(9));
    second.folder = folder.clone();
    let (rest, ended) = losses(second, u64::MAX, resume);
    found.extend(rest);
    assert_eq!(ended.outcome, RunOutcome::Finished);
    assert_eq!(found, expected);
    assert_eq!(later.values(), whole.values());
    let steps = folder.record().expect("reads").steps;
    assert_eq!(steps.iter().map(|step| step.step).collect::<Vec<_>>(), (1..=9).collect::<Vec<_>>());
    // A number read from JSON may differ in its last bit.
    assert!(
        steps
            .iter()
            .zip(&expected)
            .all(|(step, (_, bits))| (step.loss - f64::from_bits(*bits)).abs() < 1e-12)
    );
}

#[test]
fn a_run_stopped_in_its_last_validation_is_interrupted_and_resumes_with_it() {
    let bench = Bench::new();
    let validations = |record: &crate::runs::RunRecord| {
        record.validations.iter().map(|found| found.step).collect::<Vec<_>>()
    };
    let first = bench.job(config(3));
    let folder = first.folder.clone();
    let (_, ended) = losses(first, 3, fit);
    assert_eq!((ended.outcome, ended.step), (RunOutcome::Interrupted, 3));
    assert_eq!(validations(&folder.record().expect("reads")), [0]);
    let second = TrainingJob { folder: folder.clone(), ..bench.job(config(3)) };
    // Stopped again before the owed validation.
    let control = Control::new();
    control.stop();
    let ended = resume(second, &control, &mut |_| {}).expect("resumes");
    assert_eq!(ended.outcome, RunOutcome::Interrupted);
    let third = TrainingJob { folder: folder.clone(), ..bench.job(config(3)) };
    let (steps, ended) = losses(third, u64::MAX, resume);
    assert_eq!((steps.len(), ended.outcome), (0, RunOutcome::Finished));
    assert_eq!(validations(&folder.record().expect("reads")), [0, 3]);
    let done = TrainingJob { folder, ..bench.job(config(3)) };
    let error = resume(done, &Control::new(), &mut |_| {}).expect_err("done");
    assert!(matches!(error, TrainError::AlreadyDone { .. }), "{error}");
}

#[test]
fn a_run_that_is_done_is_refused_before_a_weight_changes() {
    let bench = Bench::new();
    let first = bench.job(config(2));
    let folder = first.folder.clone();
    losses(first, u64::MAX, fit);
    let other = bench.values();
    for trainable in &bench.trainables {
        trainable.var.set(&(trainable.var.as_tensor() * 2.0).expect("doubled")).expect("set");
    }
    let doubled = bench.values();
    assert_ne!(doubled, other);
    let again = TrainingJob { folder: folder.clone(), ..bench.job(config(2)) };
    resume(again, &Control::new(), &mut |_| {}).expect_err("done");
    assert_eq!(bench.values(), doubled);
    folder.restore_weights(crate::runs::SavedWeights::Last, &bench.trainables).expect("restores");
    assert_eq!(bench.values(), other);
}

#[test]
fn a_run_killed_before_its_first_checkpoint_resumes_from_the_beginning() {
    let (expected, _) = losses(Bench::new().job(config(4)), u64::MAX, fit);
    let bench = Bench::new();
    let first = bench.job(config(4));
    let folder = first.folder.clone();
    losses(first, 2, fit);
    // What a kill leaves: the ledger's lines and the checkpoint of step 0.
    let checkpoints = folder.checkpoints();
    assert_eq!(checkpoints.len(), 2);
    std::fs::remove_dir_all(checkpoints[1].path()).expect("removes");
    let again = Bench::new();
    let mut second = again.job(config(4));
    second.folder = folder.clone();
    assert_eq!(losses(second, u64::MAX, resume).0, expected);
    let at_the_start = folder
        .record()
        .expect("reads")
        .validations
        .iter()
        .filter(|validation| validation.step == 0)
        .count();
    assert_eq!(at_the_start, 1);
}

#[test]
fn a_damaged_last_checkpoint_gives_way_to_the_one_before() {
    let bench = Bench::new();
    let (expected, _) = losses(Bench::new().job(config(6)), u64::MAX, fit);
    let first = bench.job(config(6));
    let folder = first.folder.clone();
    losses(first, 2, fit);
    let mut second = bench.job(config(6));
    second.folder = folder.clone();
    losses(second, 2, resume);
    let checkpoints = folder.checkpoints();
    assert_eq!(checkpoints.len(), 2);
    std::fs::write(checkpoints[1].path().join("adapter.safetensors"), b"cut").expect("damages");
    let mut third = bench.job(config(6));
    third.folder = folder;
    assert_eq!(losses(third, u64::MAX, resume).0, expected[2..]);
}

#[test]
fn the_loss_of_a_window_is_the_mean_over_its_tokens_however_it_is_cut() {
    let first_loss = |batch, accumulate| {
        let bench = Bench { trainables: Vec::new(), ..Bench::new() };
        let trainables = bench.model.attach(0.0);
        let config = TrainConfig { batch, accumulate, eval_every: 0, ..config(1) };
        let (found, _) = losses(
            job(&bench.model, &bench.data, &trainables, config, bench.base.path()),
            u64::MAX,
            fit,
        );
        f64::from_bits(found[0].1)
    };
    let one = first_loss(12, 1);
    let four = first_loss(3, 4);
    assert!((one - four).abs() < 1e-5, "{one} {four}");
}

#[test]
fn a_loss_out_of_bounds_stops_the_run_and_gives_the_last_good_adapter_back() {
    let bench = Bench::new();
    let mut steps = Vec::new();
    let mut ended = None;
    let mut good = Vec::new();
    let huge = TrainConfig { lr: 1e38, warmup: 0, eval_every: 0, max_grad_norm: 0.0, ..config(20) };
    let mut emit = |event| match event {
        Event::RunStarted(_) => good.push(bench.values()),
        Event::Step(record) => {
            steps.push(record);
            good.push(bench.values());
        }
        Event::RunEnded(record) => ended = Some(record),
        _ => {}
    };
    let error =
        fit(bench.job(huge), &Control::new(), &mut emit).expect_err("the loss is not finite");
    let step = steps.len() as u64 + 1;
    assert!(matches!(error, TrainError::NotFinite { step: found, .. } if found == step), "{error}");
    assert_eq!(ended.expect("the end is announced").outcome, RunOutcome::Failed);
    assert_eq!(bench.values(), good[good.len() - 1]);
    assert!(bench.values().iter().flatten().all(|value| value.is_finite()));
}

#[test]
fn a_soft_prompt_trains_through_the_shifted_labels() {
    let bench = Bench { trainables: Vec::new(), ..Bench::new() };
    let model = TinyLlama::new(16, 32);
    let trainables = model.prompt(3);
    let before = trainables[0].var.to_vec2::<f32>().expect("values");
    let (found, _) =
        losses(job(&model, &bench.data, &trainables, config(20), bench.base.path()), u64::MAX, fit);
    assert!(f64::from_bits(found[19].1) < f64::from_bits(found[0].1));
    assert_ne!(trainables[0].var.to_vec2::<f32>().expect("values"), before);
}

#[test]
fn a_job_that_cannot_begin_leaves_no_run() {
    let bench = Bench::new();
    let error = fit(
        TrainingJob { trainables: Vec::new(), ..bench.job(config(1)) },
        &Control::new(),
        &mut |_| {},
    )
    .expect_err("nothing to train");
    assert_eq!(error.to_string(), "there is nothing to train");
    assert_eq!(std::fs::read_dir(bench.base.path()).expect("lists").count(), 0);
}

#[test]
fn a_finished_run_is_resumed_only_with_more_steps() {
    let bench = Bench::new();
    let first = bench.job(config(2));
    let folder = first.folder.clone();
    losses(first, u64::MAX, fit);
    let again = |steps| TrainingJob { folder: folder.clone(), ..bench.job(config(steps)) };
    let error = resume(again(2), &Control::new(), &mut |_| {}).expect_err("done");
    assert_eq!(
        error.to_string(),
        format!("run `{}` has already finished all 2 steps", folder.name())
    );
    assert_eq!(losses(again(4), u64::MAX, resume).0.len(), 2);
}

#[test]
fn every_parameter_that_trains_moves_and_no_other_does() {
    let bench = Bench::new();
    let frozen = |model: &TinyLlama| -> Vec<Tensor> {
        model
            .parameters()
            .iter()
            .map(|parameter| parameter.tensor().copy().expect("copies"))
            .collect()
    };
    let before = bench.values();
    let weights = frozen(&bench.model);
    losses(bench.job(TrainConfig { eval_every: 0, ..config(2) }), u64::MAX, fit);
    for ((trainable, old), new) in bench.trainables.iter().zip(before).zip(bench.values()) {
        assert_ne!(old, new, "{}", trainable.name);
    }
    for (old, new) in weights.iter().zip(frozen(&bench.model)) {
        assert_eq!(
            old.flatten_all().and_then(|t| t.to_vec1::<f32>()).expect("old"),
            new.flatten_all().and_then(|t| t.to_vec1::<f32>()).expect("new")
        );
    }
}
