//! Random numbers that depend only on names: (seed, purpose, name, index) determines the values on
//! every device, in every order of calls and in every run. candle's generator cannot be seeded on
//! the CPU.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// The source of every random number of a session: one seed, any number of named [`Stream`]s.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rng {
    seed: u64,
}

impl Rng {
    /// A source with this seed.
    pub fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// The seed.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The stream for one purpose (`init`, `shuffle`, ...) and one name (a parameter's, a data
    /// set's).
    pub fn stream(&self, purpose: &str, name: &str) -> Stream {
        self.indexed(purpose, name, 0)
    }

    /// The `index`-th stream of a purpose and name: one per epoch, step or micro-batch.
    pub fn indexed(&self, purpose: &str, name: &str, index: u64) -> Stream {
        let mut generator = ChaCha8Rng::from_seed(self.key(purpose, name));
        generator.set_stream(index);
        Stream { generator }
    }

    /// The key of the ChaCha generator of a stream: the seed, two different hashes of the words,
    /// and their lengths.
    fn key(&self, purpose: &str, name: &str) -> [u8; 32] {
        let words = [
            self.seed,
            fnv1a(0xcbf2_9ce4_8422_2325, purpose.as_bytes()),
            fnv1a(0xcbf2_9ce4_8422_2325, name.as_bytes()),
            fnv1a(purpose.len() as u64, name.as_bytes()).rotate_left(32) ^ name.len() as u64,
        ];
        let mut key = [0; 32];
        for (slot, word) in key.chunks_exact_mut(8).zip(words) {
            slot.copy_from_slice(&word.to_le_bytes());
        }
        key
    }
}

/// FNV-1a, 64 bits, from a chosen start (Fowler, Noll, Vo; draft-eastlake-fnv).
fn fnv1a(start: u64, bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(start, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

/// A stream of random numbers (ChaCha with 8 rounds).
#[derive(Clone, Debug)]
pub struct Stream {
    generator: ChaCha8Rng,
}

impl Stream {
    /// A number in `[0, 1)` with 53 random bits.
    pub fn unit(&mut self) -> f64 {
        (self.generator.next_u64() >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
    }

    /// `n` numbers, uniform in `[lo, hi)`.
    pub fn uniform(&mut self, lo: f32, hi: f32, n: usize) -> Vec<f32> {
        let (lo, span) = (f64::from(lo), f64::from(hi) - f64::from(lo));
        (0..n).map(|_| (lo + span * self.unit()) as f32).collect()
    }

    /// `n` numbers, normal with this mean and standard deviation (Box and Muller 1958, both numbers
    /// of a pair used).
    pub fn normal(&mut self, mean: f32, std: f32, n: usize) -> Vec<f32> {
        let mean = f64::from(mean);
        let std = f64::from(std);
        let mut values = Vec::with_capacity(n + 1);
        while values.len() < n {
            // 1 - u is in (0, 1], so the logarithm is finite.
            let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
            let (sine, cosine) = (std::f64::consts::TAU * self.unit()).sin_cos();
            values.push((mean + std * radius * cosine) as f32);
            values.push((mean + std * radius * sine) as f32);
        }
        values.truncate(n);
        values
    }

    /// A whole number in `0..n`, without bias; 0 when `n` is 0.
    pub fn below(&mut self, n: u64) -> u64 {
        // Lemire 2019, arXiv:1805.10941: the high half of a 128-bit product, with the few biased
        // low halves rejected.
        let threshold = n.wrapping_neg().checked_rem(n).unwrap_or(0);
        loop {
            let product = u128::from(self.generator.next_u64()) * u128::from(n);
            if product as u64 >= threshold {
                return (product >> 64) as u64;
            }
        }
    }

    /// Shuffles the items (Fisher and Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last as u64 + 1) as usize);
        }
    }

    /// Fills `bytes` with the stream from byte `4 * word` on, independent of its current position.
    pub fn bytes_at(&mut self, word: u64, bytes: &mut [u8]) {
        self.generator.set_word_pos(u128::from(word));
        self.generator.fill_bytes(bytes);
    }
}

#[cfg(test)]
mod tests;
