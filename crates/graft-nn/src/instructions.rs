//! The instruction set of the inner loops.

use std::sync::OnceLock;

/// Instruction sets for which the inner loops are compiled, in ascending order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Instructions {
    /// The baseline that every CPU supports.
    Portable,
    /// AVX2 with FMA.
    Avx2,
    /// AVX-512 F, BW, VL and DQ.
    Avx512,
}

impl Instructions {
    /// The best instruction set of this CPU.
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

    /// The instruction set of this process: the best one, unless the environment variable
    /// `GRAFT_SIMD` selects a lower one (`portable`, `avx2`) for comparison.
    pub fn chosen() -> Self {
        static CHOSEN: OnceLock<Instructions> = OnceLock::new();
        *CHOSEN.get_or_init(|| {
            let requested = match std::env::var("GRAFT_SIMD").as_deref() {
                Ok("portable") => Self::Portable,
                Ok("avx2") => Self::Avx2,
                _ => Self::Avx512,
            };
            requested.min(Self::best())
        })
    }

    /// The value of `GRAFT_SIMD` that selects it.
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
    fn instruction_sets_are_ordered_and_the_chosen_one_is_supported() {
        assert!(
            Instructions::Portable < Instructions::Avx2
                && Instructions::Avx2 < Instructions::Avx512
        );
        assert!(Instructions::chosen() <= Instructions::best());
    }
}
