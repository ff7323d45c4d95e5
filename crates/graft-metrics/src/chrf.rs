//! chrF with the defaults of sacrebleu.

use crate::{ngrams, python_text};

/// Longest n-grams of characters.
const LONGEST: usize = 6;
/// Weight of the recall: beta = 2.
const BETA_SQUARED: f64 = 4.0;

/// Counts of one text or, added up, of a corpus.
///
/// `chrF = 100 (1 + beta²) P R / (beta² P + R)`, with precision P and recall R of n-grams of 1 to 6
/// characters without spaces, averaged over the orders that both texts have; beta = 2.
///
/// # Units and ranges
/// The score is in `[0, 100]`
/// # Source
/// Popović 2015, ACL W15-3049; sacrebleu's `CHRF`; golden `metrics`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Chrf {
    /// For each order: n-grams of the prediction, of the reference, and of both.
    pub orders: [[u64; 3]; LONGEST],
}

impl Chrf {
    /// Counts a prediction with its reference.
    pub fn of(prediction: &str, reference: &str) -> Self {
        let characters =
            |text| python_text::split(text).flat_map(str::chars).collect::<Vec<char>>();
        let (prediction, reference) = (characters(prediction), characters(reference));
        let count = |order: usize| {
            let n = order + 1;
            let of_reference = ngrams::total(reference.len(), n);
            let of_prediction = ngrams::total(prediction.len(), n);
            let both =
                ngrams::matches(&ngrams::counts(&prediction, n), &ngrams::counts(&reference, n));
            // As in sacrebleu, an order that the reference does not have is not counted.
            [if of_reference > 0 { of_prediction } else { 0 }, of_reference, both]
        };
        Self { orders: std::array::from_fn(count) }
    }

    /// The score.
    pub fn score(&self) -> f64 {
        let used: Vec<_> =
            self.orders.iter().filter(|[one, other, _]| *one > 0 && *other > 0).collect();
        let mean = |of: usize| {
            let shares = used.iter().map(|counts| counts[2] as f64 / counts[of] as f64);
            shares.sum::<f64>() / used.len().max(1) as f64
        };
        let (precision, recall) = (mean(0), mean(1));
        if precision + recall == 0.0 {
            return 0.0;
        }
        100.0 * (1.0 + BETA_SQUARED) * precision * recall / (BETA_SQUARED * precision + recall)
    }

    /// The counts as numbers that can be added.
    pub(crate) fn statistics(&self) -> [f64; 3 * LONGEST] {
        std::array::from_fn(|place| self.orders[place / 3][place % 3] as f64)
    }

    /// The reverse of [`Self::statistics`].
    pub(crate) fn from_statistics(numbers: &[f64]) -> Self {
        let count = |place: usize| numbers.get(place).map_or(0, |number| *number as u64);
        Self {
            orders: std::array::from_fn(|order| std::array::from_fn(|of| count(3 * order + of))),
        }
    }
}
