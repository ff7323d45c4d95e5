//! One row of the cross entropy.

use super::exp::exp;
use super::lanes::max;

simd! {
    /// `ln Σ exp(x)`
    fn log_sum_exp(x: &[f32]) -> f32 {
        const LANES: usize = 16;
        let highest = max(x);
        let mut lanes = [0f32; LANES];
        let (chunks, rest) = x.as_chunks::<LANES>();
        for chunk in chunks {
            for i in 0..LANES {
                lanes[i] += exp(chunk[i] - highest);
            }
        }
        let tail: f32 = rest.iter().map(|x| exp(x - highest)).sum();
        (lanes.iter().sum::<f32>() + tail).ln() + highest
    }
}

simd! {
    /// `x = factor exp(x - log_sum)`
    fn log_sum_exp_gradient(x: &mut [f32], log_sum: f32, factor: f32) {
        for x in x {
            *x = factor * exp(*x - log_sum);
        }
    }
}

simd! {
    /// `dx = factor exp(x - log_sum)`
    fn log_sum_exp_backward(x: &[f32], log_sum: f32, factor: f32, dx: &mut [f32]) {
        for (dx, x) in dx.iter_mut().zip(x) {
            *dx = factor * exp(x - log_sum);
        }
    }
}
