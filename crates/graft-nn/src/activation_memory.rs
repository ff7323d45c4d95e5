//! Estimates of the activations that adapters save for the backward pass.

use std::iter::Sum;
use std::ops::Add;

/// The number of f32 values that an adapter saves in the forward pass for the backward pass, in
/// addition to those of its layer.
///
/// candle's graph keeps every operand of a differentiable operation alive, so this is a count of
/// operands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SavedActivations {
    /// Values per position of a batch.
    pub per_position: usize,
    /// Values per pass, independent of its length.
    pub per_pass: usize,
    /// Values per pass at its very end, when the temporary values of the blocks and the logits have
    /// been freed.
    pub at_the_end: usize,
}

impl SavedActivations {
    /// `numbers` values per position.
    pub fn per_position(numbers: usize) -> Self {
        Self { per_position: numbers, ..Self::default() }
    }

    /// Adds `numbers` values per pass.
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
