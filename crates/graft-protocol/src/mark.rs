//! Marks in the child's standard streams: what was printed before a mark has arrived when the mark has.
//!
//! The host writes marks to know that a stream is drained, the child to say that something goes another way at this point
//! ([`FromChild::Meeting`](crate::FromChild::Meeting)).

/// First bytes of a mark; a control character keeps it apart from anything that people print.
pub const HEAD: &[u8] = b"\x1egraft-drained:";
/// Last byte of a mark.
pub const TAIL: u8 = 0x1e;
/// The child's numbers begin here, the host's stay below.
pub const FIRST_OF_CHILD: u64 = 1 << 63;

/// What stands in standard error before the message of the error that ended a cell.
pub const ERROR_BEGINS: &str = "\x1egraft-error:";
/// And behind it.
pub const ERROR_ENDS: &str = "\x1e";

/// The mark of that number, short enough that a pipe takes it in one piece.
pub fn bytes(number: u64) -> Vec<u8> {
    let mut mark = HEAD.to_vec();
    mark.extend_from_slice(number.to_string().as_bytes());
    mark.push(TAIL);
    mark
}
