//! Relative positions in T5's attention: the bucket of the distance between a query and a key.

/// How distances are divided into buckets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RelativePositions {
    /// Number of buckets: the rows of the table.
    pub(super) buckets: usize,
    /// Distance from which all keys share the last bucket.
    pub(super) max_distance: usize,
    /// Whether keys after the query have buckets of their own, as in an encoder.
    pub(super) is_bidirectional: bool,
}

impl RelativePositions {
    /// The bucket of each key for each query, row by row: (T, S). The first query is at `offset`.
    pub(super) fn buckets(self, queries: usize, keys: usize, offset: usize) -> Vec<u32> {
        let row = |query: usize| {
            (0..keys).map(move |key| self.bucket(key as i64 - (query + offset) as i64))
        };
        (0..queries).flat_map(row).collect()
    }

    /// The bucket of a key `relative` positions after the query. Half of the buckets are for one
    /// distance each, the others for ranges that grow with the logarithm of the distance.
    ///
    /// # Source
    /// `_relative_position_bucket` in transformers' `modeling_t5.py`, in f32 as there
    fn bucket(self, relative: i64) -> u32 {
        let (count, first) = match self.is_bidirectional {
            true if relative > 0 => (self.buckets / 2, self.buckets / 2),
            true => (self.buckets / 2, 0),
            false => (self.buckets, 0),
        };
        let distance = if self.is_bidirectional { relative.abs() } else { (-relative).max(0) };
        let exact = count / 2;
        if (distance as usize) < exact {
            return (first + distance as usize) as u32;
        }
        let (exact_f, count_f) = (exact as f32, count as f32);
        let range = (self.max_distance as f32 / exact_f).ln();
        let further = (distance as f32 / exact_f).ln() / range * (count_f - exact_f);
        (first + (exact + further as usize).min(count - 1)) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_keys_have_buckets_of_their_own_and_far_ones_share_the_last() {
        let causal = RelativePositions { buckets: 32, max_distance: 128, is_bidirectional: false };
        let of = |relative: &[i64]| -> Vec<u32> {
            relative.iter().map(|relative| causal.bucket(*relative)).collect()
        };
        // Values of transformers' function.
        assert_eq!(of(&[5, 0, -1, -15, -16, -17, -20]), [0, 0, 1, 15, 16, 16, 17]);
        assert_eq!(of(&[-64, -127, -128, -9999]), [26, 31, 31, 31]);
    }

    #[test]
    fn an_encoder_has_half_of_the_buckets_for_each_direction() {
        let both = RelativePositions { buckets: 32, max_distance: 128, is_bidirectional: true };
        assert_eq!(
            both.buckets(1, 5, 2),
            [2, 1, 0, 17, 18],
            "two keys before the query, itself, and two after it"
        );
        assert_eq!((both.bucket(-8), both.bucket(8), both.bucket(9999)), (8, 24, 31));
        // Exact powers of two are at the border of a bucket.
        assert_eq!((both.bucket(-16), both.bucket(-32), both.bucket(-64)), (10, 12, 14));
    }
}
