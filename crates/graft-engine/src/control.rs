//! Messages between the host and the main program of its child. The link, in contrast, belongs to
//! the session.
//!
//! They use a socket of their own, so that the child's standard streams contain only what cells
//! read and print.

use serde::{Deserialize, Serialize};

/// A message from the host to the child.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum ToChild {
    /// The first message.
    Begin {
        /// The secret of the sentinels in the child's streams.
        secret: String,
    },
    /// Writes the sentinel of that number to both streams.
    Drain {
        /// The number.
        number: u64,
    },
    /// Loads and runs a compiled cell.
    Run {
        /// The shared library.
        library: String,
        /// The function in it.
        function: String,
    },
    /// Answers a cell that reads standard input.
    Input {
        /// The line with its line end; `None` for the end of input.
        line: Option<String>,
    },
}

/// A message from the child to the host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum FromChild {
    /// The running cell is blocked in a read of standard input.
    WantsInput,
    /// A cell could not be loaded and has not run.
    NotLoaded {
        /// The error of the dynamic linker.
        reason: String,
    },
}
