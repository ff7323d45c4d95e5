//! The variants of the prebuilt library: which devices it supports.

/// A variant of the prebuilt library.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variant {
    /// CPU only.
    Plain,
    /// CPU and NVIDIA GPUs. The CUDA libraries are opened when a GPU is first used, so this variant
    /// runs on machines without a GPU too.
    Cuda,
}

impl Variant {
    /// All variants in the order of preference.
    pub(super) const BEST_FIRST: [Self; 2] = [Self::Cuda, Self::Plain];

    /// The features of the facade, as cargo's argument.
    pub(super) fn features(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Cuda => "cuda",
        }
    }

    /// Native libraries that are linked into the facade and that its crates mention in their
    /// metadata.
    pub(super) fn native(self) -> &'static [&'static str] {
        match self {
            Self::Plain => &[],
            Self::Cuda => &["cuda", "cudart", "cublas", "cublasLt", "curand", "nvrtc", "moe"],
        }
    }
}
