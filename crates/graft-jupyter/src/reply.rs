//! Replies on the shell, control and stdin channels.

use std::collections::BTreeMap;

use graft_frontend::Rich;
use serde::Serialize;
use serde_json::Value;

use crate::error_content::ErrorContent;
use crate::interpreter::{Completeness, Completions};
use crate::kernel_info::KernelInfo;
use crate::mime_bundle::mime_bundle;
use crate::user_expressions::ExpressionResult;
use crate::wire::VERSION;

/// Content of a reply, serialized as the JSON of the protocol.
/// Spec: <https://jupyter-client.readthedocs.io/en/stable/messaging.html>
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Reply {
    /// `kernel_info_reply`
    KernelInfo(KernelInfoReply),
    /// `execute_reply`
    Execute(ExecuteReply),
    /// `complete_reply`
    Complete(CompleteReply),
    /// `inspect_reply`
    Inspect(InspectReply),
    /// `is_complete_reply`
    IsComplete(IsCompleteReply),
    /// `history_reply`
    History(HistoryReply),
    /// `comm_info_reply`; always empty, because comms are not supported.
    CommInfo {
        /// Always `ok`.
        status: &'static str,
        /// Always empty.
        comms: BTreeMap<String, String>,
    },
    /// `interrupt_reply`
    Interrupt {
        /// Always `ok`.
        status: &'static str,
    },
    /// `shutdown_reply`
    Shutdown {
        /// Always `ok`.
        status: &'static str,
        /// As in the request.
        restart: bool,
    },
    /// The reply to a request that cannot be parsed.
    Error {
        /// Type of the reply.
        #[serde(skip)]
        msg_type: &'static str,
        /// Always `error`.
        status: &'static str,
        /// The error.
        #[serde(flatten)]
        error: ErrorContent,
    },
    /// `input_request`, on stdin
    InputRequest {
        /// Text in front of the input field.
        prompt: String,
        /// Whether the input is hidden.
        password: bool,
    },
}

/// Content of `kernel_info_reply`.
#[derive(Debug, Serialize)]
pub(crate) struct KernelInfoReply {
    status: &'static str,
    protocol_version: &'static str,
    #[serde(flatten)]
    info: KernelInfo,
    debugger: bool,
    supported_features: [&'static str; 0],
}

/// Content of `execute_reply`.
#[derive(Debug, Serialize)]
pub(crate) struct ExecuteReply {
    /// `ok` or `error`.
    pub(crate) status: &'static str,
    /// Execution count of the cell; `None` if it did not run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) execution_count: Option<u64>,
    /// Values of the expressions of the request, after a successful cell.
    pub(crate) user_expressions: BTreeMap<String, ExpressionResult>,
    /// Pager and next-input payloads.
    pub(crate) payload: Vec<Payload>,
    /// The error, as published on iopub.
    #[serde(flatten)]
    pub(crate) error: Option<ErrorContent>,
}

/// One payload of `execute_reply`.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "source", rename_all = "snake_case")]
pub(crate) enum Payload {
    /// Text for the pager.
    Page {
        /// MIME bundle.
        data: BTreeMap<String, Value>,
        /// First line shown.
        start: u32,
    },
    /// Text to insert into a cell.
    SetNextInput {
        /// The text.
        text: String,
        /// Whether to replace the cell that ran instead of inserting a new one.
        replace: bool,
    },
}

/// Content of `complete_reply`.
#[derive(Debug, Default, Serialize)]
pub(crate) struct CompleteReply {
    /// Always `ok`.
    pub(crate) status: &'static str,
    /// Texts to insert, best first.
    pub(crate) matches: Vec<String>,
    /// First code point replaced.
    pub(crate) cursor_start: usize,
    /// One past the last code point replaced.
    pub(crate) cursor_end: usize,
    /// Kinds of the matches.
    pub(crate) metadata: CompleteMetadata,
}

/// Kinds that JupyterLab shows next to the matches, in the same order.
#[derive(Debug, Default, Serialize)]
pub(crate) struct CompleteMetadata {
    /// One entry for each match, in the same order.
    #[serde(rename = "_jupyter_types_experimental")]
    pub(crate) types: Vec<CompleteType>,
}

/// Kind of one match.
#[derive(Debug, Serialize)]
pub(crate) struct CompleteType {
    /// The match.
    pub(crate) text: String,
    /// `magic`, `key`, `function`, ...
    #[serde(rename = "type")]
    pub(crate) kind: String,
    /// Short description shown next to the match.
    pub(crate) signature: String,
    /// First code point replaced.
    pub(crate) start: usize,
    /// One past the last code point replaced.
    pub(crate) end: usize,
}

/// Content of `inspect_reply`.
#[derive(Debug, Serialize)]
pub(crate) struct InspectReply {
    /// Always `ok`.
    pub(crate) status: &'static str,
    /// Whether there is documentation to show.
    pub(crate) found: bool,
    /// MIME bundle.
    pub(crate) data: BTreeMap<String, Value>,
    /// Always empty.
    pub(crate) metadata: BTreeMap<String, String>,
}

/// Content of `is_complete_reply`.
#[derive(Debug, Serialize)]
pub(crate) struct IsCompleteReply {
    /// `complete`, `incomplete`, `invalid` or `unknown`.
    pub(crate) status: &'static str,
    /// Indentation of the next line, if incomplete.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) indent: Option<String>,
}

/// Content of `history_reply`.
#[derive(Debug, Serialize)]
pub(crate) struct HistoryReply {
    /// Always `ok`.
    pub(crate) status: &'static str,
    /// The entries, oldest first.
    pub(crate) history: Vec<HistoryEntry>,
}

/// One entry: session, line and code, with its output on request.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum HistoryEntry {
    /// Without output.
    Input(i64, i64, String),
    /// With output.
    InputOutput(i64, i64, (String, Option<String>)),
}

impl Reply {
    /// The description of this kernel.
    pub(crate) fn kernel_info(info: KernelInfo) -> Self {
        Self::KernelInfo(KernelInfoReply {
            status: "ok",
            protocol_version: VERSION,
            info,
            debugger: false,
            supported_features: [],
        })
    }

    /// Type of the message.
    pub(crate) fn msg_type(&self) -> &'static str {
        match self {
            Self::KernelInfo(_) => "kernel_info_reply",
            Self::Execute(_) => "execute_reply",
            Self::Complete(_) => "complete_reply",
            Self::Inspect(_) => "inspect_reply",
            Self::IsComplete(_) => "is_complete_reply",
            Self::History(_) => "history_reply",
            Self::CommInfo { .. } => "comm_info_reply",
            Self::Interrupt { .. } => "interrupt_reply",
            Self::Shutdown { .. } => "shutdown_reply",
            Self::Error { msg_type, .. } => msg_type,
            Self::InputRequest { .. } => "input_request",
        }
    }
}

impl From<Completions> for CompleteReply {
    fn from(completions: Completions) -> Self {
        let Completions { start, end, items } = completions;
        let matches = items.iter().map(|item| item.text.clone()).collect();
        let types = items.into_iter().map(|item| CompleteType {
            text: item.text,
            kind: item.kind,
            signature: item.signature,
            start,
            end,
        });
        Self {
            status: "ok",
            matches,
            cursor_start: start,
            cursor_end: end,
            metadata: CompleteMetadata { types: types.collect() },
        }
    }
}

impl From<Option<Rich>> for InspectReply {
    fn from(rich: Option<Rich>) -> Self {
        Self {
            status: "ok",
            found: rich.is_some(),
            data: rich.map(|rich| mime_bundle(&rich)).unwrap_or_default(),
            metadata: BTreeMap::new(),
        }
    }
}

impl From<Completeness> for IsCompleteReply {
    fn from(completeness: Completeness) -> Self {
        match completeness {
            Completeness::Complete => Self { status: "complete", indent: None },
            Completeness::Incomplete { indent } => {
                Self { status: "incomplete", indent: Some(indent) }
            }
            Completeness::Invalid => Self { status: "invalid", indent: None },
            Completeness::Unknown => Self { status: "unknown", indent: None },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use graft_frontend::CellError;

    #[test]
    fn an_error_reply_has_the_error_and_the_execution_count() {
        let error = CellError {
            ename: "UsageError".into(),
            evalue: "no such magic".into(),
            traceback: vec!["line".into()],
        };
        let reply = ExecuteReply {
            status: "error",
            execution_count: Some(3),
            user_expressions: BTreeMap::new(),
            payload: vec![],
            error: Some((&error).into()),
        };
        let json = serde_json::to_value(Reply::Execute(reply)).unwrap();
        assert_eq!(json["ename"], "UsageError");
        assert_eq!(json["traceback"][0], "line");
        assert_eq!(json["user_expressions"], serde_json::json!({}));
    }

    #[test]
    fn payloads_carry_their_source() {
        let json = serde_json::to_value(Payload::SetNextInput { text: "x".into(), replace: true })
            .unwrap();
        assert_eq!(
            json,
            serde_json::json!({"source": "set_next_input", "text": "x", "replace": true})
        );
    }
}
