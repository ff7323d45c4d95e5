//! A message of the Jupyter protocol.

use bytes::Bytes;
use ring::hmac;
use serde_json::{Value, json};
use zeromq::ZmqMessage;

const DELIMITER: &[u8] = b"<IDS|MSG>";

/// A message whose frames are parsed as JSON.
#[derive(Clone, Debug)]
pub struct Message {
    /// Routing frames; on iopub, the topic.
    pub prefix: Vec<Bytes>,
    /// The header.
    pub header: Value,
    /// The header of the request that it answers.
    pub parent: Value,
    /// The metadata.
    pub metadata: Value,
    /// The content.
    pub content: Value,
}

impl Message {
    /// Message type, such as `execute_reply`.
    pub fn kind(&self) -> &str {
        self.header["msg_type"].as_str().unwrap_or_default()
    }

    /// Identifier of the request that it answers.
    pub fn parent_id(&self) -> &str {
        self.parent["msg_id"].as_str().unwrap_or_default()
    }

    /// The `text/plain` representation in the content.
    pub fn plain(&self) -> &str {
        self.content["data"]["text/plain"].as_str().unwrap_or_default()
    }

    /// Builds a request.
    pub fn request(session: &str, kind: &str, content: Value) -> Self {
        let header = json!({
            "msg_id": uuid::Uuid::new_v4().to_string(), "session": session, "username": "test",
            "date": "2026-11-23T12:00:00.000000Z", "msg_type": kind, "version": "5.4",
        });
        Self { prefix: Vec::new(), header, parent: json!({}), metadata: json!({}), content }
    }

    /// Serializes and signs the message.
    pub fn to_frames(&self, key: &str) -> Vec<Bytes> {
        let json: Vec<Bytes> = [&self.header, &self.parent, &self.metadata, &self.content]
            .iter()
            .map(|part| Bytes::from(part.to_string()))
            .collect();
        let mut frames = vec![Bytes::from_static(DELIMITER), Bytes::from(sign(key, &json))];
        frames.extend(json);
        frames
    }

    /// Parses a message and verifies its signature, which covers exactly the four JSON frames.
    ///
    /// # Panics
    /// If a frame is invalid or the signature is wrong.
    pub fn read(message: ZmqMessage, key: &str) -> Self {
        let frames = message.into_vec();
        let at =
            frames.iter().position(|frame| frame == DELIMITER).expect("the delimiter <IDS|MSG>");
        let body: Vec<Bytes> = frames.iter().skip(at + 2).take(4).cloned().collect();
        let signature = frames.get(at + 1).expect("a signature frame");
        assert_eq!(
            String::from_utf8_lossy(signature),
            sign(key, &body),
            "signature of the four frames"
        );
        let parse = |index: usize| {
            serde_json::from_slice(body.get(index).expect("four JSON frames"))
                .expect("a JSON frame")
        };
        let read = Self {
            prefix: frames.iter().take(at).cloned().collect(),
            header: parse(0),
            parent: parse(1),
            metadata: parse(2),
            content: parse(3),
        };
        for key in ["msg_id", "session", "username", "date", "msg_type", "version"] {
            assert!(read.header[key].is_string(), "the header of {} has {key}", read.kind());
        }
        read
    }
}

fn sign(key: &str, frames: &[Bytes]) -> String {
    if key.is_empty() {
        return String::new();
    }
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes()));
    frames.iter().for_each(|frame| context.update(frame));
    context.sign().as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}
