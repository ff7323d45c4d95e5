//! Compares the metrics with `rouge_score`, `sacrebleu`, `torchmetrics`, NLTK and `scikit-learn`:
//! the files of `tests/goldens/metrics`, or of the folder that `GRAFT_METRIC_GOLDENS` names.

use std::path::PathBuf;

use graft_metrics::{
    Averaged, Bleu, Chrf, Classes, Metric, Orders, Overlap, Pair, RougeSummary, RougeTokens,
    Stemming, exact_match, normalize, score, stem, token_f1,
};
use serde::{Deserialize, de::DeserializeOwned};

#[derive(Deserialize)]
struct Texts {
    pairs: Vec<TextCase>,
    groups: Vec<Group>,
}

#[derive(Deserialize)]
struct TextCase {
    prediction: String,
    gold: String,
    rouge: [[f64; 3]; 3],
    rouge_stemmed: [[f64; 3]; 3],
    bleu: f64,
    sentence_bleu: f64,
    chrf: f64,
    normalized: String,
    exact_match: f64,
    token_f1: f64,
}

#[derive(Deserialize)]
struct Group {
    members: Vec<usize>,
    bleu: f64,
    chrf: f64,
}

#[derive(Deserialize)]
struct SummaryCase {
    prediction: String,
    gold: String,
    rouge_lsum: [f64; 3],
    rouge_lsum_stemmed: [f64; 3],
}

#[derive(Deserialize)]
struct ClassCase {
    labels: usize,
    expected: Vec<usize>,
    predicted: Vec<usize>,
    accuracy: f64,
    matrix: Vec<Vec<u64>>,
    r#macro: [f64; 3],
    weighted: [f64; 3],
    each: Vec<[f64; 4]>,
}

fn read<T: DeserializeOwned>(file: &str) -> T {
    let folder = std::env::var_os("GRAFT_METRIC_GOLDENS").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/goldens/metrics")),
        PathBuf::from,
    );
    let content = std::fs::read(folder.join(file)).expect("a golden file");
    serde_json::from_slice(&content).expect("valid JSON")
}

#[track_caller]
fn assert_equal(found: f64, expected: f64, about: &dyn std::fmt::Debug) {
    assert!((found - expected).abs() <= 1e-9, "{found} is not {expected}: {about:?}");
}

#[track_caller]
fn assert_overlap(found: Overlap, expected: [f64; 3], about: &dyn std::fmt::Debug) {
    let found = [found.precision, found.recall, found.f1()];
    for (found, expected) in found.into_iter().zip(expected) {
        assert_equal(found, expected, about);
    }
}

#[test]
fn rouge_equals_rouge_score_with_and_without_the_stemmer() {
    for case in read::<Texts>("texts.json").pairs {
        for (stemming, expected) in
            [(Stemming::None, case.rouge), (Stemming::Porter, case.rouge_stemmed)]
        {
            let [prediction, gold] =
                [&case.prediction, &case.gold].map(|text| RougeTokens::new(text, stemming));
            let about = (&case.prediction, &case.gold, stemming);
            assert_overlap(prediction.ngrams(&gold, 1), expected[0], &about);
            assert_overlap(prediction.ngrams(&gold, 2), expected[1], &about);
            assert_overlap(prediction.longest(&gold), expected[2], &about);
        }
    }
}

#[test]
fn rouge_lsum_equals_rouge_score_with_and_without_the_stemmer() {
    let cases: Vec<SummaryCase> = read("summaries.json");
    assert!(cases.iter().any(|case| case.gold.contains('\n') && case.rouge_lsum[2] > 0.3));
    for case in cases {
        for (stemming, expected) in
            [(Stemming::None, case.rouge_lsum), (Stemming::Porter, case.rouge_lsum_stemmed)]
        {
            let [prediction, gold] =
                [&case.prediction, &case.gold].map(|text| RougeSummary::new(text, stemming));
            let about = (&case.prediction, &case.gold, stemming);
            assert_overlap(prediction.longest(&gold), expected, &about);
        }
    }
}

#[test]
fn stems_equal_those_of_nltk() {
    let cases: Vec<(String, String)> = read("stems.json");
    assert!(cases.len() > 1000);
    for (word, expected) in cases {
        assert_eq!(stem(&word), expected, "{word}");
    }
}

#[test]
fn bleu_and_chrf_equal_sacrebleu_for_texts_and_corpora() {
    let Texts { pairs, groups } = read("texts.json");
    for case in &pairs {
        let about = (&case.prediction, &case.gold);
        let bleu = Bleu::of(&case.prediction, &case.gold);
        assert_equal(bleu.score(Orders::All), case.bleu, &about);
        assert_equal(bleu.score(Orders::Effective), case.sentence_bleu, &about);
        assert_equal(Chrf::of(&case.prediction, &case.gold).score(), case.chrf, &about);
    }
    for group in groups {
        let members: Vec<Pair<'_>> = group
            .members
            .iter()
            .map(|index| &pairs[*index])
            .map(|case| Pair { prediction: &case.prediction, gold: &case.gold })
            .collect();
        let found = |metric| score(metric, &members, None, None).unwrap().value;
        assert_equal(found(Metric::Bleu), group.bleu, &group.members.len());
        assert_equal(found(Metric::Chrf), group.chrf, &group.members.len());
    }
}

#[test]
fn exact_match_and_token_f1_equal_those_of_squad() {
    for case in read::<Texts>("texts.json").pairs {
        let about = (&case.prediction, &case.gold);
        assert_eq!(normalize(&case.gold), case.normalized, "{about:?}");
        let exact = f64::from(u8::from(exact_match(&case.prediction, &case.gold)));
        assert_equal(exact, case.exact_match, &about);
        // The values of the file have 32 bits.
        let f1 = token_f1(&case.prediction, &case.gold);
        assert!((f1 - case.token_f1).abs() < 1e-6, "{f1} is not {}: {about:?}", case.token_f1);
    }
}

#[test]
fn metrics_of_classes_equal_those_of_scikit_learn() {
    let numbers = |of: Averaged| [of.precision, of.recall, of.f1];
    for case in read::<Vec<ClassCase>>("classes.json") {
        let names = (0..case.labels).map(|label| label.to_string()).collect();
        let pairs = case.expected.iter().copied().zip(case.predicted.iter().copied());
        let classes = Classes::new(names, pairs.collect());
        assert_equal(classes.accuracy(), case.accuracy, &case.labels);
        assert_eq!(classes.matrix(), case.matrix);
        for (found, expected) in
            [(classes.macro_average(), case.r#macro), (classes.weighted_average(), case.weighted)]
        {
            for (found, expected) in numbers(found).into_iter().zip(expected) {
                assert_equal(found, expected, &case.labels);
            }
        }
        for ((found, support), expected) in classes.of_each().into_iter().zip(case.each) {
            for (found, expected) in numbers(found).into_iter().zip(expected) {
                assert_equal(found, expected, &case.labels);
            }
            assert_equal(support as f64, expected[3], &case.labels);
        }
    }
}
