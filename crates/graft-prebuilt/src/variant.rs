//! What a template's library can compute on.

/// Best last: what can do more is taken where there are both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variant {
    /// The processor.
    Plain,
    /// NVIDIA cards too; it opens their libraries when a card is first asked for, so that it starts everywhere.
    Cuda,
}

impl Variant {
    /// In the order in which they are looked for.
    pub(super) const BEST_FIRST: [Self; 2] = [Self::Cuda, Self::Plain];

    /// The facade's features, as cargo takes them.
    pub(super) fn features(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Cuda => "cuda",
        }
    }

    /// Native libraries that the facade's crates name and that are linked into the facade.
    pub(super) fn native(self) -> &'static [&'static str] {
        match self {
            Self::Plain => &[],
            Self::Cuda => &["cuda", "cudart", "cublas", "cublasLt", "curand", "nvrtc", "moe"],
        }
    }
}
