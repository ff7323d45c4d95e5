//! A piece of a dropout mask.

simd! {
    /// `to = from * factor`, or 0 where the 16-bit little-endian random number is below `dropped`.
    fn drop_out(random: &[[u8; 2]], dropped: u32, factor: f32, from: &[f32], to: &mut [f32]) {
        for ((to, from), random) in to.iter_mut().zip(from).zip(random) {
            let is_kept = u32::from(u16::from_le_bytes(*random)) >= dropped;
            *to = from * if is_kept { factor } else { 0.0 };
        }
    }
}
