//! The gate `silu(a) ∘ b`.

use super::exp::exp;

simd! {
    /// `y = a σ(a) ∘ b`
    fn swiglu(a: &[f32], b: &[f32], y: &mut [f32]) {
        for ((y, a), b) in y.iter_mut().zip(a).zip(b) {
            *y = a / (1.0 + exp(-a)) * b;
        }
    }
}

simd! {
    /// `da = g ∘ b ∘ σ(a) (1 + a (1 - σ(a)))`, `db = g ∘ a σ(a)`
    fn swiglu_backward(a: &[f32], b: &[f32], g: &[f32], da: &mut [f32], db: &mut [f32]) {
        for ((((da, db), a), b), g) in da.iter_mut().zip(db).zip(a).zip(b).zip(g) {
            let sigma = 1.0 / (1.0 + exp(-a));
            let silu = a * sigma;
            *db = g * silu;
            *da = g * b * (sigma + silu * (1.0 - sigma));
        }
    }
}
