//! The Gaussian error linear unit, exact and in the approximation of GPT-2.

use std::f32::consts::FRAC_1_SQRT_2;

use super::exp::exp;

/// `sqrt(2 / π)`
const SLOPE: f32 = 0.797_884_6;
/// Coefficient of the cube inside the hyperbolic tangent.
const CUBE: f32 = 0.044_715;
/// `1 / sqrt(2 π)`
const PEAK: f32 = 0.398_942_3;

/// The error function, within 3e-7.
///
/// # Source
/// The rational approximation of Eigen's `erf` for f32: an odd polynomial over an even one on [-4,
/// 4], outside of which erf is ±1 in f32.
#[inline(always)]
fn erf(x: f32) -> f32 {
    let x = if x < -4.0 { -4.0 } else { x };
    let x = if x > 4.0 { 4.0 } else { x };
    let s = x * x;
    let p = -2.726_142_3e-10 * s + 2.770_681_4e-8;
    let p = p * s - 2.101_024e-6;
    let p = p * s - 5.692_506_5e-5;
    let p = p * s - 7.349_906_3e-4;
    let p = p * s - 2.954_6e-3;
    let p = p * s - 1.609_603_3e-2;
    let q = -1.456_607_2e-5 * s - 2.133_740_6e-4;
    let q = q * s - 1.682_827e-3;
    let q = q * s - 7.373_329e-3;
    let q = q * s - 1.426_473_9e-2;
    x * p / q
}

/// The hyperbolic tangent, within 2e-7.
#[inline(always)]
pub(super) fn tanh(x: f32) -> f32 {
    1.0 - 2.0 / (exp(2.0 * x) + 1.0)
}

simd! {
    /// `y = x Φ(x)`
    fn gelu(x: &[f32], y: &mut [f32]) {
        for (y, x) in y.iter_mut().zip(x) {
            *y = 0.5 * x * (1.0 + erf(x * FRAC_1_SQRT_2));
        }
    }
}

simd! {
    /// `dx = g ∘ (Φ(x) + x φ(x))`
    fn gelu_backward(x: &[f32], g: &[f32], dx: &mut [f32]) {
        for ((dx, x), g) in dx.iter_mut().zip(x).zip(g) {
            let below = 0.5 * (1.0 + erf(x * FRAC_1_SQRT_2));
            *dx = g * (below + x * PEAK * exp(-0.5 * x * x));
        }
    }
}

simd! {
    /// `y = x (1 + tanh u) / 2` with `u = sqrt(2 / π) (x + 0.044715 x³)`
    fn gelu_tanh(x: &[f32], y: &mut [f32]) {
        for (y, x) in y.iter_mut().zip(x) {
            *y = 0.5 * x * (1.0 + tanh(SLOPE * (x + CUBE * x * x * x)));
        }
    }
}

simd! {
    /// `dx = g ∘ (1 + t + x (1 - t²) u') / 2` with `t = tanh u`
    fn gelu_tanh_backward(x: &[f32], g: &[f32], dx: &mut [f32]) {
        for ((dx, x), g) in dx.iter_mut().zip(x).zip(g) {
            let t = tanh(SLOPE * (x + CUBE * x * x * x));
            let rise = SLOPE * (1.0 + 3.0 * CUBE * x * x);
            *dx = g * 0.5 * (1.0 + t + x * (1.0 - t * t) * rise);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{erf, tanh};

    #[test]
    fn the_tangent_agrees_with_the_library_and_ends_at_one() {
        for step in -4000..4000 {
            let x = step as f32 * 0.005;
            assert!((tanh(x) - x.tanh()).abs() < 3e-7, "{x}: {} {}", tanh(x), x.tanh());
        }
        assert_eq!((tanh(50.0), tanh(-50.0)), (1.0, -1.0));
    }

    #[test]
    fn the_error_function_agrees_with_its_series() {
        for step in -600..=600 {
            let x = f64::from(step) * 0.005;
            // 2 / sqrt(π) Σ (-1)^n x^(2n+1) / (n! (2n+1))
            let (mut term, mut sum) = (x, x);
            for n in 1..80 {
                term *= -x * x / f64::from(n);
                sum += term / f64::from(2 * n + 1);
            }
            let exact = sum * std::f64::consts::FRAC_2_SQRT_PI;
            assert!(
                (f64::from(erf(x as f32)) - exact).abs() < 3e-7,
                "{x}: {} {exact}",
                erf(x as f32)
            );
        }
        assert!((erf(9.0) - 1.0).abs() < 1e-6 && (erf(-9.0) + 1.0).abs() < 1e-6);
    }
}
