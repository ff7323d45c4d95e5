//! Every metric has a finite score in its range for any text.

use graft_metrics::{AnswerPattern, Metric, Pair, Scale, score};
use proptest::prelude::*;

fn assert_in_range(pairs: &[Pair<'_>], metrics: &[Metric]) {
    let pattern = AnswerPattern::new(r"(\w+)").expect("a pattern");
    for metric in metrics.iter().filter(|metric| **metric != Metric::Numeric) {
        let score = score(*metric, pairs, Some(&pattern), Some(0)).expect("a score");
        let most = if metric.scale() == Scale::Points { 100.0 } else { 1.0 };
        assert!((0.0..=most + 1e-9).contains(&score.value), "{score:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_two_texts_have_scores_in_range(one in any::<String>(), other in any::<String>()) {
        let pair = Pair { prediction: &one, gold: &other };
        assert_in_range(&[pair], &Metric::ALL);
    }
}

#[test]
fn a_megabyte_has_scores_in_range() {
    let long = "Ünlü word, 1.5 ".repeat(1 << 16);
    let pair = Pair { prediction: "word word 1.5", gold: &long };
    assert_in_range(&[pair], &Metric::ALL);
    let part = "Ünlü word, 1.5 ".repeat(1 << 12);
    let same = Pair { prediction: &part, gold: &part };
    assert_in_range(&[same], &[Metric::RougeL, Metric::Bleu, Metric::ExactMatch]);
}
