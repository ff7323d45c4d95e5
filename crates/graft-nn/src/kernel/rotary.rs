//! One head of a rotary embedding.

simd! {
    /// Rotates the plane of elements `i` and `i + D/2` by the angle with this cosine and
    /// `sign * sine`.
    fn rotate(x: &[f32], cos: &[f32], sin: &[f32], sign: f32, y: &mut [f32]) {
        let half = cos.len();
        let (x1, x2) = x.split_at(half);
        let (y1, y2) = y.split_at_mut(half);
        let x2 = &x2[..half];
        let y1 = &mut y1[..half];
        let y2 = &mut y2[..half];
        let sin = &sin[..half];
        for i in 0..half {
            let sine = sign * sin[i];
            y1[i] = x1[i] * cos[i] - x2[i] * sine;
            y2[i] = x2[i] * cos[i] + x1[i] * sine;
        }
    }
}
