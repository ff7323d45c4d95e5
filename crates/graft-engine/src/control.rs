//! What the host and its child's main program say to each other, beside the link that belongs to the session.
//!
//! It goes over a socket of its own, so that the child's standard streams carry nothing but what cells read and print.

use serde::{Deserialize, Serialize};

/// From the host to the child.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum ToChild {
    /// First of all: the secret of the marks in the child's streams.
    Begin {
        /// The secret.
        secret: String,
    },
    /// Put the mark of that number in both streams.
    Drain {
        /// The number.
        number: u64,
    },
    /// Load a compiled cell and run it.
    Run {
        /// The shared library.
        library: String,
        /// The function in it.
        function: String,
    },
    /// A line for the cell that reads standard input, with its line end; none is the end of input.
    Input {
        /// The line.
        line: Option<String>,
    },
}

/// From the child to the host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum FromChild {
    /// The running cell waits for standard input.
    WantsInput,
    /// A cell could not be loaded, and has not run.
    NotLoaded {
        /// Why.
        reason: String,
    },
}
