//! Whom a cell talks to: JupyterLab over iopub, or the terminal of `graft run`.
//!
//! The cell runner ([`crate::cell`]) is written once against [`Frontend`]; it knows neither sockets nor ANSI.
//! Every method but [`Frontend::input`] only hands over and never waits.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use graft_protocol::Block;
use graft_render::Progress;

/// Which of the two standard streams a text belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stream {
    /// What the user's code printed.
    Stdout,
    /// What it printed as an error. Nothing of Graft's own goes here: nbgrader fails a cell that has any.
    Stderr,
}

/// Rich output: the same thing in several forms, of which the reader's page picks the best.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Rich {
    /// MIME type to content; binary content as base64, JSON as its text.
    pub(crate) mime: BTreeMap<String, String>,
    /// What it was drawn from, for a terminal that draws it to its own width.
    pub(crate) source: Source,
    /// Whether this is a passing state that an update will replace (a progress line), not a result.
    pub(crate) live: bool,
}

/// What something was drawn from.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum Source {
    /// Nothing more than its MIME types say.
    #[default]
    Mime,
    /// Blocks of an answer, one below the other.
    Blocks(Vec<Block>),
    /// How far something is.
    Progress(Progress),
}

impl Rich {
    /// Plain text alone, with control characters as symbols.
    pub(crate) fn plain(text: impl AsRef<str>) -> Self {
        Self {
            mime: BTreeMap::from([(
                "text/plain".to_owned(),
                graft_render::visible(text.as_ref()).into_owned(),
            )]),
            ..Self::default()
        }
    }

    /// The same, marked as a passing state.
    #[must_use]
    pub(crate) fn live(mut self) -> Self {
        self.live = true;
        self
    }

    /// Its `text/plain` form; empty when there is none.
    pub(crate) fn text(&self) -> &str {
        self.mime.get("text/plain").map_or("", String::as_str)
    }
}

/// Why a cell failed, in the three parts that every Jupyter client shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct CellError {
    /// Short name, such as `UsageError`, `CompileError`, `Panic`.
    pub(crate) ename: String,
    /// One sentence.
    pub(crate) evalue: String,
    /// Lines with ANSI colours.
    pub(crate) traceback: Vec<String>,
}

/// An answer that the user types, or none when nobody can or wants to.
pub(crate) type Answer<'a> = Pin<Box<dyn Future<Output = Option<String>> + Send + 'a>>;

/// What the cell runner needs of its surroundings.
pub(crate) trait Frontend: Send + Sync {
    /// Passes on bytes of a stream as they came; a character may be cut in two.
    fn stream(&self, stream: Stream, bytes: &[u8]);

    /// Shows something; with a `display_id` it can be updated later.
    fn display(&self, rich: &Rich, display_id: Option<&str>);

    /// Replaces every display of that name.
    fn update_display(&self, rich: &Rich, display_id: &str);

    /// Shows the value of the cell's last expression.
    fn result(&self, rich: &Rich);

    /// Clears the cell's output, now or (`wait`) when the next output arrives.
    fn clear_output(&self, wait: bool);

    /// Shows the error that ended the cell.
    fn error(&self, error: &CellError);

    /// Shows help, in the pager where the client has one.
    fn page(&self, rich: &Rich);

    /// Puts text into the cell (`replace`) or into the next one.
    fn set_next_input(&self, text: &str, replace: bool);

    /// Asks the user for a line.
    fn input<'a>(&'a self, prompt: &'a str, password: bool) -> Answer<'a>;

    /// Least time between two updates of one live display.
    fn display_interval(&self) -> Duration {
        Duration::from_millis(220)
    }
}
