//! Reading frames from arbitrary bytes ends with a message or an error, never with a panic or an
//! allocation of gigabytes.

#![allow(clippy::unwrap_used)]

use graft_protocol::{FromChild, ToChild, frame};
use proptest::prelude::*;

/// A valid frame, which the tests corrupt.
fn good() -> Vec<u8> {
    let mut bytes = Vec::new();
    frame::write(
        &mut bytes,
        &ToChild::Environment { name: "A".to_owned(), value: Some("é".to_owned()) },
        b"binary",
    )
    .unwrap();
    bytes
}

/// Reads frames until the end or the first error; returns their number.
fn read_all(mut bytes: &[u8]) -> usize {
    let mut read = 0;
    while let Ok(Some(_)) = frame::read::<ToChild>(&mut bytes) {
        read += 1;
    }
    read
}

/// Test configuration with `number` cases, or with `PROPTEST_CASES` if that is set.
fn cases(number: u32) -> ProptestConfig {
    let default = ProptestConfig::default();
    if std::env::var_os("PROPTEST_CASES").is_some() {
        default
    } else {
        ProptestConfig { cases: number, ..default }
    }
}

proptest! {
    #![proptest_config(cases(4000))]

    #[test]
    fn any_bytes_are_read_or_rejected(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        read_all(&bytes);
        let _ = frame::read::<FromChild>(&mut &bytes[..]);
    }

    #[test]
    fn a_corrupt_byte_leaves_earlier_frames_readable(place in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = [good(), good()].concat();
        let place = place.index(bytes.len());
        bytes[place] = byte;
        let whole = usize::from(place >= good().len());
        prop_assert!(read_all(&bytes) >= whole);
    }

    #[test]
    fn a_truncated_stream_yields_its_complete_frames(cut in any::<prop::sample::Index>()) {
        let bytes = [good(), good()].concat();
        let cut = cut.index(bytes.len());
        prop_assert_eq!(read_all(&bytes[..cut]), cut / good().len());
    }
}
