//! The longest common subsequence.

use std::collections::HashMap;

/// Length of the longest common subsequence of two lists of tokens.
///
/// The time is proportional to the product of the lengths divided by 64.
pub(super) fn longest_common_subsequence(one: &[String], other: &[String]) -> usize {
    let mut growth = Growth::new(one);
    other.iter().for_each(|token| growth.add(token));
    (0..one.len()).filter(|place| growth.grows_at(*place)).count()
}

/// Places in `one` of a longest common subsequence, in ascending order. Of several, it is the one
/// that the table of all prefixes yields from its end when equal lengths shorten `one` first, as in
/// `rouge_score`.
///
/// The memory is one bit per pair of tokens.
pub(super) fn common_places(one: &[String], other: &[String]) -> Vec<usize> {
    let mut growth = Growth::new(one);
    let states: Vec<Vec<u64>> = other
        .iter()
        .map(|token| {
            growth.add(token);
            growth.state.clone()
        })
        .collect();
    let (mut left, mut right) = (one.len(), other.len());
    let mut places = Vec::new();
    while left > 0 && right > 0 {
        if one[left - 1] == other[right - 1] {
            places.push(left - 1);
            (left, right) = (left - 1, right - 1);
        } else if grows_at(&states[right - 1], left - 1) {
            // The length grows with this token of `one`, which no equal token explains: it is
            // already that long without the last token of `other`.
            right -= 1;
        } else {
            left -= 1;
        }
    }
    places.reverse();
    places
}

/// Where the length of the common subsequence grows along one list, for a growing start of the
/// other.
///
/// # Source
/// Hyyrö 2004, "Bit-parallel LCS-length computation revisited"
struct Growth<'a> {
    places: HashMap<&'a str, Vec<usize>>,
    /// One bit per token: a zero where the length grows.
    state: Vec<u64>,
    /// The bits of the tokens that are equal to the added one.
    found: Vec<u64>,
}

impl<'a> Growth<'a> {
    fn new(one: &'a [String]) -> Self {
        let mut places: HashMap<&str, Vec<usize>> = HashMap::new();
        for (place, token) in one.iter().enumerate() {
            places.entry(token).or_default().push(place);
        }
        let words = one.len().div_ceil(64);
        Self { places, state: vec![u64::MAX; words], found: vec![0; words] }
    }

    /// Adds the next token of the other list.
    fn add(&mut self, token: &str) {
        let Self { places, state, found } = self;
        let Some(places) = places.get(token) else { return };
        places.iter().for_each(|place| found[place / 64] |= 1 << (place % 64));
        let mut carry = false;
        for (state, found) in state.iter_mut().zip(found.iter()) {
            let (sum, first) = state.overflowing_add(*state & found);
            let (sum, second) = sum.overflowing_add(u64::from(carry));
            carry = first || second;
            *state = sum | (*state & !found);
        }
        places.iter().for_each(|place| found[place / 64] = 0);
    }

    fn grows_at(&self, place: usize) -> bool {
        grows_at(&self.state, place)
    }
}

fn grows_at(state: &[u64], place: usize) -> bool {
    state[place / 64] >> (place % 64) & 1 == 0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The lengths for all starts of both lists.
    fn table(one: &[String], other: &[String]) -> Vec<Vec<usize>> {
        let mut table = vec![vec![0; other.len() + 1]; one.len() + 1];
        for left in 1..=one.len() {
            for right in 1..=other.len() {
                table[left][right] = if one[left - 1] == other[right - 1] {
                    table[left - 1][right - 1] + 1
                } else {
                    table[left - 1][right].max(table[left][right - 1])
                };
            }
        }
        table
    }

    /// The places that the table yields from its end.
    fn places_of_table(one: &[String], other: &[String]) -> Vec<usize> {
        let table = table(one, other);
        let (mut left, mut right, mut places) = (one.len(), other.len(), Vec::new());
        while left > 0 && right > 0 {
            if one[left - 1] == other[right - 1] {
                places.insert(0, left - 1);
                (left, right) = (left - 1, right - 1);
            } else if table[left][right - 1] > table[left - 1][right] {
                right -= 1;
            } else {
                left -= 1;
            }
        }
        places
    }

    proptest! {
        #[test]
        fn the_length_is_that_of_the_table(
            one in prop::collection::vec("[a-d]", 0..150),
            other in prop::collection::vec("[a-d]", 0..150),
        ) {
            prop_assert_eq!(
                longest_common_subsequence(&one, &other),
                table(&one, &other)[one.len()][other.len()]
            );
        }

        #[test]
        fn the_places_are_those_of_the_table(
            one in prop::collection::vec("[a-d]", 0..90),
            other in prop::collection::vec("[a-d]", 0..90),
        ) {
            prop_assert_eq!(common_places(&one, &other), places_of_table(&one, &other));
        }
    }
}
