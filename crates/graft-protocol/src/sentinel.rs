//! Sentinels in the child's standard streams. Once a sentinel has arrived, everything printed
//! before it has arrived.
//!
//! The host asks the child to write a sentinel in order to know that a stream is drained. The
//! facade writes one where output continues on the other channel
//! ([`FromChild::Barrier`](crate::FromChild::Barrier)). Every sentinel contains a secret that the
//! host chooses for each child, so that nothing a cell prints can be mistaken for a sentinel.

/// First bytes of a sentinel, before the secret.
const HEAD: &str = "\x1egraft-mark:";
/// Last byte of a sentinel.
pub const TAIL: u8 = 0x1e;
/// First number of the child's sentinels; the host's numbers are smaller.
pub const FIRST_OF_CHILD: u64 = 1 << 63;

/// The sentinels of one child.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sentinels {
    head: Vec<u8>,
}

impl Sentinels {
    /// Creates sentinels with a secret that both sides share.
    pub fn new(secret: &str) -> Self {
        Self { head: format!("{HEAD}{secret}:").into_bytes() }
    }

    /// Returns the bytes with which every sentinel begins. The decimal number and [`TAIL`] follow.
    pub fn head(&self) -> &[u8] {
        &self.head
    }

    /// Returns the sentinel with a number. It is short enough to be written to a pipe atomically.
    pub fn bytes(&self, number: u64) -> Vec<u8> {
        let mut sentinel = self.head.clone();
        sentinel.extend_from_slice(number.to_string().as_bytes());
        sentinel.push(TAIL);
        sentinel
    }
}
