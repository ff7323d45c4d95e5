//! The output target of a cell: a Jupyter frontend over iopub, or the terminal of `graft run`.
//!
//! The cell runner is written once against [`Frontend`], without sockets or ANSI codes. Every
//! method except [`Frontend::input`] enqueues its argument and returns at once.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use graft_protocol::Block;
use graft_render::Progress;

/// Which of the two standard streams a text belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output of the user's code.
    Stdout,
    /// Standard error of the user's code. Graft writes nothing to it: nbgrader fails a cell that
    /// has any.
    Stderr,
}

/// Rich output: one value in several MIME types, from which the frontend picks the best.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rich {
    /// MIME type to content; binary content as base64, JSON as its text.
    pub mime: BTreeMap<String, String>,
    /// The data that was rendered, for a terminal that renders it to its own width.
    pub source: RichSource,
    /// Whether an update will replace this output (a progress line), so that it is not a result.
    pub live: bool,
}

/// The data from which a [`Rich`] output was rendered.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum RichSource {
    /// Only the MIME bundle.
    #[default]
    Mime,
    /// The blocks of a reply, from top to bottom.
    Blocks(Vec<Block>),
    /// The progress of a running command.
    Progress(Progress),
}

impl Rich {
    /// Plain text alone, with control characters as symbols.
    #[must_use]
    pub fn plain(text: impl AsRef<str>) -> Self {
        Self {
            mime: BTreeMap::from([(
                "text/plain".to_owned(),
                graft_render::visible(text.as_ref()).into_owned(),
            )]),
            ..Self::default()
        }
    }

    /// Marks the output as live: an update will replace it.
    #[must_use]
    pub fn live(mut self) -> Self {
        self.live = true;
        self
    }

    /// The `text/plain` form; empty if there is none.
    #[must_use]
    pub fn text(&self) -> &str {
        self.mime.get("text/plain").map_or("", String::as_str)
    }
}

/// The error that ended a cell, in the three fields of Jupyter's `error` message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CellError {
    /// Short name, such as `UsageError`, `CompileError`, `Panic`.
    pub ename: String,
    /// One sentence.
    pub evalue: String,
    /// Lines with ANSI colors.
    pub traceback: Vec<String>,
}

/// The line that the user types, or `None` if the frontend does not allow questions or the user
/// cancels.
pub type Answer<'a> = Pin<Box<dyn Future<Output = Option<String>> + Send + 'a>>;

/// The output target of a cell.
pub trait Frontend: Send + Sync {
    /// Forwards bytes of a stream unchanged; a UTF-8 character may be split across two calls.
    fn stream(&self, stream: Stream, bytes: &[u8]);

    /// Displays a value; with a `display_id` it can be updated later.
    fn display(&self, rich: &Rich, display_id: Option<&str>);

    /// Replaces every display with that identifier.
    fn update_display(&self, rich: &Rich, display_id: &str);

    /// Shows the value of the cell's last expression.
    fn result(&self, rich: &Rich);

    /// Clears the cell's output, at once or (`wait`) when the next output arrives.
    fn clear_output(&self, wait: bool);

    /// Shows the error that ended the cell.
    fn error(&self, error: &CellError);

    /// Shows help, in the pager where the client has one.
    fn page(&self, rich: &Rich);

    /// Writes text into the current cell (`replace`) or into the next one.
    fn set_next_input(&self, text: &str, replace: bool);

    /// Asks the user for a line of input.
    fn input<'a>(&'a self, prompt: &'a str, password: bool) -> Answer<'a>;

    /// Minimum time between two updates of one live display.
    fn display_interval(&self) -> Duration {
        Duration::from_millis(220)
    }
}
