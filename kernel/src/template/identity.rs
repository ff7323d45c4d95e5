//! What makes two builds of the template interchangeable: a cell compiled for one may be loaded beside it only if this is equal.

use serde::{Deserialize, Serialize};

use super::hash::Hash;
use super::{Flavour, TemplateError, archive, manifests, toolchain};

/// Hash of compiler, sources, lock, features, flags, profile and processor baseline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Identity(String);

impl Identity {
    /// Name of the template's folder.
    pub(crate) fn short(&self) -> &str {
        self.0.get(..16).unwrap_or(&self.0)
    }

    /// All of it.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// The identity that a template of that flavour must have for this program and this machine's compiler.
pub(crate) fn identity(flavour: Flavour) -> Result<Identity, TemplateError> {
    Ok(of(&toolchain::verbose_version()?, archive::HASH, flavour))
}

/// Hashes what goes in; the sources' hash covers manifests, features and lock.
fn of(rustc: &str, sources: &str, flavour: Flavour) -> Identity {
    let mut hash = Hash::new();
    for piece in [
        rustc,
        sources,
        manifests::PROFILE,
        manifests::RUSTFLAGS,
        super::TARGET,
        super::build::LAYOUT_VERSION,
        flavour.features(),
    ] {
        hash.add(piece.as_bytes());
    }
    Identity(hash.text())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_compiler_or_other_sources_give_another_identity() {
        let first = of("rustc 1.95.0", "aa", Flavour::Plain);
        assert_eq!(first, of("rustc 1.95.0", "aa", Flavour::Plain));
        assert_ne!(first, of("rustc 1.96.0", "aa", Flavour::Plain));
        assert_ne!(first, of("rustc 1.95.0", "ab", Flavour::Plain));
        assert_ne!(first, of("rustc 1.95.0", "aa", Flavour::Cuda));
        assert_eq!(first.short().len(), 16);
    }

    #[test]
    fn pieces_do_not_run_into_each_other() {
        assert_ne!(of("ab", "c", Flavour::Plain), of("a", "bc", Flavour::Plain));
    }
}
