//! What clients ask, parsed leniently: a field that is missing has the protocol's default.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::wire::Incoming;

/// One request, whichever channel it came on.
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
    /// `comm_open`: no target is known here, so it is answered with `comm_close`
    CommOpen(Comm),
    /// `comm_msg` and `comm_close` of a comm that never was
    CommOther,
    /// `interrupt_request`
    Interrupt,
    /// `shutdown_request`
    Shutdown(Shutdown),
    /// `input_reply` on stdin
    InputReply(InputReply),
    /// A request whose content is not what its type asks for.
    Malformed(Malformed),
    /// A type this kernel does not know.
    Unknown,
}

/// A request that cannot be understood.
#[derive(Debug)]
pub(crate) struct Malformed {
    /// Type of the answer; none for a message that has no answer.
    pub(crate) reply_type: Option<&'static str>,
    /// What is wrong, with the request's type.
    pub(crate) reason: String,
}

/// Content of `execute_request`.
#[derive(Debug, Deserialize)]
pub(crate) struct Execute {
    /// The cell.
    #[serde(default)]
    pub(crate) code: String,
    /// Whether nothing is to be published or counted.
    #[serde(default)]
    pub(crate) silent: bool,
    /// Whether it counts and enters the history; not when silent.
    #[serde(default = "yes")]
    pub(crate) store_history: bool,
    /// Names to expressions that are evaluated when the cell went well.
    #[serde(default)]
    pub(crate) user_expressions: BTreeMap<String, String>,
    /// Whether the client can answer `input_request`.
    #[serde(default = "yes")]
    pub(crate) allow_stdin: bool,
    /// Whether an error aborts what waits in the queue.
    #[serde(default = "yes")]
    pub(crate) stop_on_error: bool,
}

/// Content of `complete_request` and `inspect_request`.
#[derive(Debug, Deserialize)]
pub(crate) struct Cursor {
    /// The cell.
    #[serde(default)]
    pub(crate) code: String,
    /// Cursor in Unicode code points; none is the end.
    #[serde(default)]
    pub(crate) cursor_pos: Option<usize>,
    /// 1 asks for more.
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
    /// Whether each entry holds its output as well.
    #[serde(default)]
    pub(crate) output: bool,
    /// `tail`, `range` or `search`.
    #[serde(default)]
    pub(crate) hist_access_type: String,
    /// Session of a range; 0 is this one, negative counts back.
    #[serde(default)]
    pub(crate) session: i64,
    /// First line of a range.
    #[serde(default)]
    pub(crate) start: Option<i64>,
    /// One past its last line.
    #[serde(default)]
    pub(crate) stop: Option<i64>,
    /// Most entries of a tail or a search.
    #[serde(default)]
    pub(crate) n: Option<usize>,
    /// Glob with `*` and `?`.
    #[serde(default)]
    pub(crate) pattern: Option<String>,
    /// Whether a search gives each text once.
    #[serde(default)]
    pub(crate) unique: bool,
}

/// Content of `comm_open`.
#[derive(Debug, Deserialize)]
pub(crate) struct Comm {
    /// The comm's name.
    #[serde(default)]
    pub(crate) comm_id: String,
}

/// Content of `shutdown_request`.
#[derive(Debug, Deserialize)]
pub(crate) struct Shutdown {
    /// Whether the client starts the kernel again.
    #[serde(default)]
    pub(crate) restart: bool,
}

/// Content of `input_reply`.
#[derive(Debug, Deserialize)]
pub(crate) struct InputReply {
    /// What the user typed.
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
    /// Parses the content by the type in the header. Content of another form is [`Request::Malformed`], which is answered with an error.
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

/// A request with that content, or what is wrong with it. An array is not taken for the fields of an object in their order.
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
            reason: format!("the content of this `{kind}` is malformed: {error}"),
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
    fn content_of_another_form_is_malformed_and_names_the_request() {
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
                panic!("{content} is taken")
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
    fn a_type_from_the_future_is_unknown() {
        assert!(matches!(parse("create_subshell_request", "{}"), Request::Unknown));
    }
}
