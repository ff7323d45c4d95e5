//! Bounded values `c tanh(x / c)`.

use super::gelu::tanh;

simd! {
    /// `x = c tanh(x / c)`, with `slope = 1 - tanh²(x / c)`
    fn softcap(x: &mut [f32], cap: f32, slope: &mut [f32]) {
        for (x, slope) in x.iter_mut().zip(slope) {
            let t = tanh(*x / cap);
            *x = cap * t;
            *slope = 1.0 - t * t;
        }
    }
}
