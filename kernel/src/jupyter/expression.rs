//! The `user_expressions` of a cell: each is run after it, and what it gives goes into the reply instead of onto the page.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use serde::Serialize;
use serde_json::Value;

use super::reply::{ErrorContent, mime_bundle};
use crate::cell::Cells;
use graft_frontend::{Answer, CellError, Frontend, Rich, Stream};

/// What an expression gave.
/// Spec: <https://jupyter-client.readthedocs.io/en/stable/messaging.html#execution-results>
#[derive(Debug, Serialize)]
#[serde(tag = "status", rename_all = "lowercase")]
pub(crate) enum Evaluated {
    /// Its value.
    Ok {
        /// MIME bundle; empty when the expression shows nothing.
        data: BTreeMap<String, Value>,
        /// Always empty.
        metadata: BTreeMap<String, String>,
    },
    /// Why it has none.
    Error(ErrorContent),
}

/// Evaluates one expression.
pub(crate) async fn evaluate(cells: &mut Cells, code: &str) -> Evaluated {
    let ear = Ear::default();
    match cells.run(code, &ear).await {
        Ok(()) => {
            let shown = ear.shown.into_inner().unwrap_or_else(PoisonError::into_inner);
            Evaluated::Ok {
                data: mime_bundle(&shown.unwrap_or_default()),
                metadata: BTreeMap::new(),
            }
        }
        Err(error) => Evaluated::Error((&error).into()),
    }
}

/// Keeps the last thing that is shown and lets everything else pass.
#[derive(Default)]
struct Ear {
    shown: Mutex<Option<Rich>>,
}

impl Ear {
    fn keep(&self, rich: &Rich) {
        if !rich.live {
            *self.shown.lock().unwrap_or_else(PoisonError::into_inner) = Some(rich.clone());
        }
    }
}

impl Frontend for Ear {
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
