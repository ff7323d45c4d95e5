//! `%check`: conditions on the state of a session.

use graft_protocol::{AdapterAction, Block, CheckResult, Command, Event};
use graft_spec::Failure;

use crate::test_session::TestSession;

/// The results of checks that must not fail.
fn passed(test: &TestSession, checks: &[&str]) -> Vec<CheckResult> {
    match check(test, checks) {
        Ok(results) => results,
        Err(failure) => panic!("{checks:?}: {failure}"),
    }
}

fn check(test: &TestSession, checks: &[&str]) -> Result<Vec<CheckResult>, Failure> {
    let checks = checks.iter().map(|&text| text.to_owned()).collect();
    match test.run(Command::Check { checks })?.blocks.remove(0) {
        Block::Checks(results) => Ok(results),
        other => panic!("{other:?}"),
    }
}

/// The message of a check that must fail.
fn failed(test: &TestSession, text: &str) -> String {
    let failure = check(test, &[text]).expect_err(text);
    assert_eq!(failure.code, "check::failed", "{text}: {failure}");
    failure.to_string()
}

#[test]
fn an_adapter_is_checked_by_its_method_its_keys_and_its_parameters() {
    let test = TestSession::ready();
    assert!(failed(&test, "r == 2").contains("no adapter is attached"));
    test.attach("r=2 lora_alpha=4 target_modules=q_proj,v_proj").unwrap();
    let all = [
        "method == lora",
        "method != ia3",
        "adapter == default",
        "r == 2",
        "r < 3",
        "lora_alpha >= 4",
        "target_modules == v_proj,q_proj",
        "target_modules != q_proj",
        "use_rslora == false",
        "data == colors",
        "device == cpu",
        "seed == 0",
        "steps == 0",
    ];
    assert!(passed(&test, &all).iter().all(|result| result.passed && result.next.is_none()));
    for (text, reason, next) in [
        ("r == 8", "r is 2, must be 8", "%lora attach r=8"),
        ("method == ia3", "method is lora, must be ia3", "%ia3 attach"),
        ("data == other", "data is colors, must be other", "%data load other"),
        ("target_modules == q_proj", "must be q_proj", "%lora attach target_modules=q_proj"),
        ("trainable <= 10", "must be at most 10", "%params"),
        ("trained", "trained for 0 steps", "%train steps=100"),
        ("merged", "not merged", "%lora merge"),
        ("tokens == 20", "`lora` has no key `num_virtual_tokens`", "%lora?"),
        ("target_modules > 2", "cannot compare", "%check target_modules =="),
    ] {
        let message = failed(&test, text);
        assert!(message.contains(reason) && message.contains(next), "{text}: {message}");
    }
    test.adapter(AdapterAction::Merge { name: None }).unwrap();
    passed(&test, &["merged"]);
}

#[test]
fn trainable_is_the_number_that_params_shows_and_counts_merged_adapters() {
    let test = TestSession::attached();
    let trainable = test.session.snapshot().adapters[0].trainable;
    passed(&test, &[&format!("trainable == {trainable}")]);
    test.adapter(AdapterAction::Merge { name: None }).unwrap();
    test.attach("r=1 adapter_name=second").unwrap();
    let second = test.session.snapshot().adapters[1].trainable;
    assert!(second < trainable);
    passed(&test, &[&format!("trainable == {}", trainable + second)]);
}

#[test]
fn a_score_is_that_of_the_model_as_it_is() {
    let test = TestSession::attached();
    assert!(failed(&test, "loss_fell").contains("the adapter is not trained"));
    assert!(failed(&test, "loss < base").contains("must be below the"));
    test.train("steps=30 lr=0.05 eval_every=0").unwrap();
    let all = ["loss < base", "loss_fell", "loss_fell on test", "perplexity < base on validation"];
    let results = passed(&test, &all);
    assert!(results[0].reason.contains("test examples of colors"), "{results:?}");
    passed(&test, &["accuracy >= majority", "accuracy <= 100%", "trained", "steps == 30"]);
    test.adapter(AdapterAction::Enable { on: false }).unwrap();
    assert!(failed(&test, "loss < base").contains("%lora on"));
    test.adapter(AdapterAction::Enable { on: true }).unwrap();
    passed(&test, &["loss < base examples=4"]);
}

#[test]
fn checks_of_the_same_examples_share_one_evaluation() {
    let test = TestSession::attached();
    let evaluated = |checks: &[&str]| {
        let is_end =
            |event: &&Event| matches!(event, Event::Progress { done, total, .. } if done == total);
        let before = test.sink.events().iter().filter(is_end).count();
        passed(&test, checks);
        test.sink.events().iter().filter(is_end).count() - before
    };
    let once = evaluated(&["loss > 0"]);
    assert!(once > 0);
    assert_eq!(
        evaluated(&["loss > 0", "perplexity > 0", "accuracy >= 0", "loss > 0 points=1"]),
        once
    );
}

#[test]
fn only_a_hard_check_fails_and_all_results_are_shown() {
    let test = TestSession::attached();
    let results = passed(&test, &["r == 2 points=1.5", "r == 3 points=2", "r == 4 soft=true"]);
    let points: Vec<_> = results.iter().map(|result| result.points.map(|it| it.earned)).collect();
    assert_eq!(points, [Some(1.5), Some(0.0), None]);
    assert_eq!(results.iter().filter(|result| result.passed).count(), 1);
    let failure = check(&test, &["r == 2", "r == 3", "r == 4 soft=true", "r == 5"]).unwrap_err();
    assert!(failure.message.contains("2 of 4 checks failed: `r == 3`, `r == 5`"), "{failure}");
    let shown =
        test.sink.events().into_iter().any(
            |event| matches!(event, Event::Block(Block::Checks(results)) if results.len() == 4),
        );
    assert!(shown, "the results of a cell that fails are shown before the error");
}

#[test]
fn what_cannot_be_measured_is_red_and_names_the_next_step() {
    let test = TestSession::new();
    assert!(failed(&test, "accuracy >= 0.4").contains("%model load tiny"));
    test.load_model();
    assert!(failed(&test, "accuracy >= 0.4").contains("%data load which-book"));
    let results = passed(&test, &["accuracy >= 0.4 points=3"]);
    assert_eq!(results[0].points.map(|points| points.earned), Some(0.0));
    let message = failed(&test, "forgotten < 0.1");
    assert!(message.contains("cannot measure forgetting"), "{message}");
    test.run(Command::DataInline {
        name: "texts".to_owned(),
        text: "{\"text\": \"the sky\"}\n".repeat(40),
        settings: graft_spec::Settings::default(),
    })
    .unwrap();
    assert!(failed(&test, "accuracy >= 0.4").contains("has no labels"));
    assert!(failed(&test, "loss < 1 data=nothing").contains("nothing"));
}

#[test]
fn forgetting_is_the_change_of_the_loss_on_the_domain() {
    let test = TestSession::attached();
    passed(&test, &["forgotten == 0 data=colors"]);
    test.train("steps=20 lr=0.05 eval_every=0").unwrap();
    passed(&test, &["forgotten < 0 data=colors"]);
}

#[test]
fn a_stop_ends_the_checks() {
    let test = TestSession::attached();
    let session = test.session.clone();
    test.sink.react(move |event| {
        if matches!(event, Event::Progress { .. }) {
            session.interrupt();
        }
    });
    let failure = check(&test, &["loss > 0 batch=1 points=1"]).unwrap_err();
    assert_eq!(failure.code, "session::interrupted", "{failure}");
    test.sink.react(|_| {});
}
