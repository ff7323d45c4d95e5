//! Messages on the wire: identities, `<IDS|MSG>`, signature, four JSON frames, buffers.
//!
//! `jupyter-zmq-client` verifies the signature of the four frames. The frames are parsed leniently
//! here, because clients omit fields that the typed messages of that crate require.

use std::collections::{HashSet, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, Utc};
use jupyter_zmq_client::{RawMessage, RuntimeError};
use ring::hmac;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use zeromq::ZmqMessage;

/// Protocol version in headers and in `kernel_info_reply`.
pub(crate) const VERSION: &str = "5.4";

/// Separates the routing frames of a message from its signature.
const DELIMITER: &[u8] = b"<IDS|MSG>";
/// Number of signatures to remember, as in jupyter_client.
const MAX_SIGNATURES: usize = 1 << 16;

/// Why a message was dropped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum WireError {
    /// Frames are missing, or the signature is wrong.
    #[error("invalid frames or signature")]
    Envelope(#[source] Box<RuntimeError>),
    /// A message with this signature was received before.
    #[error("repeated message")]
    Replayed,
    /// A frame is not JSON, or the header lacks its type.
    #[error("the {frame} frame of a message is malformed")]
    Frame {
        /// Name of the frame.
        frame: &'static str,
        /// The cause.
        #[source]
        source: serde_json::Error,
    },
}

/// The protocol session of this process and the key that signs its messages.
pub(crate) struct Session {
    id: String,
    key: Option<hmac::Key>,
    sent: AtomicU64,
    received: Mutex<Signatures>,
}

/// The request that a message answers; shared by all messages that it causes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Parent {
    /// Routing frames of the client.
    pub(crate) identities: Vec<Bytes>,
    /// Header of the request, echoed unchanged.
    pub(crate) header: Value,
}

/// A received message with a valid signature.
#[derive(Debug)]
pub(crate) struct Incoming {
    /// The request to reply to.
    pub(crate) parent: Parent,
    /// `execute_request`, ...
    pub(crate) msg_type: String,
    /// The content frame, unparsed.
    pub(crate) content: Bytes,
}

#[derive(Deserialize)]
struct TypeOnly {
    msg_type: String,
}

#[derive(Serialize)]
struct Header<'a> {
    msg_id: String,
    session: &'a str,
    username: &'static str,
    date: String,
    msg_type: &'a str,
    version: &'static str,
}

impl Session {
    /// A new session; an empty key disables signing.
    pub(crate) fn new(key: &str) -> Self {
        let key = (!key.is_empty()).then(|| hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes()));
        Self {
            id: uuid::Uuid::new_v4().to_string(),
            key,
            sent: AtomicU64::new(0),
            received: Mutex::default(),
        }
    }

    /// Verifies the signature and parses the header.
    ///
    /// # Errors
    /// [`WireError`]; the message must be dropped.
    pub(crate) fn decode(&self, message: ZmqMessage) -> Result<Incoming, WireError> {
        let signature = self.key.as_ref().and_then(|_| signature(&message));
        let raw = RawMessage::from_multipart(message, &self.key)
            .map_err(|error| WireError::Envelope(Box::new(error)))?;
        if let Some(signature) = signature
            && !self.received.lock().unwrap_or_else(PoisonError::into_inner).insert(signature)
        {
            return Err(WireError::Replayed);
        }
        let frame = |index: usize| raw.jparts.get(index).cloned().unwrap_or_default();
        let header: Value = parse("header", &frame(0))?;
        let TypeOnly { msg_type } = parse("header", &frame(0))?;
        Ok(Incoming {
            parent: Parent { identities: raw.zmq_identities, header },
            msg_type,
            content: frame(3),
        })
    }

    /// Builds a signed message. `prefix` contains the routing frames: the identities of the client,
    /// or the topic on iopub.
    pub(crate) fn encode<T: Serialize>(
        &self,
        prefix: &[Bytes],
        parent: &Value,
        msg_type: &str,
        content: &T,
    ) -> Result<ZmqMessage, WireError> {
        let number = self.sent.fetch_add(1, Ordering::Relaxed);
        let msg_id = format!("{}_{}_{number}", self.id, std::process::id());
        let header = Header {
            msg_id,
            session: &self.id,
            username: "graft",
            date: now(),
            msg_type,
            version: VERSION,
        };
        let no_parent = Value::Object(Map::new());
        let parent = if parent.is_null() { &no_parent } else { parent };
        let frames = [
            write("header", &header)?,
            write("parent_header", parent)?,
            Bytes::from_static(b"{}"),
            write("content", content)?,
        ];
        let mut message = ZmqMessage::from(self.sign(&frames));
        for frame in frames {
            message.push_back(frame);
        }
        message.push_front(Bytes::from_static(DELIMITER));
        for frame in prefix.iter().rev() {
            message.push_front(frame.clone());
        }
        Ok(message)
    }

    fn sign(&self, frames: &[Bytes; 4]) -> String {
        let Some(key) = &self.key else { return String::new() };
        let mut context = hmac::Context::with_key(key);
        for frame in frames {
            context.update(frame);
        }
        context.sign().as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// The signature frame of a message.
fn signature(message: &ZmqMessage) -> Option<Bytes> {
    let delimiter = message.iter().position(|frame| &frame[..] == DELIMITER)?;
    message.get(delimiter + 1).cloned()
}

/// Signatures of received messages, to prevent replay attacks. As in jupyter_client, the oldest are
/// forgotten.
#[derive(Default)]
struct Signatures {
    known: HashSet<Bytes>,
    oldest_first: VecDeque<Bytes>,
}

impl Signatures {
    /// Adds a signature; `false` if it is known already.
    fn insert(&mut self, signature: Bytes) -> bool {
        // Hexadecimal digits have no case. The copy does not keep the memory of a large message
        // alive.
        let signature = Bytes::from(signature.to_ascii_lowercase());
        if !self.known.insert(signature.clone()) {
            return false;
        }
        self.oldest_first.push_back(signature);
        if self.oldest_first.len() > MAX_SIGNATURES
            && let Some(oldest) = self.oldest_first.pop_front()
        {
            self.known.remove(&oldest);
        }
        true
    }
}

fn parse<T: serde::de::DeserializeOwned>(
    frame: &'static str,
    bytes: &[u8],
) -> Result<T, WireError> {
    serde_json::from_slice(bytes).map_err(|source| WireError::Frame { frame, source })
}

fn write<T: Serialize>(frame: &'static str, value: &T) -> Result<Bytes, WireError> {
    serde_json::to_vec(value).map(Bytes::from).map_err(|source| WireError::Frame { frame, source })
}

/// The current time in UTC, as ISO 8601 with microseconds.
fn now() -> String {
    DateTime::<Utc>::from(SystemTime::now()).to_rfc3339_opts(SecondsFormat::Micros, true)
}

#[cfg(test)]
mod tests;
