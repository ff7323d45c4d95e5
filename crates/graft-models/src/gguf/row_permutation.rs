//! The order of the rows of query and key projections in llama.cpp.

/// The permutation of the rows of each head.
pub(super) struct RowPermutation {
    /// Rows per head.
    pub(super) width: usize,
}

impl RowPermutation {
    /// The stored index of Hugging Face's row `row`: `(head, half, i)` is stored at
    /// `(head, i, half)`.
    pub(super) fn stored(&self, row: usize) -> usize {
        let head = row / self.width;
        let within = row % self.width;
        let half = within / (self.width / 2);
        let index = within % (self.width / 2);
        head * self.width + index * 2 + half
    }
}
