//! One row of a layer norm.

use super::lanes::{centered_dot, dot, spread, sum};

/// Mean and `1 / sqrt(variance + eps)` of a row, in two passes, because a single pass suffers from
/// cancellation if the mean is large.
#[inline(always)]
fn moments(x: &[f32], eps: f32) -> (f32, f32) {
    let mean = sum(x) / x.len() as f32;
    (mean, 1.0 / (spread(x, mean) / x.len() as f32 + eps).sqrt())
}

simd! {
    /// `y = (x - μ) ρ ∘ w + b` with `ρ = 1 / sqrt(σ² + eps)`; `b` is empty or as long as `w`
    fn layer_norm(x: &[f32], w: &[f32], b: &[f32], eps: f32, y: &mut [f32]) {
        let (mean, root) = moments(x, eps);
        for ((y, x), w) in y.iter_mut().zip(x).zip(w) {
            *y = (x - mean) * root * w;
        }
        for (y, b) in y.iter_mut().zip(b) {
            *y += b;
        }
    }
}

simd! {
    /// `dx = ρ (h - mean(h) - n mean(h ∘ n))` with `h = g ∘ w` and `n = (x - μ) ρ`
    fn layer_norm_backward(x: &[f32], g: &[f32], w: &[f32], eps: f32, dx: &mut [f32]) {
        let (mean, root) = moments(x, eps);
        for ((dx, g), w) in dx.iter_mut().zip(g).zip(w) {
            *dx = g * w;
        }
        let count = x.len() as f32;
        let level = dot(g, w) / count;
        let along = centered_dot(dx, x, mean) * root * root / count;
        for (dx, x) in dx.iter_mut().zip(x) {
            *dx = root * (*dx - level - (x - mean) * along);
        }
    }
}

simd! {
    /// `dw += g ∘ (x - μ) ρ`
    fn layer_norm_weight(x: &[f32], g: &[f32], eps: f32, dw: &mut [f32]) {
        let (mean, root) = moments(x, eps);
        for ((dw, g), x) in dw.iter_mut().zip(g).zip(x) {
            *dw += g * (x - mean) * root;
        }
    }
}
