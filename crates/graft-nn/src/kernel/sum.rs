//! Addition into a running sum.

simd! {
    /// `sum += x`
    fn add(sum: &mut [f32], x: &[f32]) {
        for (sum, x) in sum.iter_mut().zip(x) {
            *sum += x;
        }
    }
}
