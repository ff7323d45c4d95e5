//! Requests of clients, parsed leniently: missing fields get the default of the protocol.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::wire::Incoming;

/// A request, independent of its channel.
/// Spec: <https://jupyter-client.readthedocs.io/en/stable/messaging.html>
#[derive(Debug)]
pub(crate) enum Request {
    /// `kernel_info_request`
    KernelInfo,
    /// `execute_request`
    Execute(Execute),
    /// `complete_request`
    Complete(Cursor),
    /// `inspect_request`
    Inspect(Cursor),
    /// `is_complete_request`
    IsComplete(Code),
    /// `history_request`
    History(History),
    /// `comm_info_request`
    CommInfo,
    /// `comm_open`; answered with `comm_close`, because this kernel has no comm targets
    CommOpen(Comm),
    /// `comm_msg` and `comm_close`; ignored, because no comm can be open
    CommOther,
    /// `interrupt_request`
    Interrupt,
    /// `shutdown_request`
    Shutdown(Shutdown),
    /// `input_reply` on stdin
    InputReply(InputReply),
    /// A request whose content does not match its type.
    Malformed(Malformed),
    /// A request of an unknown type.
    Unknown,
}

/// A request that cannot be parsed.
#[derive(Debug)]
pub(crate) struct Malformed {
    /// Type of the reply; `None` for messages without a reply.
    pub(crate) reply_type: Option<&'static str>,
    /// The reason, with the type of the request.
    pub(crate) reason: String,
}

/// Content of `execute_request`.
#[derive(Debug, Deserialize)]
pub(crate) struct Execute {
    /// The cell.
    #[serde(default)]
    pub(crate) code: String,
    /// Whether to publish and count nothing.
    #[serde(default)]
    pub(crate) silent: bool,
    /// Whether to count the cell and add it to the history; ignored if silent.
    #[serde(default = "yes")]
    pub(crate) store_history: bool,
    /// Named expressions, evaluated after a successful cell.
    #[serde(default)]
    pub(crate) user_expressions: BTreeMap<String, String>,
    /// Whether the client answers `input_request`.
    #[serde(default = "yes")]
    pub(crate) allow_stdin: bool,
    /// Whether an error aborts the queued cells.
    #[serde(default = "yes")]
    pub(crate) stop_on_error: bool,
}

/// Content of `complete_request` and `inspect_request`.
#[derive(Debug, Deserialize)]
pub(crate) struct Cursor {
    /// The cell.
    #[serde(default)]
    pub(crate) code: String,
    /// Cursor in Unicode code points; the default is the end.
    #[serde(default)]
    pub(crate) cursor_pos: Option<usize>,
    /// 1 asks for more detail.
    #[serde(default)]
    pub(crate) detail_level: u8,
}

/// Content of `is_complete_request`.
#[derive(Debug, Deserialize)]
pub(crate) struct Code {
    /// The text typed so far.
    #[serde(default)]
    pub(crate) code: String,
}

/// Content of `history_request`.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct History {
    /// Whether to include the output of each entry.
    #[serde(default)]
    pub(crate) output: bool,
    /// `tail`, `range` or `search`.
    #[serde(default)]
    pub(crate) hist_access_type: String,
    /// Session of a range; 0 is the current one, negative numbers count back from it.
    #[serde(default)]
    pub(crate) session: i64,
    /// First line of a range.
    #[serde(default)]
    pub(crate) start: Option<i64>,
    /// One past the last line of a range.
    #[serde(default)]
    pub(crate) stop: Option<i64>,
    /// Maximum number of entries of a tail or a search.
    #[serde(default)]
    pub(crate) n: Option<usize>,
    /// Glob pattern with `*` and `?`.
    #[serde(default)]
    pub(crate) pattern: Option<String>,
    /// Whether a search returns each text only once.
    #[serde(default)]
    pub(crate) unique: bool,
}

/// Content of `comm_open`.
#[derive(Debug, Deserialize)]
pub(crate) struct Comm {
    /// Identifier of the comm.
    #[serde(default)]
    pub(crate) comm_id: String,
}

/// Content of `shutdown_request`.
#[derive(Debug, Deserialize)]
pub(crate) struct Shutdown {
    /// Whether the client will restart the kernel.
    #[serde(default)]
    pub(crate) restart: bool,
}

/// Content of `input_reply`.
#[derive(Debug, Deserialize)]
pub(crate) struct InputReply {
    /// The line that the user typed.
    #[serde(default)]
    pub(crate) value: String,
}

impl Cursor {
    /// The cursor in code points, at most the length of the code.
    pub(crate) fn position(&self) -> usize {
        let end = self.code.chars().count();
        self.cursor_pos.map_or(end, |at| at.min(end))
    }
}

fn yes() -> bool {
    true
}

impl Request {
    /// Parses the content according to the message type. Invalid content becomes
    /// [`Request::Malformed`], which is answered with an error.
    pub(crate) fn parse(incoming: &Incoming) -> Self {
        let content = &incoming.content[..];
        let kind = incoming.msg_type.as_str();
        match kind {
            "kernel_info_request" => Self::KernelInfo,
            "execute_request" => read(kind, content, Some("execute_reply"), Self::Execute),
            "complete_request" => read(kind, content, Some("complete_reply"), Self::Complete),
            "inspect_request" => read(kind, content, Some("inspect_reply"), Self::Inspect),
            "is_complete_request" => {
                read(kind, content, Some("is_complete_reply"), Self::IsComplete)
            }
            "history_request" => read(kind, content, Some("history_reply"), Self::History),
            "comm_info_request" => Self::CommInfo,
            "comm_open" => read(kind, content, None, Self::CommOpen),
            "comm_msg" | "comm_close" => Self::CommOther,
            "interrupt_request" => Self::Interrupt,
            "shutdown_request" => read(kind, content, Some("shutdown_reply"), Self::Shutdown),
            "input_reply" => read(kind, content, None, Self::InputReply),
            _ => Self::Unknown,
        }
    }
}

/// Parses the content of one request type. Arrays are rejected; serde would accept them as the
/// fields of a struct.
fn read<T: DeserializeOwned>(
    kind: &str,
    content: &[u8],
    reply_type: Option<&'static str>,
    request: fn(T) -> Request,
) -> Request {
    let object: Result<Map<String, Value>, _> = serde_json::from_slice(content);
    match object.and_then(|object| serde_json::from_value(Value::Object(object))) {
        Ok(content) => request(content),
        Err(error) => Request::Malformed(Malformed {
            reply_type,
            reason: format!("malformed content of `{kind}`: {error}"),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn parse(msg_type: &str, content: &'static str) -> Request {
        Request::parse(&Incoming {
            parent: Default::default(),
            msg_type: msg_type.to_owned(),
            content: Bytes::from_static(content.as_bytes()),
        })
    }

    #[test]
    fn missing_fields_have_the_defaults_of_the_protocol() {
        let Request::Execute(execute) = parse("execute_request", r#"{"code":"1"}"#) else {
            panic!("not an execute_request")
        };
        assert!(
            !execute.silent
                && execute.store_history
                && execute.allow_stdin
                && execute.stop_on_error
        );
        let Request::History(history) =
            parse("history_request", r#"{"hist_access_type":"search","pattern":"a*"}"#)
        else {
            panic!("not a history_request")
        };
        assert_eq!((history.n, history.unique, history.stop), (None, false, None));
        assert!(matches!(
            parse("shutdown_request", "{}"),
            Request::Shutdown(Shutdown { restart: false })
        ));
    }

    #[test]
    fn invalid_content_is_malformed_and_names_the_request() {
        for content in [
            "[1",
            "\"text\"",
            "[\"1\", false]",
            "null",
            r#"{"code":null}"#,
            r#"{"code":7}"#,
            r#"{"silent":"no"}"#,
            "",
        ] {
            let Request::Malformed(malformed) = parse("execute_request", content) else {
                panic!("{content} is accepted")
            };
            assert_eq!(malformed.reply_type, Some("execute_reply"));
            assert!(malformed.reason.contains("execute_request"), "{}", malformed.reason);
        }
        assert!(matches!(
            parse("comm_open", "null"),
            Request::Malformed(Malformed { reply_type: None, .. })
        ));
    }

    #[test]
    fn future_message_types_are_unknown() {
        assert!(matches!(parse("create_subshell_request", "{}"), Request::Unknown));
    }
}
