//! Dropout without stored masks: a mask is a function of counters, so the backward pass computes it
//! again.

use crate::kernel;
use graft_random::{Rng, Stream};

/// Elements per independently computable piece of a mask; a piece is the unit of parallel work.
pub(crate) const PIECE: usize = 4096;

/// The counters that determine all dropout masks of one forward pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dropout {
    rng: Rng,
    index: u64,
}

impl Dropout {
    /// The counters of one micro-batch of one optimizer step.
    pub fn new(seed: u64, step: u64, micro_batch: u32) -> Self {
        Self { rng: Rng::new(seed), index: (step << 32) | u64::from(micro_batch) }
    }

    /// The mask of the layer at `path` for a dropout probability; `None` if it is 0.
    pub fn mask(&self, path: &str, probability: f64) -> Option<DropoutMask> {
        (probability > 0.0).then(|| DropoutMask {
            stream: self.rng.indexed("dropout", path, self.index),
            probability,
        })
    }
}

impl Dropout {
    /// `n` numbers, uniform in `[-1, 1)`, for noise on the output of the layer at `path`.
    pub(crate) fn noise(&self, path: &str, n: usize) -> Vec<f32> {
        self.rng.indexed("noise", path, self.index).uniform(-1.0, 1.0, n)
    }
}

/// A dropout mask: each element is kept with probability `1 - p` and then divided by `1 - p`, as in
/// PyTorch.
///
/// # Source
/// Srivastava et al. 2014, "Dropout: A Simple Way to Prevent Neural Networks from Overfitting"
#[derive(Clone, Debug)]
pub struct DropoutMask {
    stream: Stream,
    probability: f64,
}

impl DropoutMask {
    /// Writes `from * mask` to `to`, for the elements starting at `PIECE * piece`.
    pub(crate) fn apply(&self, piece: usize, from: &[f32], to: &mut [f32]) {
        // Two random bytes determine one element, so the probability has a resolution of 1/65536.
        let dropped = (self.probability * 65_536.0).round() as u32;
        let factor = (1.0 / (1.0 - self.probability)) as f32;
        let mut bytes = [0u8; 2 * PIECE];
        let bytes = &mut bytes[..2 * from.len()];
        self.stream.clone().bytes_at((piece * PIECE / 2) as u64, bytes);
        kernel::drop_out(bytes.as_chunks::<2>().0, dropped, factor, from, to);
    }

    /// The factors of the first `n` elements.
    pub fn factors(&self, n: usize) -> Vec<f32> {
        let mut factors = vec![1.0; n];
        for (piece, chunk) in factors.chunks_mut(PIECE).enumerate() {
            let ones = chunk.to_vec();
            self.apply(piece, &ones, chunk);
        }
        factors
    }
}

#[cfg(test)]
mod tests {
    use super::Dropout;

    #[test]
    fn the_keep_rate_and_the_mean_are_right() {
        let factors = Dropout::new(1, 2, 3).mask("layer", 0.25).expect("drops").factors(40_001);
        let kept = factors.iter().filter(|f| **f != 0.0).count() as f64 / 40_001.0;
        assert!((kept - 0.75).abs() < 0.01, "{kept}");
        assert!(factors.iter().all(|f| *f == 0.0 || (f - 4.0 / 3.0).abs() < 1e-6));
    }

    #[test]
    fn only_seed_step_micro_batch_and_path_change_the_mask() {
        let mask = |step, micro, path: &str| {
            Dropout::new(1, step, micro).mask(path, 0.5).expect("drops").factors(64)
        };
        assert_eq!(mask(1, 1, "a"), mask(1, 1, "a"));
        for other in [mask(2, 1, "a"), mask(1, 2, "a"), mask(1, 1, "b")] {
            assert_ne!(mask(1, 1, "a"), other);
        }
    }

    #[test]
    fn probability_zero_means_no_mask() {
        assert!(Dropout::new(1, 1, 1).mask("a", 0.0).is_none());
    }
}
