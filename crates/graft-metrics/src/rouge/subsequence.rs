//! The longest common subsequence.

use std::collections::HashMap;

/// Length of the longest common subsequence of two lists of tokens.
///
/// One bit per token of `one`: a zero where the length grows. The time is proportional to the
/// product of the lengths divided by 64.
///
/// # Source
/// Hyyrö 2004, "Bit-parallel LCS-length computation revisited"
pub(super) fn longest_common_subsequence(one: &[String], other: &[String]) -> usize {
    let mut places: HashMap<&str, Vec<usize>> = HashMap::new();
    for (place, token) in one.iter().enumerate() {
        places.entry(token).or_default().push(place);
    }
    let words = one.len().div_ceil(64);
    let (mut state, mut found) = (vec![u64::MAX; words], vec![0u64; words]);
    for token in other {
        let Some(places) = places.get(token.as_str()) else { continue };
        places.iter().for_each(|place| found[place / 64] |= 1 << (place % 64));
        let mut carry = false;
        for (state, found) in state.iter_mut().zip(&found) {
            let (sum, first) = state.overflowing_add(*state & found);
            let (sum, second) = sum.overflowing_add(u64::from(carry));
            carry = first || second;
            *state = sum | (*state & !found);
        }
        places.iter().for_each(|place| found[place / 64] = 0);
    }
    (0..one.len()).filter(|place| state[place / 64] >> (place % 64) & 1 == 0).count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// By the table of all prefixes.
    fn by_table(one: &[String], other: &[String]) -> usize {
        let mut row = vec![0; other.len() + 1];
        for token in one {
            let mut diagonal = 0;
            for place in 1..row.len() {
                let above = row[place];
                row[place] = if other[place - 1] == *token {
                    diagonal + 1
                } else {
                    above.max(row[place - 1])
                };
                diagonal = above;
            }
        }
        row[other.len()]
    }

    proptest! {
        #[test]
        fn the_length_is_that_of_the_table(
            one in prop::collection::vec("[a-d]", 0..150),
            other in prop::collection::vec("[a-d]", 0..150),
        ) {
            prop_assert_eq!(
                longest_common_subsequence(&one, &other),
                by_table(&one, &other)
            );
        }
    }
}
