//! One row of the attention softmax.

use super::exp::exp;
use super::lanes::{dot, max, sum};

simd! {
    /// Sets the scores of padding keys (0 in `tokens`) to minus infinity.
    fn hide(scores: &mut [f32], tokens: &[u8]) {
        for (score, token) in scores.iter_mut().zip(tokens) {
            *score = if *token == 0 { f32::NEG_INFINITY } else { *score };
        }
    }
}

simd! {
    /// Softmax in place; a row whose scores are all minus infinity becomes zero.
    fn softmax(row: &mut [f32]) {
        let highest = max(row);
        if highest == f32::NEG_INFINITY {
            row.fill(0.0);
            return;
        }
        for x in row.iter_mut() {
            *x = exp(*x - highest);
        }
        let factor = 1.0 / sum(row);
        for x in row.iter_mut() {
            *x *= factor;
        }
    }
}

simd! {
    /// The gradient of the scores from the probabilities `p` and their gradient `dp`, written to
    /// `p`: `p ∘ (dp - Σ p dp)`
    fn softmax_backward(p: &mut [f32], dp: &[f32]) {
        let along = dot(p, dp);
        for (p, dp) in p.iter_mut().zip(dp) {
            *p *= dp - along;
        }
    }
}
