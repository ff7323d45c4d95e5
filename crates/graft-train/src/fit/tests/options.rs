//! Optimizers, schedules, early stopping, the best weights and callbacks, in whole runs.

use super::{Bench, losses};
use crate::best::Direction;
use crate::optimizer::{OptimizerConfig, OptimizerKind};
use crate::schedule::{Decay, Plateau};
use crate::testing::config;
use crate::{
    Callbacks, Control, Result, StepEvent, TrainConfig, TrainError, ValidationMetric, fit, resume,
};
use graft_nn::{Model, Tensor};
use graft_protocol::{Event, RunOutcome};

/// A reduction at every validation that does not improve by far.
const PLATEAU: Decay = Decay::ReduceOnPlateau(Plateau { patience: 0, factor: 0.5 });

fn events(config: TrainConfig, bench: &Bench) -> (Vec<Event>, Result<graft_protocol::RunEnded>) {
    let mut events = Vec::new();
    let ended = fit(bench.job(config), &Control::new(), &mut |event| events.push(event));
    (events, ended)
}

fn rates(events: &[Event]) -> Vec<f64> {
    events
        .iter()
        .filter_map(|event| if let Event::Step(step) = event { Some(step.lr) } else { None })
        .collect()
}

/// Runs once as a whole, and once stopped and resumed after each number of steps in `stops`.
fn assert_resumes_bit_for_bit(config: &TrainConfig, stops: &[u64]) {
    let whole = Bench::new();
    let (expected, _) = losses(whole.job(config.clone()), u64::MAX, fit);
    let first = Bench::new();
    let job = first.job(config.clone());
    let folder = job.folder.clone();
    let (mut found, _) = losses(job, stops[0], fit);
    let mut values = Vec::new();
    for stop in stops[1..].iter().copied().chain([u64::MAX]) {
        // Another session: fresh adapters, everything else from the run's folder.
        let bench = Bench::new();
        let mut job = bench.job(config.clone());
        job.folder = folder.clone();
        found.extend(losses(job, stop, resume).0);
        values = bench.values();
    }
    assert_eq!(found, expected, "{config:?}");
    assert_eq!(values, whole.values(), "{config:?}");
}

#[test]
fn every_optimizer_resumes_with_the_very_losses_of_an_uninterrupted_run() {
    for kind in [
        OptimizerKind::AdamW,
        OptimizerKind::Adafactor,
        OptimizerKind::Lion,
        OptimizerKind::Sgd,
        OptimizerKind::AdamW8bit,
    ] {
        let optimizer =
            OptimizerConfig { weight_decay: 0.01, momentum: 0.9, ..OptimizerConfig::of(kind) };
        let config =
            TrainConfig { optimizer, label_smoothing: 0.1, neftune_noise_alpha: 5.0, ..config(7) };
        assert_resumes_bit_for_bit(&config, &[2, 3]);
    }
}

#[test]
fn every_schedule_resumes_with_the_very_losses_of_an_uninterrupted_run() {
    for decay in [
        Decay::Constant,
        Decay::ConstantWithWarmup,
        Decay::Linear,
        Decay::CosineWithMin(0.1),
        Decay::InverseSqrt,
        Decay::Polynomial(2.0),
        PLATEAU,
    ] {
        // The rate is so high that some validations do not improve.
        assert_resumes_bit_for_bit(
            &TrainConfig { decay, lr: 0.3, eval_every: 1, ..config(9) },
            &[3, 4],
        );
    }
}

#[test]
fn label_smoothing_and_noise_change_the_training() {
    let plain = losses(Bench::new().job(config(3)), u64::MAX, fit).0;
    for changed in [
        TrainConfig { label_smoothing: 0.1, ..config(3) },
        TrainConfig { neftune_noise_alpha: 5.0, ..config(3) },
    ] {
        let found = losses(Bench::new().job(changed), u64::MAX, fit).0;
        assert!(found.iter().zip(&plain).all(|(found, plain)| found.1 != plain.1));
    }
}

#[test]
fn the_rate_is_reduced_after_validations_without_improvement() {
    let bench = Bench::new();
    let config = TrainConfig { decay: PLATEAU, lr: 0.5, eval_every: 1, ..config(12) };
    let (events, ended) = events(config, &bench);
    ended.expect("trains");
    let rates = rates(&events);
    assert_eq!(rates[0], 0.5);
    assert!(rates.windows(2).all(|pair| pair[1] == pair[0] || pair[1] == 0.5 * pair[0]));
    assert!(rates[11] < 0.5, "{rates:?}");
    let notes = events.iter().filter(|event| matches!(event, Event::Note { .. })).count();
    let reductions = rates.windows(2).filter(|pair| pair[1] < pair[0]).count();
    assert!(notes == reductions || notes == reductions + 1, "{notes} {reductions}");
}

#[test]
fn a_run_without_improvement_stops_early_and_keeps_its_best_weights() {
    let bench = Bench::new();
    // Every step makes the model worse.
    let config = TrainConfig { early_stopping: 2, lr: 5.0, eval_every: 1, warmup: 0, ..config(40) };
    let job = bench.job(config.clone());
    let folder = job.folder.clone();
    let ended = fit(job, &Control::new(), &mut |event| drop(event)).expect("trains");
    assert_eq!(ended.outcome, RunOutcome::Finished);
    assert!(ended.step < 40);
    let validations = folder.record().expect("reads").validations;
    let best = validations[1..]
        .iter()
        .min_by(|one, other| one.loss.total_cmp(&other.loss))
        .expect("validations");
    assert_eq!(ended.step, best.step + 2, "{validations:?}");
    let start = format!("ended at step {} of 40, no better validation loss", ended.step);
    assert!(ended.summary.starts_with(&start), "{}", ended.summary);
    let restored = folder.restore_best(&bench.trainables).expect("restores").expect("weights");
    assert_eq!(restored.step, best.step);

    let again = |early_stopping| {
        let mut job = bench.job(TrainConfig { early_stopping, ..config.clone() });
        job.folder = folder.clone();
        resume(job, &Control::new(), &mut |event| drop(event))
    };
    let error = again(2).expect_err("nothing to do");
    assert!(error.to_string().contains("has stopped early at step"), "{error}");
    assert!(again(5).expect("continues").step > ended.step);
}

#[test]
fn another_optimizer_cannot_resume_a_run() {
    let bench = Bench::new();
    let job = bench.job(config(4));
    let folder = job.folder.clone();
    losses(job, 2, fit);
    let optimizer = OptimizerConfig::of(OptimizerKind::Lion);
    let mut job = bench.job(TrainConfig { optimizer, ..config(4) });
    job.folder = folder;
    let error = resume(job, &Control::new(), &mut |event| drop(event)).expect_err("refused");
    let expected = "was trained with optim=adamw, whose states optim=lion cannot use";
    assert!(error.to_string().contains(expected), "{error}");
}

#[test]
fn what_depends_on_validations_is_refused_without_them() {
    let bench = Bench::new();
    let off = TrainConfig { eval_every: 0, ..config(4) };
    for config in [
        TrainConfig { early_stopping: 1, ..off.clone() },
        TrainConfig { load_best: true, ..off.clone() },
        TrainConfig { best: "accuracy".to_owned(), ..off.clone() },
        TrainConfig { decay: PLATEAU, ..off.clone() },
    ] {
        let error = events(config, &bench).1.expect_err("refused");
        assert!(error.to_string().ends_with("but eval_every=0 switches them off"), "{error}");
    }
    let unknown = TrainConfig { best: "acuracy".to_owned(), ..config(4) };
    let error = events(unknown, &bench).1.expect_err("refused");
    assert!(matches!(error, TrainError::UnknownMetric { .. }), "{error}");
    let hint = graft_spec::Hint::hint(&error);
    let start = "did you mean best=accuracy? metrics: loss, accuracy; ";
    assert!(hint.as_deref().is_some_and(|hint| hint.starts_with(start)), "{hint:?}");
}

/// Prefers the validation after a certain step.
struct Favorite;

impl ValidationMetric for Favorite {
    fn name(&self) -> &'static str {
        "favorite"
    }

    fn direction(&self) -> Direction {
        Direction::Higher
    }

    fn measure(&self, _model: &dyn Model, _control: &Control) -> Result<Option<f64>> {
        use std::sync::atomic::{AtomicU64, Ordering};
        static CALLS: AtomicU64 = AtomicU64::new(0);
        // Before step 1, after steps 1, 2, 3, ...
        let call = CALLS.fetch_add(1, Ordering::Relaxed);
        Ok(Some(if call == 2 { 1.0 } else { 0.5 }))
    }
}

#[test]
fn the_best_weights_follow_a_metric_of_the_job() {
    let bench = Bench::new();
    let best = "favorite".to_owned();
    let mut job = bench.job(TrainConfig { eval_every: 1, best, ..config(5) });
    job.metrics = vec![&Favorite];
    let folder = job.folder.clone();
    fit(job, &Control::new(), &mut |event| drop(event)).expect("trains");
    let progress = folder.restore_best(&bench.trainables).expect("reads").expect("weights");
    assert_eq!((progress.step, progress.best_value.map(|best| best.value())), (2, Some(1.0)));
    let metrics: Vec<_> =
        folder.record().expect("reads").validations.iter().map(|found| found.metric).collect();
    assert_eq!(metrics[..4], [Some(0.5), Some(0.5), Some(1.0), Some(0.5)]);
}

type OnStep = fn(&mut StepEvent) -> std::result::Result<(), String>;

struct Code {
    on_step: OnStep,
    loss: Option<fn(&Tensor, &Tensor) -> candle_core::Result<Tensor>>,
}

impl Callbacks for Code {
    fn after_step(&self, event: &mut StepEvent) -> std::result::Result<(), String> {
        (self.on_step)(event)
    }

    fn has_loss(&self) -> bool {
        self.loss.is_some()
    }

    fn loss(&self, logits: &Tensor, labels: &Tensor) -> std::result::Result<Tensor, String> {
        self.loss.expect("a loss")(logits, labels).map_err(|error| error.to_string())
    }
}

#[test]
fn code_after_a_step_logs_changes_the_rate_and_stops() {
    let on_step: OnStep = |event| {
        assert_eq!(event.steps(), 9);
        if event.step() == 2 {
            event.set_lr(0.001);
        }
        if event.validation_loss().is_some() && event.step() == 6 {
            event.log("enough");
            event.stop();
        }
        Ok(())
    };
    let bench = Bench::new();
    let code = Code { on_step, loss: None };
    let mut job = bench.job(config(9));
    job.callbacks = Some(&code);
    let mut events = Vec::new();
    let ended = fit(job, &Control::new(), &mut |event| events.push(event)).expect("trains");
    assert_eq!((ended.step, ended.outcome), (6, RunOutcome::Finished));
    assert!(ended.summary.starts_with("ended at step 6 of 9, `on_step` stopped it"));
    assert_eq!(rates(&events)[2..], [0.001; 4]);
    let is_line = |event: &Event| matches!(event, Event::Note { text, .. } if text == "enough");
    assert!(events.iter().any(is_line));
}

#[test]
fn a_rate_set_by_code_is_kept_when_the_run_is_resumed() {
    let on_step: OnStep = |event| {
        if event.step() == 2 {
            event.set_lr(1.0 / 3.0);
        }
        Ok(())
    };
    let code = Code { on_step, loss: None };
    let run = |folder: Option<crate::runs::RunFolder>, stop| {
        let bench = Bench::new();
        let mut job = bench.job(config(6));
        job.callbacks = Some(&code);
        job.folder = folder.clone().unwrap_or(job.folder);
        let used = job.folder.clone();
        let go = if folder.is_some() { resume } else { fit };
        let found = losses(job, stop, go).0;
        // The folder must outlive the bench.
        (found, used, bench)
    };
    let (expected, ..) = run(None, u64::MAX);
    let (mut found, folder, _bench) = run(None, 3);
    found.extend(run(Some(folder), u64::MAX).0);
    assert_eq!(found, expected);
}

#[test]
fn failing_code_ends_the_run_with_a_checkpoint_of_the_last_step() {
    let on_step: OnStep =
        |event| if event.step() == 3 { Err("the sky fell".to_owned()) } else { Ok(()) };
    let code = Code { on_step, loss: None };
    let bench = Bench::new();
    let mut job = bench.job(config(9));
    job.callbacks = Some(&code);
    let folder = job.folder.clone();
    let error = fit(job, &Control::new(), &mut |event| drop(event)).expect_err("fails");
    assert_eq!(error.to_string(), "`on_step` failed: the sky fell");
    let newest = folder.checkpoints().pop().expect("a checkpoint").progress().expect("reads");
    assert_eq!(newest.step, 3);
    let mut job = bench.job(config(9));
    job.folder = folder;
    assert_eq!(resume(job, &Control::new(), &mut |event| drop(event)).expect("goes on").step, 9);
}

#[test]
fn the_cross_entropy_as_own_loss_gives_the_losses_of_the_built_in_one() {
    let cross_entropy = |logits: &Tensor, labels: &Tensor| {
        let shifted = logits.broadcast_sub(&logits.max_keepdim(1)?)?;
        let log_sum = shifted.exp()?.sum(1)?.log()?;
        log_sum - shifted.gather(&labels.unsqueeze(1)?, 1)?.squeeze(1)?
    };
    let code = Code { on_step: |_| Ok(()), loss: Some(cross_entropy) };
    let expected = losses(Bench::new().job(config(5)), u64::MAX, fit).0;
    let bench = Bench::new();
    let mut job = bench.job(config(5));
    job.callbacks = Some(&code);
    let found = losses(job, u64::MAX, fit).0;
    for ((_, found), (_, expected)) in found.iter().zip(&expected) {
        let (found, expected) = (f64::from_bits(*found), f64::from_bits(*expected));
        assert!((found - expected).abs() < 1e-4, "{found} instead of {expected}");
    }
}

#[test]
fn an_own_loss_of_another_shape_is_refused() {
    let wrong = |logits: &Tensor, _labels: &Tensor| logits.narrow(1, 0, 2);
    let code = Code { on_step: |_| Ok(()), loss: Some(wrong) };
    let bench = Bench::new();
    let mut job = bench.job(config(5));
    job.callbacks = Some(&code);
    let error = fit(job, &Control::new(), &mut |event| drop(event)).expect_err("fails");
    let text = error.to_string();
    assert!(text.starts_with("the loss failed: it returned a tensor of shape ["), "{text}");
}
