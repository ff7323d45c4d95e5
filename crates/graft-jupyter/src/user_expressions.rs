//! The `user_expressions` of a cell: each is evaluated after the cell, and its value is part of the
//! reply, not of the page.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use graft_frontend::{Answer, CellError, Frontend, Rich, Stream};
use serde::Serialize;
use serde_json::Value;

use crate::error_content::ErrorContent;
use crate::interpreter::Interpreter;
use crate::mime_bundle::mime_bundle;

/// The result of one expression.
/// Spec: <https://jupyter-client.readthedocs.io/en/stable/messaging.html#execution-results>
#[derive(Debug, Serialize)]
#[serde(tag = "status", rename_all = "lowercase")]
pub(crate) enum ExpressionResult {
    /// Its value.
    Ok {
        /// MIME bundle; empty when the expression shows nothing.
        data: BTreeMap<String, Value>,
        /// Always empty.
        metadata: BTreeMap<String, String>,
    },
    /// The error that it raised.
    Error(ErrorContent),
}

/// Evaluates one expression.
pub(crate) async fn evaluate(interpreter: &dyn Interpreter, code: &str) -> ExpressionResult {
    let last_display = LastDisplay::default();
    match interpreter.execute(code, &last_display).await {
        Ok(()) => {
            let shown = last_display.shown.into_inner().unwrap_or_else(PoisonError::into_inner);
            ExpressionResult::Ok {
                data: mime_bundle(&shown.unwrap_or_default()),
                metadata: BTreeMap::new(),
            }
        }
        Err(error) => ExpressionResult::Error((&error).into()),
    }
}

/// A frontend that keeps the last displayed value and discards everything else.
#[derive(Default)]
struct LastDisplay {
    shown: Mutex<Option<Rich>>,
}

impl LastDisplay {
    fn keep(&self, rich: &Rich) {
        if !rich.live {
            *self.shown.lock().unwrap_or_else(PoisonError::into_inner) = Some(rich.clone());
        }
    }
}

impl Frontend for LastDisplay {
    fn stream(&self, _: Stream, _: &[u8]) {}

    fn display(&self, rich: &Rich, _: Option<&str>) {
        self.keep(rich);
    }

    fn update_display(&self, rich: &Rich, _: &str) {
        self.keep(rich);
    }

    fn result(&self, rich: &Rich) {
        self.keep(rich);
    }

    fn clear_output(&self, _: bool) {}

    fn error(&self, _: &CellError) {}

    fn page(&self, rich: &Rich) {
        self.keep(rich);
    }

    fn set_next_input(&self, _: &str, _: bool) {}

    fn input<'a>(&'a self, _: &'a str, _: bool) -> Answer<'a> {
        Box::pin(std::future::ready(None))
    }
}
