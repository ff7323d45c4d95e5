//! Count-based language models over tokens, as a baseline for the model.

use std::collections::HashMap;

/// An n-gram model with interpolated Kneser-Ney smoothing; of order 1, the unigram model with
/// add-one smoothing.
///
/// ```text
/// p(w | h) = max(c(h w) - D, 0) / c(h) + D n(h) / c(h) p(w | h')
/// ```
/// `h'` is `h` without its first token, and `n(h)` the number of different tokens after `h`. The
/// highest order counts occurrences; lower orders count the different tokens before. In each order
/// `D = n1 / (n1 + 2 n2)`, where `n1` and `n2` are the numbers of n-grams counted once and twice.
///
/// # Source
/// Kneser and Ney 1995; the interpolated form of Chen and Goodman 1999, section 3
pub struct NGram {
    orders: Vec<Order>,
    vocabulary: usize,
}

/// Longest n-gram that fits into a 128-bit key with 16 bits per token.
const LONGEST: usize = 7;

#[derive(Default)]
struct Order {
    /// n-gram to count.
    counts: HashMap<u128, u32>,
    /// History to the sum of its counts and the number of different tokens after it.
    histories: HashMap<u128, (u32, u32)>,
    discount: f64,
}

impl NGram {
    /// Counts the n-grams of a token stream; `n` is at most 7.
    pub fn train(tokens: &[u32], n: usize, vocabulary: usize) -> Self {
        let n = n.clamp(1, LONGEST);
        let mut top = HashMap::new();
        for window in tokens.windows(n) {
            *top.entry(key(window)).or_insert(0) += 1;
        }
        let mut levels = vec![top];
        for length in (1..n).rev() {
            // Each different longer n-gram is one different token before this one.
            let mut counts = HashMap::new();
            for longer in levels[levels.len() - 1].keys() {
                *counts.entry(longer & mask(length)).or_insert(0) += 1;
            }
            levels.push(counts);
        }
        levels.reverse();
        Self { orders: levels.into_iter().map(Order::new).collect(), vocabulary }
    }

    /// Probability of `token` after `history`, of which the last `n - 1` tokens are used.
    pub fn probability(&self, history: &[u32], token: u32) -> f64 {
        let unigram = &self.orders[0];
        let (sum, _) = unigram.histories.get(&0).copied().unwrap_or_default();
        let count = unigram.counts.get(&key(&[token])).copied().unwrap_or(0);
        let mut probability = (f64::from(count) + 1.0) / (f64::from(sum) + self.vocabulary as f64);
        for (length, order) in self.orders.iter().enumerate().skip(1) {
            let Some(start) = history.len().checked_sub(length) else { break };
            let context = key(&history[start..]);
            let Some((sum, different)) = order.histories.get(&context) else { break };
            let count = order.counts.get(&(context << 16 | key(&[token]))).copied().unwrap_or(0);
            let own = (f64::from(count) - order.discount).max(0.0);
            probability =
                (own + order.discount * f64::from(*different) * probability) / f64::from(*sum);
        }
        probability
    }

    /// Sum of `-log2 p` over a text.
    pub fn bits(&self, tokens: &[u32]) -> f64 {
        (0..tokens.len())
            .map(|index| {
                -self
                    .probability(&tokens[index.saturating_sub(LONGEST)..index], tokens[index])
                    .log2()
            })
            .sum()
    }
}

impl Order {
    fn new(counts: HashMap<u128, u32>) -> Self {
        let mut histories: HashMap<u128, (u32, u32)> = HashMap::new();
        for (gram, count) in &counts {
            let entry = histories.entry(gram >> 16).or_default();
            entry.0 += count;
            entry.1 += 1;
        }
        let having = |wanted| counts.values().filter(|count| **count == wanted).count() as f64;
        let once = having(1);
        let twice = having(2);
        let discount = if once > 0.0 { once / (once + 2.0 * twice) } else { 0.5 };
        Self { counts, histories, discount }
    }
}

fn key(tokens: &[u32]) -> u128 {
    tokens.iter().fold(0, |key, token| key << 16 | u128::from(token + 1))
}

/// The last `length` tokens of a key.
fn mask(length: usize) -> u128 {
    (1 << (16 * length)) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_sum_to_one_after_any_history() {
        let tokens = [0, 1, 2, 3, 1, 2, 4, 1, 2, 3, 0, 1, 3];
        for n in 1..=5 {
            let model = NGram::train(&tokens, n, 6);
            for history in [&[][..], &[1], &[1, 2], &[5, 5, 5], &[0, 1, 2, 3]] {
                let sum: f64 = (0..6).map(|token| model.probability(history, token)).sum();
                assert!((sum - 1.0).abs() < 1e-9, "order {n}, history {history:?}: {sum}");
            }
        }
    }

    #[test]
    fn a_longer_history_predicts_a_repeated_phrase_better() {
        let tokens: Vec<u32> = (0..200).map(|index| [1, 2, 3, 1, 4][index % 5]).collect();
        let bits = |n| NGram::train(&tokens, n, 5).bits(&tokens[50..100]);
        assert!(bits(3) < bits(2) && bits(2) < bits(1));
    }
}
