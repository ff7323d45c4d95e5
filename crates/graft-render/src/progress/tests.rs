use super::*;

fn run(done: u64) -> (RunStarted, Vec<StepRecord>) {
    let started = RunStarted {
        run: "r".into(),
        title: "t".into(),
        first_step: 0,
        steps: 200,
        trainable: 1,
        total: 2,
        earlier: vec![],
        earlier_validations: vec![],
        best: String::new(),
    };
    let steps = (1..=done)
        .map(|step| StepRecord {
            step,
            loss: 2.0,
            lr: 1e-3,
            grad_norm: 1.0,
            tokens_per_second: 12_345.0,
            elapsed_seconds: step as f64 * 0.5,
            rewards: None,
        })
        .collect();
    (started, steps)
}

#[test]
fn the_line_shows_step_loss_speed_and_time_left() {
    let (started, steps) = run(50);
    let validations =
        [ValidationRecord { step: 50, loss: 2.123, accuracy: Some(0.5), metric: None }];
    assert_eq!(
        Progress::of_run(&started, &steps, &validations).line(),
        "step 50/200 · 25 % · loss 2.00 · validation 2.12, accuracy 50 % · 12.3k tokens/s · ETA 1:15"
    );
}

#[test]
fn progress_without_steps_does_not_panic() {
    let (started, _) = run(0);
    assert_eq!(Progress::of_run(&started, &[], &[]).line(), "step 0/200 · 0 %");
    assert_eq!(Progress::of("loading", 0, 0).line(), "loading");
    assert_eq!(Progress::of("downloading", 1200, 0).ansi(40), "downloading 1,200");
}

#[test]
fn the_bar_fills_and_fits() {
    let half = Progress::of("evaluating", 10, 20);
    assert_eq!(half.ansi(60), "\u{1b}[36m██████████░░░░░░░░░░\u{1b}[0m evaluating 10/20 · 50 %");
    assert_eq!(half.ansi(12), "evaluating…");
    assert!(half.html().contains("<progress max=\"1\" value=\"0.5000\""));
}

#[test]
fn a_resumed_run_counts_its_own_time_only() {
    let (mut started, mut steps) = run(100);
    started.first_step = 100;
    steps.push(StepRecord {
        step: 101,
        loss: f64::NAN,
        lr: 0.0,
        grad_norm: 0.0,
        tokens_per_second: 1.0,
        elapsed_seconds: 2.0,
        rewards: None,
    });
    let progress = Progress::of_run(&started, &steps, &[]);
    assert_eq!(progress.eta_seconds, Some(198.0));
    assert!(progress.line().contains("loss NaN"));
}
