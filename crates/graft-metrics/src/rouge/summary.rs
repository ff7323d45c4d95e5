//! ROUGE-Lsum: the longest common subsequences of the lines of two summaries.

use std::collections::{BTreeSet, HashMap};

use super::subsequence::common_places;
use super::{Overlap, RougeTokens, Stemming};

/// The words of each line of a text. Each line counts as a sentence.
///
/// # Source
/// Lin 2004, ACL W04-1013, section 3.2; `rougeLsum` of the package `rouge_score`; golden `metrics`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RougeSummary(Vec<RougeTokens>);

impl RougeSummary {
    /// The words of the lines of a text.
    pub fn new(text: &str, stemming: Stemming) -> Self {
        Self(text.split('\n').map(|line| RougeTokens::new(line, stemming)).collect())
    }

    /// ROUGE-Lsum: for each line of the reference, the words that are in a longest common
    /// subsequence with any line of the prediction. A word counts at most as often as it is in both
    /// texts.
    pub fn longest(&self, reference: &Self) -> Overlap {
        let [mut predicted, mut expected] = [self.counts(), reference.counts()];
        let mut both = 0;
        for line in &reference.0 {
            let line = line.words();
            let places: BTreeSet<usize> =
                self.0.iter().flat_map(|other| common_places(line, other.words())).collect();
            for word in places.into_iter().map(|place| line[place].as_str()) {
                let left = predicted.get_mut(word).zip(expected.get_mut(word));
                if let Some((predicted, expected)) =
                    left.filter(|(one, other)| **one.min(other) > 0)
                {
                    (*predicted, *expected) = (*predicted - 1, *expected - 1);
                    both += 1;
                }
            }
        }
        Overlap::of(both, self.words(), reference.words())
    }

    /// How often each word is in the text.
    fn counts(&self) -> HashMap<&str, u64> {
        let mut counts = HashMap::new();
        let words = self.0.iter().flat_map(RougeTokens::words);
        words.for_each(|word| *counts.entry(word.as_str()).or_default() += 1);
        counts
    }

    fn words(&self) -> u64 {
        self.0.iter().map(|line| line.words().len() as u64).sum()
    }
}
