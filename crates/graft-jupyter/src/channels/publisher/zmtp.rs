//! The wire format of a PUB socket: ZMTP 3.0 with the NULL mechanism.
//!
//! Both sides send a greeting of 64 bytes and the command READY. The subscriber then sends
//! subscriptions as messages that start with 1 or 0 (or, since ZMTP 3.1, as commands), and the
//! publisher sends messages.

use std::io;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Length of the greeting.
const GREETING: usize = 64;
const MECHANISM: std::ops::Range<usize> = 12..32;
/// Flag bits of a frame.
const MORE: u8 = 1;
const LONG: u8 = 2;
const COMMAND: u8 = 4;
/// Subscribers send only short frames; longer ones are rejected.
const MAX_FRAME_BYTES: u64 = 1 << 16;

/// A message or command of a subscriber.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Incoming {
    /// Subscribes to topics with this prefix.
    Subscribe(Vec<u8>),
    /// Cancels the subscription to this prefix.
    Cancel(Vec<u8>),
    /// Asks for a PONG with this context.
    Ping(Vec<u8>),
    /// Anything else; ignored.
    Other,
}

/// Performs the handshake and checks that the client is a subscriber.
pub(super) async fn handshake(
    reader: &mut (impl AsyncRead + Unpin),
    writer: &mut (impl AsyncWrite + Unpin),
) -> io::Result<()> {
    let mut greeting = [0; GREETING];
    greeting[0] = 0xff;
    greeting[9] = 0x7f;
    greeting[10] = 3;
    greeting[MECHANISM.start..MECHANISM.start + 4].copy_from_slice(b"NULL");
    writer.write_all(&greeting).await?;
    let mut theirs = [0; GREETING];
    reader.read_exact(&mut theirs).await?;
    if theirs[0] != 0xff || theirs[9] & 1 != 1 || theirs[10] < 3 {
        return Err(rejected("it does not speak ZMTP 3"));
    }
    if theirs[MECHANISM].split(|byte| *byte == 0).next() != Some(b"NULL") {
        return Err(rejected("it requires encryption or a password"));
    }
    let mut ready = Vec::new();
    frame(&mut ready, COMMAND, b"\x05READY\x0bSocket-Type\x00\x00\x00\x03PUB");
    writer.write_all(&ready).await?;
    let (flags, body) = read_frame(reader).await?;
    let socket_type = body
        .strip_prefix(b"\x05READY")
        .filter(|_| flags & COMMAND != 0)
        .and_then(|properties| property(properties, b"Socket-Type"));
    match socket_type {
        Some(b"SUB" | b"XSUB") => Ok(()),
        _ => Err(rejected("it is not a SUB socket")),
    }
}

/// Receives the next message or command.
pub(super) async fn receive(reader: &mut (impl AsyncRead + Unpin)) -> io::Result<Incoming> {
    let (flags, body) = read_frame(reader).await?;
    if flags & COMMAND == 0 {
        return Ok(match body.split_first() {
            Some((1, topic)) => Incoming::Subscribe(topic.to_vec()),
            Some((0, topic)) => Incoming::Cancel(topic.to_vec()),
            _ => Incoming::Other,
        });
    }
    let rest = |name: &[u8]| body.strip_prefix(name).map(<[u8]>::to_vec);
    Ok(if let Some(topic) = rest(b"\x09SUBSCRIBE") {
        Incoming::Subscribe(topic)
    } else if let Some(topic) = rest(b"\x06CANCEL") {
        Incoming::Cancel(topic)
    } else if let Some(ping) = rest(b"\x04PING") {
        Incoming::Ping(ping.get(2..).unwrap_or_default().to_vec())
    } else {
        Incoming::Other
    })
}

/// Encodes a message of several frames.
pub(super) fn message(frames: &[Bytes]) -> Vec<u8> {
    let mut wire = Vec::with_capacity(frames.iter().map(|frame| frame.len() + 9).sum());
    for (index, body) in frames.iter().enumerate() {
        frame(&mut wire, if index + 1 < frames.len() { MORE } else { 0 }, body);
    }
    wire
}

/// Encodes the reply to a PING.
pub(super) fn pong(context: &[u8]) -> Vec<u8> {
    let mut wire = Vec::new();
    frame(&mut wire, COMMAND, &[&b"\x04PONG"[..], context].concat());
    wire
}

fn frame(wire: &mut Vec<u8>, flags: u8, body: &[u8]) {
    match u8::try_from(body.len()) {
        Ok(length) => wire.extend([flags, length]),
        Err(_) => {
            wire.push(flags | LONG);
            wire.extend((body.len() as u64).to_be_bytes());
        }
    }
    wire.extend_from_slice(body);
}

async fn read_frame(reader: &mut (impl AsyncRead + Unpin)) -> io::Result<(u8, Vec<u8>)> {
    let flags = reader.read_u8().await?;
    let length = if flags & LONG == 0 {
        u64::from(reader.read_u8().await?)
    } else {
        reader.read_u64().await?
    };
    if length > MAX_FRAME_BYTES {
        return Err(rejected(&format!("it sent a frame of {length} bytes")));
    }
    let mut body = vec![0; length as usize];
    reader.read_exact(&mut body).await?;
    Ok((flags, body))
}

/// A property of READY; names and values are prefixed with their length.
fn property<'a>(mut properties: &'a [u8], wanted: &[u8]) -> Option<&'a [u8]> {
    loop {
        let (length, rest) = properties.split_first()?;
        let (name, rest) = rest.split_at_checked(usize::from(*length))?;
        let (length, rest) = rest.split_first_chunk::<4>()?;
        let (value, rest) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
        if name.eq_ignore_ascii_case(wanted) {
            return Some(value);
        }
        properties = rest;
    }
}

fn rejected(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn subscriptions_are_messages_or_commands() {
        let mut wire = Vec::new();
        frame(&mut wire, 0, b"\x01kernel");
        frame(&mut wire, 0, b"\x00kernel");
        frame(&mut wire, COMMAND, b"\x09SUBSCRIBEa");
        frame(&mut wire, COMMAND, b"\x06CANCELa");
        frame(&mut wire, COMMAND, b"\x04PING\x00\x0acontext");
        frame(&mut wire, 0, b"");
        let mut reader = &wire[..];
        let topic = |text: &[u8]| text.to_vec();
        for wanted in [
            Incoming::Subscribe(topic(b"kernel")),
            Incoming::Cancel(topic(b"kernel")),
            Incoming::Subscribe(topic(b"a")),
            Incoming::Cancel(topic(b"a")),
            Incoming::Ping(topic(b"context")),
            Incoming::Other,
        ] {
            assert_eq!(receive(&mut reader).await.unwrap(), wanted);
        }
        assert!(receive(&mut reader).await.is_err());
        assert!(
            receive(&mut &[LONG, 0, 0, 1, 0, 0, 0, 0, 0][..])
                .await
                .unwrap_err()
                .to_string()
                .contains("frame of")
        );
    }

    #[test]
    fn long_frames_have_eight_bytes_of_length() {
        let wire = message(&[Bytes::from_static(b"topic"), Bytes::from(vec![7; 256])]);
        assert_eq!(&wire[..7], b"\x01\x05topic");
        assert_eq!(&wire[7..16], [LONG, 0, 0, 0, 0, 0, 0, 1, 0]);
        assert_eq!(wire.len(), 16 + 256);
    }

    proptest::proptest! {
        #[test]
        fn corrupt_properties_are_none(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..40)) {
            let _ = property(&bytes, b"Socket-Type");
        }
    }
}
