//! What makes two builds of the template interchangeable: a cell compiled for one may be loaded beside it only if this is equal.

use serde::{Deserialize, Serialize};

use super::hash::Hash;
use super::{PrebuiltError, Variant, archive, manifests, toolchain};

/// Hash of compiler, sources, lock, features, flags, profile and processor baseline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint(String);

impl Fingerprint {
    /// Name of the template's folder.
    pub(crate) fn short(&self) -> &str {
        self.0.get(..16).unwrap_or(&self.0)
    }

    /// All of it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The fingerprint that a template of that variant must have for this program and this machine's compiler.
pub(crate) fn fingerprint(variant: Variant) -> Result<Fingerprint, PrebuiltError> {
    Ok(of(&toolchain::verbose_version()?, archive::HASH, variant))
}

/// Hashes what goes in; the sources' hash covers manifests, features and lock.
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
    fn another_compiler_or_other_sources_give_another_identity() {
        let first = of("rustc 1.95.0", "aa", Variant::Plain);
        assert_eq!(first, of("rustc 1.95.0", "aa", Variant::Plain));
        assert_ne!(first, of("rustc 1.96.0", "aa", Variant::Plain));
        assert_ne!(first, of("rustc 1.95.0", "ab", Variant::Plain));
        assert_ne!(first, of("rustc 1.95.0", "aa", Variant::Cuda));
        assert_eq!(first.short().len(), 16);
    }

    #[test]
    fn pieces_do_not_run_into_each_other() {
        assert_ne!(of("ab", "c", Variant::Plain), of("a", "bc", Variant::Plain));
    }
}
