//! One row of a root-mean-square norm.

use super::lanes::dot;

/// `1 / sqrt(mean(x²) + eps)`.
#[inline(always)]
fn reciprocal_root(x: &[f32], eps: f32) -> f32 {
    1.0 / (dot(x, x) / x.len() as f32 + eps).sqrt()
}

simd! {
    /// `y = x ρ ∘ w` with `ρ = 1 / sqrt(mean(x²) + eps)`
    fn rms_norm(x: &[f32], w: &[f32], eps: f32, y: &mut [f32]) {
        let root = reciprocal_root(x, eps);
        for ((y, x), w) in y.iter_mut().zip(x).zip(w) {
            *y = x * root * w;
        }
    }
}

simd! {
    /// `dx = ρ (g ∘ w - x ρ² mean(g ∘ w ∘ x))`
    fn rms_norm_backward(x: &[f32], g: &[f32], w: &[f32], eps: f32, dx: &mut [f32]) {
        let root = reciprocal_root(x, eps);
        for ((dx, g), w) in dx.iter_mut().zip(g).zip(w) {
            *dx = g * w;
        }
        let along = dot(x, dx) * root * root / x.len() as f32;
        for (dx, x) in dx.iter_mut().zip(x) {
            *dx = root * (*dx - x * along);
        }
    }
}

simd! {
    /// `dw += g ∘ x ρ`
    fn rms_norm_weight(x: &[f32], g: &[f32], eps: f32, dw: &mut [f32]) {
        let root = reciprocal_root(x, eps);
        for ((dw, g), x) in dw.iter_mut().zip(g).zip(x) {
            *dw += g * x * root;
        }
    }
}
