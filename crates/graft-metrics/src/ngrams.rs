//! Counts of n-grams.

use std::collections::HashMap;
use std::hash::Hash;

/// Counts the n-grams of `items`.
pub(crate) fn counts<T: Eq + Hash>(items: &[T], n: usize) -> HashMap<&[T], u64> {
    let mut counts = HashMap::new();
    for gram in items.windows(n) {
        *counts.entry(gram).or_insert(0) += 1;
    }
    counts
}

/// Number of n-grams that both have, each as often as the one with fewer of it.
pub(crate) fn matches<T: Eq + Hash>(one: &HashMap<T, u64>, other: &HashMap<T, u64>) -> u64 {
    one.iter().filter_map(|(gram, count)| Some(*count.min(other.get(gram)?))).sum()
}

/// Number of n-grams of a sequence with `length` items.
pub(crate) fn total(length: usize, n: usize) -> u64 {
    (length + 1).saturating_sub(n) as u64
}
