//! PyTorch's random numbers on the CPU, for tensors that a file leaves to be generated from a seed.

/// The Mersenne Twister MT19937, seeded like `torch.Generator().manual_seed`.
///
/// # Source
/// Matsumoto and Nishimura 1998, doi:10.1145/272991.272995
pub(crate) struct TorchRng {
    state: [u32; Self::WORDS],
    next: usize,
}

impl TorchRng {
    const WORDS: usize = 624;

    /// A generator with this seed.
    pub(crate) fn new(seed: u32) -> Self {
        let mut state = [seed; Self::WORDS];
        for index in 1..Self::WORDS {
            let last = state[index - 1];
            state[index] =
                1_812_433_253_u32.wrapping_mul(last ^ (last >> 30)).wrapping_add(index as u32);
        }
        Self { state, next: Self::WORDS }
    }

    /// `torch.empty(n).uniform_(low, high)`: 24 random bits each.
    pub(crate) fn uniform(&mut self, low: f64, high: f64, n: usize) -> Vec<f32> {
        let (low, high) = (low as f32, high as f32);
        let unit = |bits: u32| (bits & 0x00ff_ffff) as f32 / 16_777_216.0;
        (0..n).map(|_| unit(self.bits()) * (high - low) + low).collect()
    }

    /// The first `count` numbers of `torch.randperm(n)`, for an n below 2³² / 20.
    pub(crate) fn permutation(&mut self, n: u32, count: usize) -> Vec<u32> {
        let mut numbers: Vec<u32> = (0..n).collect();
        for index in 0..count.min(numbers.len().saturating_sub(1)) {
            let other = index + (self.bits() % (n - index as u32)) as usize;
            numbers.swap(index, other);
        }
        numbers.truncate(count);
        numbers
    }

    fn bits(&mut self) -> u32 {
        if self.next == Self::WORDS {
            self.twist();
        }
        let mut word = self.state[self.next];
        self.next += 1;
        word ^= word >> 11;
        word ^= (word << 7) & 0x9d2c_5680;
        word ^= (word << 15) & 0xefc6_0000;
        word ^ (word >> 18)
    }

    fn twist(&mut self) {
        for index in 0..Self::WORDS {
            let mixed = (self.state[index] & 0x8000_0000)
                | (self.state[(index + 1) % Self::WORDS] & 0x7fff_ffff);
            let turned = (mixed >> 1) ^ if mixed & 1 == 1 { 0x9908_b0df } else { 0 };
            self.state[index] = self.state[(index + 397) % Self::WORDS] ^ turned;
        }
        self.next = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::TorchRng;

    #[test]
    fn a_permutation_is_that_of_torch() {
        // torch.manual_seed(0); torch.randperm(10)
        assert_eq!(TorchRng::new(0).permutation(10, 10), [4, 1, 7, 5, 3, 9, 0, 8, 6, 2]);
        assert_eq!(TorchRng::new(0).permutation(10, 3), [4, 1, 7]);
    }

    #[test]
    fn the_bits_are_those_of_the_reference_implementation() {
        // The C++ standard fixes the ten thousandth number of mt19937 seeded with 5489.
        let mut random = TorchRng::new(5489);
        assert_eq!((0..10_000).map(|_| random.bits()).last(), Some(4_123_659_995));
    }
}
