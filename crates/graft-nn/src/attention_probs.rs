//! Recorded attention probabilities.

use std::sync::{Mutex, PoisonError};

use crate::Tensor;

/// Records the attention probabilities `softmax(s q kᵀ)` of every block of a pass, in the order of
/// the blocks. The fused attention never stores them as a whole, so they are computed separately,
/// and only if [`crate::Context::record_attention_probs`] was called.
#[derive(Debug, Default)]
pub struct AttentionProbs(Mutex<Vec<Tensor>>);

impl AttentionProbs {
    /// Records the probabilities of one attention, (B, H, T, S).
    pub(crate) fn push(&self, probs: &Tensor) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(probs.detach());
    }

    /// Takes the recorded probabilities, (B, H, T, S) for each block. Each row sums to 1 over the
    /// visible keys.
    pub fn take(&self) -> Vec<Tensor> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
