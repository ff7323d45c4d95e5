//! What attention gives to each key, for those who want to see it.

use std::sync::{Mutex, PoisonError};

use crate::Tensor;

/// Collects `softmax(s q kᵀ)` of every attention of a pass, in the order of the blocks. The fused attention never holds it whole, so it is computed
/// beside, and only when somebody asks by [`crate::Context::record_attention_probs`].
#[derive(Debug, Default)]
pub struct AttentionProbs(Mutex<Vec<Tensor>>);

impl AttentionProbs {
    /// Those of one attention, (B, H, T, S).
    pub(crate) fn push(&self, probs: &Tensor) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(probs.detach());
    }

    /// What was collected, (B, H, T, S) of each attention; each row sums to 1 over the keys that are seen.
    pub fn take(&self) -> Vec<Tensor> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
