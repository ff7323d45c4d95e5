//! Exact match and token F1 of SQuAD.

use std::collections::HashMap;

use crate::{ngrams, python_text};

/// The text in lower case without punctuation and articles, its words separated by one space.
///
/// # Source
/// `normalize_answer` of SQuAD's evaluation script
pub fn normalize(text: &str) -> String {
    let text: String =
        text.to_lowercase().chars().filter(|it| !it.is_ascii_punctuation()).collect();
    let text = python_text::without_words(&text, |word| matches!(word, "a" | "an" | "the"));
    python_text::split(&text).collect::<Vec<_>>().join(" ")
}

/// Whether both texts are equal after [`normalize`].
///
/// # Source
/// Rajpurkar et al. 2016, arXiv:1606.05250; golden `metrics`
pub fn exact_match(prediction: &str, gold: &str) -> bool {
    normalize(prediction) == normalize(gold)
}

/// The harmonic mean of precision and recall of the words after [`normalize`].
///
/// Two texts without words are equal and have F1 1, as in SQuAD 2.0; one text without words has 0.
///
/// # Source
/// Rajpurkar et al. 2018, arXiv:1806.03822; golden `metrics`
pub fn token_f1(prediction: &str, gold: &str) -> f64 {
    let (prediction, gold) = (normalize(prediction), normalize(gold));
    let (prediction, gold) = (words(&prediction), words(&gold));
    let [of_prediction, of_gold] =
        [&prediction, &gold].map(|counts| counts.values().sum::<u64>() as f64);
    if of_prediction == 0.0 || of_gold == 0.0 {
        return f64::from(u8::from(of_prediction == of_gold));
    }
    let both = ngrams::matches(&prediction, &gold) as f64;
    2.0 * both / (of_prediction + of_gold)
}

fn words(text: &str) -> HashMap<&str, u64> {
    let mut counts = HashMap::new();
    for word in python_text::split(text) {
        *counts.entry(word).or_insert(0) += 1;
    }
    counts
}
