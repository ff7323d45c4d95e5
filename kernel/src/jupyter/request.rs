//! What clients ask, parsed leniently: a field that is missing has the protocol's default.

use std::collections::BTreeMap;

use serde::Deserialize;

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
    /// A type this kernel does not know.
    Unknown,
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

fn yes() -> bool {
    true
}

impl Request {
    /// Parses the content by the type in the header.
    ///
    /// # Errors
    /// When the content is no JSON object of that type; the message must be dropped.
    pub(crate) fn parse(incoming: &Incoming) -> Result<Self, serde_json::Error> {
        let content = &incoming.content[..];
        Ok(match incoming.msg_type.as_str() {
            "kernel_info_request" => Self::KernelInfo,
            "execute_request" => Self::Execute(serde_json::from_slice(content)?),
            "complete_request" => Self::Complete(serde_json::from_slice(content)?),
            "inspect_request" => Self::Inspect(serde_json::from_slice(content)?),
            "is_complete_request" => Self::IsComplete(serde_json::from_slice(content)?),
            "history_request" => Self::History(serde_json::from_slice(content)?),
            "comm_info_request" => Self::CommInfo,
            "comm_open" => Self::CommOpen(serde_json::from_slice(content)?),
            "comm_msg" | "comm_close" => Self::CommOther,
            "interrupt_request" => Self::Interrupt,
            "shutdown_request" => Self::Shutdown(serde_json::from_slice(content)?),
            "input_reply" => Self::InputReply(serde_json::from_slice(content)?),
            _ => Self::Unknown,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn parse(msg_type: &str, content: &'static str) -> Result<Request, serde_json::Error> {
        Request::parse(&Incoming { parent: Default::default(), msg_type: msg_type.to_owned(), content: Bytes::from_static(content.as_bytes()) })
    }

    #[test]
    fn missing_fields_have_the_defaults_of_the_protocol() {
        let Ok(Request::Execute(execute)) = parse("execute_request", r#"{"code":"1"}"#) else { panic!("not an execute_request") };
        assert!(!execute.silent && execute.store_history && execute.allow_stdin && execute.stop_on_error);
        let Ok(Request::History(history)) = parse("history_request", r#"{"hist_access_type":"search","pattern":"a*"}"#) else {
            panic!("not a history_request")
        };
        assert_eq!((history.n, history.unique, history.stop), (None, false, None));
        assert!(matches!(parse("shutdown_request", "{}"), Ok(Request::Shutdown(Shutdown { restart: false }))));
    }

    #[test]
    fn content_that_is_no_object_is_an_error() {
        assert!(parse("execute_request", "[1").is_err());
        assert!(parse("execute_request", "\"text\"").is_err());
    }

    #[test]
    fn a_type_from_the_future_is_unknown() {
        assert!(matches!(parse("create_subshell_request", "{}"), Ok(Request::Unknown)));
    }
}
