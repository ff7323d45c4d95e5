//! Marks in the child's standard streams: what was printed before a mark has arrived when the mark has.
//!
//! The host has the child write marks to know that a stream is drained, the facade writes them to say that something goes another way
//! at this point ([`FromChild::Barrier`](crate::FromChild::Barrier)). Every mark contains a secret that the host chooses for each
//! child, so that nothing a cell prints is taken for one.

/// First bytes of a mark, before the secret.
const HEAD: &str = "\x1egraft-mark:";
/// Last byte of a mark.
pub const TAIL: u8 = 0x1e;
/// The child's numbers begin here, the host's stay below.
pub const FIRST_OF_CHILD: u64 = 1 << 63;

/// The marks of one child.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marks {
    head: Vec<u8>,
}

impl Marks {
    /// Marks with that secret, which must be the same on both sides.
    pub fn new(secret: &str) -> Self {
        Self { head: format!("{HEAD}{secret}:").into_bytes() }
    }

    /// What every mark begins with; the number in decimal digits and [`TAIL`] follow.
    pub fn head(&self) -> &[u8] {
        &self.head
    }

    /// The mark of that number, short enough that a pipe takes it in one piece.
    pub fn bytes(&self, number: u64) -> Vec<u8> {
        let mut mark = self.head.clone();
        mark.extend_from_slice(number.to_string().as_bytes());
        mark.push(TAIL);
        mark
    }
}
