//! The fingerprint of a prebuilt library. A cell can be loaded only with a library of the
//! fingerprint that it was compiled for.

use serde::{Deserialize, Serialize};

use super::hash::Hash;
use super::{PrebuiltError, Variant, archive, manifests, toolchain};

/// A hash of compiler, sources, lock file, features, flags, profile and target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint(String);

impl Fingerprint {
    /// The name of the library's folder: the first 16 digits.
    pub(crate) fn short(&self) -> &str {
        self.0.get(..16).unwrap_or(&self.0)
    }

    /// All 32 digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The fingerprint of a variant for this program and the installed compiler.
pub(crate) fn fingerprint(variant: Variant) -> Result<Fingerprint, PrebuiltError> {
    Ok(of(&toolchain::verbose_version()?, archive::HASH, variant))
}

/// Hashes all inputs; the hash of the sources covers manifests, features and lock file.
fn of(rustc: &str, sources: &str, variant: Variant) -> Fingerprint {
    let mut hash = Hash::new();
    for piece in [
        rustc,
        sources,
        manifests::PROFILE,
        manifests::RUSTFLAGS,
        super::TARGET,
        super::build::LAYOUT_VERSION,
        variant.features(),
    ] {
        hash.add(piece.as_bytes());
    }
    Fingerprint(hash.text())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fingerprint_depends_on_compiler_sources_and_variant() {
        let first = of("rustc 1.95.0", "aa", Variant::Plain);
        assert_eq!(first, of("rustc 1.95.0", "aa", Variant::Plain));
        assert_ne!(first, of("rustc 1.96.0", "aa", Variant::Plain));
        assert_ne!(first, of("rustc 1.95.0", "ab", Variant::Plain));
        assert_ne!(first, of("rustc 1.95.0", "aa", Variant::Cuda));
        assert_eq!(first.short().len(), 16);
    }

    #[test]
    fn the_boundaries_of_pieces_matter() {
        assert_ne!(of("ab", "c", Variant::Plain), of("a", "bc", Variant::Plain));
    }
}
