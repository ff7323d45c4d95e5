//! FNV-1a with 128 bits, which distinguishes builds. It is not a cryptographic hash.
//!
//! The crate and its build script, which hashes the archive, share this file.

/// An incremental hash.
pub(crate) struct Hash(u128);

impl Hash {
    /// The hash of no data.
    pub(crate) fn new() -> Self {
        Self(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d)
    }

    /// Adds a piece with its length, so that the boundaries of pieces matter.
    pub(crate) fn add(&mut self, piece: &[u8]) {
        for byte in (piece.len() as u64).to_le_bytes().iter().chain(piece) {
            self.0 ^= u128::from(*byte);
            self.0 = self.0.wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b);
        }
    }

    /// The hash as 32 hexadecimal digits.
    pub(crate) fn text(&self) -> String {
        format!("{:032x}", self.0)
    }
}
