use super::*;
use crate::Value;

fn parsed(text: &str) -> Check {
    Check::parse(text).unwrap_or_else(|failure| panic!("{text}: {failure}"))
}

fn number(text: &str) -> f64 {
    match parsed(text).comparison.unwrap().expected {
        Expected::Number(number) => number,
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn a_condition_has_a_metric_an_operator_a_value_and_a_split() {
    let check = parsed("accuracy >= 0.4 on test points=2");
    assert_eq!(check.condition(), "accuracy >= 0.4 on test");
    assert_eq!(check.comparison.as_ref().unwrap().operator, Operator::AtLeast);
    assert_eq!((check.split, check.points()), (Some("test"), Some(2.0)));
    assert!(check.is_soft(), "a check with points never fails the cell");
    assert_eq!(parsed("loss<3.2").condition(), "loss < 3.2 on test", "spaces are not needed");
    assert_eq!(parsed("soft=yes loss on dev < 3").condition(), "loss < 3 on validation");
    assert_eq!(parsed("loss_fell").condition(), "loss_fell on train");
    assert_eq!(parsed("rank == 8").condition(), "r == 8", "an alias of a key");
    assert_eq!(parsed("method == lora").split, None);
    assert!(!parsed("r == 8").is_soft() && parsed("r == 8 soft=true").is_soft());
    assert_eq!(
        parsed("loss < 3 n=50 batch=4").settings,
        Settings::default().with("examples", Value::Integer(50)).with("batch", Value::Integer(4))
    );
}

#[test]
fn numbers_may_have_separators_suffixes_and_percent_signs() {
    assert_eq!(number("trainable <= 50_000"), 50_000.0);
    assert_eq!(number("trainable <= 50k"), 50_000.0);
    assert_eq!(number("parameters < 3.7M"), 3_700_000.0);
    assert_eq!(number("accuracy >= 40%"), 0.4);
    assert_eq!(number("accuracy >= 40 %"), 0.4);
    assert_eq!(number("trainable_percent <= 1%"), 1.0);
    assert_eq!(number("loss < 1e-3"), 1e-3);
    assert_eq!(parsed("loss < base").comparison.unwrap().expected, Expected::Base);
    assert_eq!(parsed("accuracy > majority").comparison.unwrap().expected, Expected::Majority);
    assert_eq!(
        parsed("target_modules == q_proj,v_proj").comparison.unwrap().expected,
        Expected::Text("q_proj,v_proj".to_owned())
    );
}

#[test]
fn a_wrong_check_names_what_is_wrong_and_what_to_type() {
    for (text, code, hint) in [
        ("", "check::empty", "%check accuracy >= 0.4 on test"),
        (">= 0.4", "check::empty", "%check accuracy"),
        ("acuracy >= 0.4", "check::unknown_metric", "did you mean `accuracy`?"),
        ("xyzzy >= 0.4", "check::unknown_metric", "metrics: accuracy, loss"),
        ("r = 8", "check::no_operator", "did you mean `r == 8`?"),
        ("r=8", "check::no_operator", "did you mean `r == 8`?"),
        ("trainable =< 50_000", "check::no_operator", "did you mean `trainable <= 50_000`?"),
        ("accuracy", "check::no_operator", "%check accuracy >= 0.4 on test"),
        ("loss_fell < 3", "check::no_value", "%check loss_fell"),
        ("accuracy >=", "check::no_value", "%check accuracy >= 0.4"),
        ("loss < three", "check::no_value", "%check loss < 3.2"),
        ("loss < inf", "check::no_value", "%check loss < 3.2"),
        ("loss < majority", "check::no_value", "%check loss < 3.2"),
        ("loss < 40%", "check::no_value", "%check loss < 3.2"),
        ("accuracy >= 40", "check::out_of_range", "did you mean `accuracy >= 40%`?"),
        ("method > lora", "check::no_order", "%check method == lora"),
        ("accuracy >= 0.4 on", "check::no_split", "train, validation and test"),
        ("accuracy >= 0.4 on tset", "check::no_split", "train, validation and test"),
        ("r == 8 on test", "check::no_split", "remove `on test`"),
        ("r == 8 point=2", "settings::unknown_key", "did you mean `points=2`?"),
        ("r == 8 points=two", "settings::wrong_type", "points"),
        ("r == 8 points=-1", "settings::out_of_range", "points"),
    ] {
        let failure = Check::parse(text).expect_err(text);
        assert_eq!(failure.code, code, "{text}: {failure}");
        assert!(failure.hint.as_deref().unwrap_or_default().contains(hint), "{text}: {failure}");
    }
    let span = Check::parse("r == 8 point=2").unwrap_err().span.unwrap();
    assert_eq!((span.start, span.end), (7, 14));
}

#[test]
fn every_example_of_a_hint_parses() {
    for spec in METRICS {
        let failure = match spec.unit {
            Unit::Fact => continue,
            _ => Check::parse(spec.name).unwrap_err(),
        };
        let hint = failure.hint.unwrap();
        let example = hint.strip_prefix("for example %check ").unwrap();
        assert_eq!(parsed(example).metric, Metric::Named(spec));
    }
}

#[test]
fn equal_means_equal_up_to_rounding() {
    assert!(Operator::Equal.holds(0.1 + 0.2, 0.3) && Operator::AtLeast.holds(0.3, 0.1 + 0.2));
    assert!(!Operator::Less.holds(0.3, 0.1 + 0.2) && Operator::NotEqual.holds(0.3, 0.301));
    assert!(!Operator::Less.holds(f64::NAN, 1.0) && !Operator::AtLeast.holds(f64::NAN, 1.0));
    assert!(Operator::Equal.holds(0.0, 0.0) && !Operator::NotEqual.holds(f64::NAN, 1.0));
}
