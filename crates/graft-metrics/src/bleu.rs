//! BLEU with the defaults of sacrebleu.

mod tokenizer;

use crate::ngrams;

pub use tokenizer::tokenize_13a;

/// Longest n-grams.
const LONGEST: usize = 4;

/// Counts of one text or, added up, of a corpus.
///
/// `BLEU = 100 BP exp(sum over n of log p_n / N)`, with the precision `p_n` of n-grams of 1 to 4
/// tokens and the brevity penalty `BP = min(1, exp(1 - reference / length))`. An order without a
/// match counts as `1 / (2^k total)`, where k is the number of such orders so far.
///
/// # Units and ranges
/// The score is in `[0, 100]`
/// # Source
/// Papineni et al. 2002, ACL P02-1040; Post 2018, arXiv:1804.08771: sacrebleu with tokenizer `13a`
/// and smoothing `exp`; golden `metrics`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bleu {
    /// Tokens of the prediction.
    pub length: u64,
    /// Tokens of the reference.
    pub reference_length: u64,
    /// Matching n-grams, from 1 token on.
    pub correct: [u64; LONGEST],
    /// N-grams of the prediction.
    pub total: [u64; LONGEST],
}

/// Which orders of n-grams are averaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Orders {
    /// All four, as for a corpus.
    All,
    /// Those of which the prediction has n-grams, as for single sentences: `effective_order`.
    Effective,
}

impl Bleu {
    /// Counts a prediction with its reference.
    pub fn of(prediction: &str, reference: &str) -> Self {
        let (prediction, reference) = (tokenize_13a(prediction), tokenize_13a(reference));
        let mut bleu = Self {
            length: prediction.len() as u64,
            reference_length: reference.len() as u64,
            ..Self::default()
        };
        for n in 1..=LONGEST {
            bleu.correct[n - 1] =
                ngrams::matches(&ngrams::counts(&prediction, n), &ngrams::counts(&reference, n));
            bleu.total[n - 1] = ngrams::total(prediction.len(), n);
        }
        bleu
    }

    /// The score.
    pub fn score(&self, orders: Orders) -> f64 {
        if self.correct.iter().all(|count| *count == 0) {
            return 0.0;
        }
        let (mut sum, mut smoothing, mut order) = (0.0, 1.0, LONGEST);
        for (place, (correct, total)) in self.correct.iter().zip(&self.total).enumerate() {
            if *total == 0 {
                // With all orders averaged, one without n-grams makes the product zero.
                if orders == Orders::All {
                    return 0.0;
                }
                break;
            }
            if orders == Orders::Effective {
                order = place + 1;
            }
            sum += if *correct == 0 {
                smoothing *= 2.0;
                (100.0 / (smoothing * *total as f64)).ln()
            } else {
                (100.0 * *correct as f64 / *total as f64).ln()
            };
        }
        self.brevity_penalty() * (sum / order as f64).exp()
    }

    fn brevity_penalty(&self) -> f64 {
        let (length, reference) = (self.length as f64, self.reference_length as f64);
        if length >= reference { 1.0 } else { (1.0 - reference / length).exp() }
    }

    /// The counts as numbers that can be added.
    pub(crate) fn statistics(&self) -> [f64; 2 + 2 * LONGEST] {
        let mut numbers = [0.0; 2 + 2 * LONGEST];
        let counts = [self.length, self.reference_length].into_iter();
        for (slot, count) in numbers.iter_mut().zip(counts.chain(self.correct).chain(self.total)) {
            *slot = count as f64;
        }
        numbers
    }

    /// The reverse of [`Self::statistics`].
    pub(crate) fn from_statistics(numbers: &[f64]) -> Self {
        let count = |place: usize| numbers.get(place).map_or(0, |number| *number as u64);
        Self {
            length: count(0),
            reference_length: count(1),
            correct: std::array::from_fn(|order| count(2 + order)),
            total: std::array::from_fn(|order| count(2 + LONGEST + order)),
        }
    }
}
