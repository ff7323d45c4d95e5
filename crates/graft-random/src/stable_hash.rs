//! A hash that is equal on every machine and with every version.

/// 64-bit FNV-1a. The hasher of the standard library may change between releases, and fingerprints
/// are stored in files.
///
/// # Source
/// Fowler, Noll and Vo, draft-eastlake-fnv
#[derive(Clone, Copy, Debug)]
pub struct StableHasher(u64);

impl StableHasher {
    /// A hasher that has read nothing.
    pub const fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    /// Hashes bytes.
    pub fn bytes(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    /// Hashes a number.
    pub fn number(&mut self, number: u64) {
        self.bytes(&number.to_le_bytes());
    }

    /// Hashes a text with its length, so that `ab`, `c` and `a`, `bc` differ.
    pub fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.bytes(text.as_bytes());
    }

    /// The hash as 16 hexadecimal digits.
    pub fn finish(self) -> String {
        format!("{:016x}", self.0)
    }
}

impl Default for StableHasher {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::StableHasher;

    #[test]
    fn the_hash_is_the_published_one() {
        let mut hasher = StableHasher::new();
        hasher.bytes(b"foobar");
        assert_eq!(hasher.finish(), "85944171f73967e8");
    }
}
