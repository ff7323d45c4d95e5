//! Results of Rust cells, completion and inspection.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The output of a Rust cell that ended without an error.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RustOutput {
    /// Displays in order; each maps MIME types to content.
    pub mime: Vec<BTreeMap<String, String>>,
}

impl RustOutput {
    /// An output of plain text.
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self { mime: vec![BTreeMap::from([("text/plain".to_owned(), text.into())])] }
    }

    /// The plain text of the first display.
    pub(crate) fn plain_text(&self) -> Option<&str> {
        self.mime.first()?.get("text/plain").map(String::as_str)
    }
}

/// A completion of Rust code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RustCompletion {
    /// The text to insert.
    pub text: String,
    /// The kind: `function`, `class`, `module`, `instance`, `keyword` or `magic`.
    pub kind: String,
    /// First byte of the replaced range.
    pub start: usize,
    /// End of the replaced range, exclusive, in bytes.
    pub end: usize,
}

/// Documentation of the name at the cursor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RustInspection {
    /// As plain text.
    pub plain: String,
    /// As HTML.
    pub html: String,
}
