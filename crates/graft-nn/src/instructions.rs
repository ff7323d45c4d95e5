//! The instruction set of the inner loops: the best one of the processor, or a lesser one that is asked for.

use std::sync::OnceLock;

/// Instruction sets for which the inner loops are compiled, each beside the one below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Instructions {
    /// What every processor has.
    Portable,
    /// AVX2 with FMA.
    Avx2,
    /// AVX-512 F, BW, VL and DQ.
    Avx512,
}

impl Instructions {
    /// The best of this processor.
    pub fn best() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            let has_avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
            let has_avx512 = is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512vl")
                && is_x86_feature_detected!("avx512dq");
            match (has_avx2, has_avx512) {
                (true, true) => Self::Avx512,
                (true, false) => Self::Avx2,
                _ => Self::Portable,
            }
        }
        #[cfg(not(target_arch = "x86_64"))]
        Self::Portable
    }

    /// Those that this process uses: the best, unless `GRAFT_SIMD` names a lesser set (`portable`, `avx2`) to measure what the better one gives.
    pub fn chosen() -> Self {
        static CHOSEN: OnceLock<Instructions> = OnceLock::new();
        *CHOSEN.get_or_init(|| {
            let asked = match std::env::var("GRAFT_SIMD").as_deref() {
                Ok("portable") => Self::Portable,
                Ok("avx2") => Self::Avx2,
                _ => Self::Avx512,
            };
            asked.min(Self::best())
        })
    }

    /// Its name in `GRAFT_SIMD`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Portable => "portable",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_better_set_is_greater_and_none_is_better_than_the_best() {
        assert!(
            Instructions::Portable < Instructions::Avx2
                && Instructions::Avx2 < Instructions::Avx512
        );
        assert!(Instructions::chosen() <= Instructions::best());
    }
}
