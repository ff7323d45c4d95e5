//! ROUGE with the tokenizer of `rouge_score`.

mod porter;
mod subsequence;
mod summary;

use crate::ngrams;
use subsequence::longest_common_subsequence;

pub use porter::stem;
pub use summary::RougeSummary;

/// Whether words are replaced by their stems.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stemming {
    /// Words as they are, the default of `rouge_score` and `evaluate`.
    None,
    /// The Porter stems of words of more than three letters: `use_stemmer=True`.
    Porter,
}

/// Precision and recall of what two texts have in common.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Overlap {
    /// Share of the prediction that the reference has.
    pub precision: f64,
    /// Share of the reference that the prediction has.
    pub recall: f64,
}

impl Overlap {
    /// The harmonic mean of precision and recall.
    pub fn f1(self) -> f64 {
        let Self { precision, recall } = self;
        if precision + recall > 0.0 { 2.0 * precision * recall / (precision + recall) } else { 0.0 }
    }

    /// `both` items in common of `prediction` and `reference` items.
    fn of(both: u64, prediction: u64, reference: u64) -> Self {
        Self {
            precision: both as f64 / prediction.max(1) as f64,
            recall: both as f64 / reference.max(1) as f64,
        }
    }
}

/// The words of a text: lower case, without everything except `a` to `z` and `0` to `9`.
///
/// # Source
/// Lin 2004, ACL W04-1013; the package `rouge_score`; golden `metrics`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RougeTokens(Vec<String>);

impl RougeTokens {
    /// The words of a text.
    pub fn new(text: &str, stemming: Stemming) -> Self {
        let text = text.to_lowercase();
        let words = text
            .split(|it: char| !it.is_ascii_lowercase() && !it.is_ascii_digit())
            .filter(|word| !word.is_empty());
        Self(
            words
                .map(|word| match stemming {
                    Stemming::Porter if word.len() > 3 => stem(word),
                    _ => word.to_owned(),
                })
                .collect(),
        )
    }

    /// The words.
    pub fn words(&self) -> &[String] {
        &self.0
    }

    /// ROUGE-N: the n-grams that both have.
    pub fn ngrams(&self, reference: &Self, n: usize) -> Overlap {
        let (one, other) = (&self.0, &reference.0);
        let both = ngrams::matches(&ngrams::counts(one, n), &ngrams::counts(other, n));
        Overlap::of(both, ngrams::total(one.len(), n), ngrams::total(other.len(), n))
    }

    /// ROUGE-L: the longest common subsequence.
    pub fn longest(&self, reference: &Self) -> Overlap {
        let both = longest_common_subsequence(&reference.0, &self.0) as u64;
        Overlap::of(both, self.0.len() as u64, reference.0.len() as u64)
    }
}
