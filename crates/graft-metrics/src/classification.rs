//! Metrics of classes, and the confusion matrix.

use std::collections::BTreeMap;

use crate::{Metric, Score, bootstrap};

/// Classes of a list of examples: the expected and the predicted one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Classes {
    /// Names of the classes.
    names: Vec<String>,
    /// For each example the expected and the predicted class.
    pairs: Vec<(usize, usize)>,
}

/// Precision, recall and F1 averaged over classes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Averaged {
    /// Share of the examples predicted to be of a class that are.
    pub precision: f64,
    /// Share of the examples of a class that are predicted to be.
    pub recall: f64,
    /// Harmonic mean of both.
    pub f1: f64,
}

/// Counts of one class.
#[derive(Clone, Copy, Default)]
struct ClassCounts {
    expected: u64,
    predicted: u64,
    right: u64,
}

impl ClassCounts {
    /// Precision, recall and F1; 0 where nothing is expected or predicted.
    fn scores(self) -> Averaged {
        let share = |of: u64| if of == 0 { 0.0 } else { self.right as f64 / of as f64 };
        Averaged {
            precision: share(self.predicted),
            recall: share(self.expected),
            f1: if self.expected + self.predicted == 0 {
                0.0
            } else {
                2.0 * self.right as f64 / (self.expected + self.predicted) as f64
            },
        }
    }
}

impl Classes {
    /// Expected and predicted classes by index in `names`. Pairs with another index are left out.
    pub fn new(names: Vec<String>, pairs: Vec<(usize, usize)>) -> Self {
        let is_known = |pair: &(usize, usize)| pair.0 < names.len() && pair.1 < names.len();
        let pairs = pairs.into_iter().filter(is_known).collect();
        Self { names, pairs }
    }

    /// Classes that are texts: every text, without spaces around it, is a class. They are in
    /// alphabetic order.
    pub fn of_texts<'a>(texts: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let texts: Vec<_> =
            texts.into_iter().map(|(gold, found)| (gold.trim(), found.trim())).collect();
        let mut index: BTreeMap<&str, usize> =
            texts.iter().flat_map(|(gold, found)| [(*gold, 0), (*found, 0)]).collect();
        index.values_mut().zip(0..).for_each(|(place, next)| *place = next);
        let pairs = texts.iter().map(|(gold, found)| (index[gold], index[found])).collect();
        Self { names: index.keys().map(|name| (*name).to_owned()).collect(), pairs }
    }

    /// The names of the classes.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The same examples with at most `most` classes: those with the fewest expected examples are
    /// one class, whose name is their number.
    #[must_use]
    pub fn most_common(&self, most: usize) -> Self {
        if self.names.len() <= most {
            return self.clone();
        }
        let counts = self.counts(self.pairs.iter());
        let mut kept: Vec<usize> = (0..self.names.len()).collect();
        kept.sort_by_key(|class| (std::cmp::Reverse(counts[*class].expected), *class));
        kept.truncate(most.saturating_sub(1));
        kept.sort_unstable();
        let place = |class: &usize| kept.binary_search(class).unwrap_or(kept.len());
        let pairs = self.pairs.iter().map(|(expected, found)| (place(expected), place(found)));
        let others = format!("{} others", self.names.len() - kept.len());
        let names = kept.iter().map(|class| self.names[*class].clone());
        Self { pairs: pairs.collect(), names: names.chain([others]).collect() }
    }

    /// Number of examples.
    pub fn examples(&self) -> usize {
        self.pairs.len()
    }

    /// The confusion matrix: for each expected class the number of examples of each predicted one.
    pub fn matrix(&self) -> Vec<Vec<u64>> {
        let mut matrix = vec![vec![0; self.names.len()]; self.names.len()];
        for (expected, predicted) in &self.pairs {
            matrix[*expected][*predicted] += 1;
        }
        matrix
    }

    /// Share of the examples whose class is right; 0 without examples.
    pub fn accuracy(&self) -> f64 {
        accuracy(self.pairs.iter())
    }

    /// Averages over the classes that are expected or predicted, each counted once.
    ///
    /// # Source
    /// scikit-learn's `precision_recall_fscore_support` with `average="macro"` and
    /// `zero_division=0`; golden `metrics`
    pub fn macro_average(&self) -> Averaged {
        macro_average(&self.counts(self.pairs.iter()))
    }

    /// Averages over the classes, each counted as often as it is expected.
    ///
    /// # Source
    /// As [`Self::macro_average`] with `average="weighted"`
    pub fn weighted_average(&self) -> Averaged {
        weighted_average(&self.counts(self.pairs.iter()))
    }

    /// Precision, recall, F1 and number of examples of each class.
    pub fn of_each(&self) -> Vec<(Averaged, u64)> {
        let counts = self.counts(self.pairs.iter());
        counts.into_iter().map(|counts| (counts.scores(), counts.expected)).collect()
    }

    /// A metric; `None` for a metric of texts. With a seed, it has a bootstrap interval.
    pub fn score(&self, metric: Metric, seed: Option<u64>) -> Option<Score> {
        let value = |pairs: &mut dyn Iterator<Item = &(usize, usize)>| {
            Some(match metric {
                Metric::Accuracy => accuracy(pairs),
                Metric::F1Macro => macro_average(&self.counts(pairs)).f1,
                Metric::F1Weighted => weighted_average(&self.counts(pairs)).f1,
                Metric::Precision => macro_average(&self.counts(pairs)).precision,
                Metric::Recall => macro_average(&self.counts(pairs)).recall,
                _ => return None,
            })
        };
        let whole = value(&mut self.pairs.iter())?;
        let mut of_sample = |indices: &[usize]| {
            value(&mut indices.iter().map(|index| &self.pairs[*index])).unwrap_or(whole)
        };
        let interval =
            seed.and_then(|seed| bootstrap::interval(self.pairs.len(), seed, &mut of_sample));
        Some(Score::new(metric.name(), metric.scale(), whole, interval, self.pairs.len()))
    }

    fn counts<'a>(&self, pairs: impl Iterator<Item = &'a (usize, usize)>) -> Vec<ClassCounts> {
        let mut counts = vec![ClassCounts::default(); self.names.len()];
        for (expected, predicted) in pairs {
            counts[*expected].expected += 1;
            counts[*predicted].predicted += 1;
            counts[*expected].right += u64::from(expected == predicted);
        }
        counts
    }
}

fn accuracy<'a>(pairs: impl Iterator<Item = &'a (usize, usize)>) -> f64 {
    let (mut right, mut all) = (0, 0);
    for (expected, predicted) in pairs {
        right += u64::from(expected == predicted);
        all += 1u64;
    }
    right as f64 / all.max(1) as f64
}

fn macro_average(counts: &[ClassCounts]) -> Averaged {
    let present = counts.iter().filter(|counts| counts.expected + counts.predicted > 0);
    averaged(present.map(|counts| (counts.scores(), 1.0)))
}

fn weighted_average(counts: &[ClassCounts]) -> Averaged {
    averaged(counts.iter().map(|counts| (counts.scores(), counts.expected as f64)))
}

fn averaged(scores: impl Iterator<Item = (Averaged, f64)>) -> Averaged {
    let (mut sum, mut weights) = (Averaged::default(), 0.0);
    for (scores, weight) in scores {
        sum.precision += weight * scores.precision;
        sum.recall += weight * scores.recall;
        sum.f1 += weight * scores.f1;
        weights += weight;
    }
    if weights == 0.0 {
        return Averaged::default();
    }
    Averaged {
        precision: sum.precision / weights,
        recall: sum.recall / weights,
        f1: sum.f1 / weights,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rarest_classes_become_one() {
        let names = ["a", "b", "c", "d"].map(str::to_owned).to_vec();
        let pairs = vec![(0, 0), (0, 1), (0, 0), (2, 2), (2, 3), (1, 1), (3, 2)];
        let classes = Classes::new(names, pairs);
        assert_eq!(classes.most_common(4), classes);
        let few = classes.most_common(3);
        assert_eq!(few.names(), ["a", "c", "2 others"]);
        assert_eq!(few.matrix(), [[2, 0, 1], [0, 1, 1], [0, 1, 1]]);
    }

    #[test]
    fn a_hundred_thousand_classes_are_reduced_without_their_matrix() {
        let names: Vec<String> = (0..100_000).map(|class| class.to_string()).collect();
        let pairs = (0..100_000).map(|class| (class, (class + 1) % 100_000)).collect();
        let few = Classes::new(names, pairs).most_common(20);
        assert_eq!((few.names().len(), few.examples()), (20, 100_000));
    }
}
