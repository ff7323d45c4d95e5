use super::*;
use serde_json::json;

fn message(session: &Session) -> ZmqMessage {
    session
        .encode(
            &[Bytes::from_static(b"client")],
            &Value::Null,
            "kernel_info_request",
            &json!({"a": 1}),
        )
        .unwrap()
}

#[test]
fn sessions_with_the_same_key_read_each_other() {
    let incoming = Session::new("key").decode(message(&Session::new("key"))).unwrap();
    assert_eq!(incoming.msg_type, "kernel_info_request");
    assert_eq!(incoming.parent.identities, vec![Bytes::from_static(b"client")]);
    assert_eq!(&incoming.content[..], br#"{"a":1}"#);
    assert_eq!(incoming.parent.header["version"], VERSION);
}

#[test]
fn a_wrong_key_is_rejected() {
    assert!(matches!(
        Session::new("other").decode(message(&Session::new("key"))),
        Err(WireError::Envelope(_))
    ));
}

#[test]
fn changed_content_is_rejected_and_an_added_buffer_is_not() {
    let session = Session::new("key");
    let mut frames = message(&session).into_vec();
    frames.push(Bytes::from_static(b"buffer"));
    assert!(session.decode(ZmqMessage::try_from(frames.clone()).unwrap()).is_ok());
    frames[6] = Bytes::from_static(br#"{"a":2}"#);
    assert!(session.decode(ZmqMessage::try_from(frames).unwrap()).is_err());
}

#[test]
fn a_repeated_message_is_rejected() {
    let session = Session::new("key");
    let (first, second) = (message(&session), message(&session));
    assert!(session.decode(first.clone()).is_ok());
    assert!(matches!(session.decode(first.clone()), Err(WireError::Replayed)));
    assert!(session.decode(second).is_ok());
    // An added buffer or another client identity does not change the signature.
    let mut frames = first.into_vec();
    frames.push(Bytes::from_static(b"buffer"));
    frames[0] = Bytes::from_static(b"another client");
    assert!(matches!(
        session.decode(ZmqMessage::try_from(frames).unwrap()),
        Err(WireError::Replayed)
    ));
    let unsigned = Session::new("");
    let again = message(&unsigned);
    assert!(
        unsigned.decode(again.clone()).is_ok() && unsigned.decode(again).is_ok(),
        "without a key, messages are not signed"
    );
}

#[test]
fn the_number_of_remembered_signatures_is_limited() {
    let mut signatures = Signatures::default();
    let signature = |number: usize| Bytes::from(number.to_string());
    assert!((0..=MAX_SIGNATURES).all(|number| signatures.insert(signature(number))));
    assert_eq!(
        (signatures.known.len(), signatures.oldest_first.len()),
        (MAX_SIGNATURES, MAX_SIGNATURES)
    );
    assert!(!signatures.insert(signature(MAX_SIGNATURES)) && signatures.insert(signature(0)));
}

#[test]
fn a_header_without_type_names_its_frame() {
    let session = Session::new("");
    let mut frames = message(&session).into_vec();
    frames[3] = Bytes::from_static(b"{}");
    let error = session.decode(ZmqMessage::try_from(frames).unwrap()).unwrap_err();
    assert_eq!(error.to_string(), "the header frame of a message is malformed");
}

/// Seeded, so that failures are reproducible.
struct Noise(u64);

impl Noise {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 as usize % end
    }
}

#[test]
fn no_malformed_frames_break_the_reader() {
    let unsigned = Session::new("");
    let mut noise = Noise(0x9E37_79B9_7F4A_7C15);
    for _ in 0..20_000 {
        let mut frames = message(&unsigned).into_vec();
        for _ in 0..=noise.below(3) {
            let at = noise.below(frames.len());
            let mut bytes = frames[at].to_vec();
            match noise.below(4) {
                0 => drop(frames.remove(at)),
                1 => frames.insert(at, Bytes::from(vec![noise.below(256) as u8; noise.below(40)])),
                2 => frames[at] = Bytes::copy_from_slice(&bytes[..noise.below(bytes.len() + 1)]),
                _ => {
                    let place = noise.below(bytes.len().max(1));
                    bytes
                        .iter_mut()
                        .skip(place)
                        .take(1)
                        .for_each(|byte| *byte = noise.below(256) as u8);
                    frames[at] = Bytes::from(bytes);
                }
            }
            if frames.is_empty() {
                frames.push(Bytes::new());
            }
        }
        if let Ok(incoming) = unsigned.decode(ZmqMessage::try_from(frames).unwrap()) {
            drop(crate::request::Request::parse(&incoming));
        }
    }
}
