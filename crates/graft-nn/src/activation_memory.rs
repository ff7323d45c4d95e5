//! What adapters add to the memory of a training.

use std::iter::Sum;
use std::ops::Add;

/// What an adapter keeps from the forward pass for the backward pass, beside what its layer keeps without it, in 32-bit numbers.
///
/// candle's graph holds each operand of an operation that takes part in the gradient, so that is a count of operands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SavedActivations {
    /// For each position of a batch.
    pub per_position: usize,
    /// Once for each pass, however long.
    pub per_pass: usize,
    /// Once for each pass at its very end, when what a block and the logits need for a moment is gone.
    pub at_the_end: usize,
}

impl SavedActivations {
    /// So many numbers for each position.
    pub fn per_position(numbers: usize) -> Self {
        Self { per_position: numbers, ..Self::default() }
    }

    /// And so many once for each pass.
    pub fn and_per_pass(self, numbers: usize) -> Self {
        Self { per_pass: self.per_pass + numbers, ..self }
    }
}

impl Add for SavedActivations {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            per_position: self.per_position + other.per_position,
            per_pass: self.per_pass + other.per_pass,
            at_the_end: self.at_the_end + other.at_the_end,
        }
    }
}

impl Sum for SavedActivations {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), Add::add)
    }
}
