//! The exponential function in a form that vectorizes.

/// `e^x` within 2 units in the last place on [-87, 88]; 0 below, `e^88` above, and NaN for NaN.
///
/// # Source
/// Cephes `expf` (Moshier 1984): `x = n ln 2 + r`, a polynomial of degree 6 for `e^r`, and `2^n`
/// from the exponent bits.
#[inline(always)]
pub(super) fn exp(x: f32) -> f32 {
    const LOWEST: f32 = -87.0;
    const HIGHEST: f32 = 88.0;
    // 1.5 * 2^23: adding it rounds to a whole number, which is then in the low bits.
    const ROUND: f32 = 12_582_912.0;
    let inside = if x < LOWEST { LOWEST } else { x };
    let inside = if inside > HIGHEST { HIGHEST } else { inside };
    let shifted = inside * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    // ln 2 in two parts, so that n times the first is exact.
    let r = inside - n * 0.693_359_4 + n * 2.121_944_4e-4;
    let p = 1.987_569_1e-4 * r + 1.398_199_9e-3;
    let p = p * r + 8.333_452e-3;
    let p = p * r + 4.166_579_6e-2;
    let p = p * r + 1.666_666_5e-1;
    let p = p * r + 0.5;
    let mantissa = p * r * r + r + 1.0;
    let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(1f32.to_bits()));
    if x < LOWEST { 0.0 } else { mantissa * power }
}

#[cfg(test)]
mod tests {
    use super::exp;

    #[test]
    fn it_agrees_with_the_library_over_its_range() {
        for step in 0..175_000 {
            let x = (-87.0 + f64::from(step) * 1e-3) as f32;
            let (ours, exact) = (f64::from(exp(x)), f64::from(x).exp());
            assert!(((ours - exact) / exact).abs() < 2.5e-7, "{x}: {ours} {exact}");
        }
    }

    #[test]
    fn the_ends_are_zero_finite_and_honest() {
        assert_eq!((exp(f32::NEG_INFINITY), exp(-1e4), exp(0.0)), (0.0, 0.0, 1.0));
        assert!(exp(f32::INFINITY).is_finite() && exp(f32::NAN).is_nan());
    }
}
