//! The outcome of the running cell, collected until the cell returns.
//!
//! evcxr's generated code prints the outcome as lines of text. The session's `rustc` wrapper
//! replaces them by calls of these functions, because a cell could print the same lines itself.

use std::sync::{Mutex, MutexGuard, PoisonError};

use graft_protocol::CellEnd;

static END: Mutex<CellEnd> =
    Mutex::new(CellEnd { panicked: false, failed: None, lost_variables: Vec::new() });

/// Records that the cell panicked.
#[doc(hidden)]
pub fn cell_panicked() {
    end().panicked = true;
}

/// Records that a `?` at the top level of the cell returned an error.
#[doc(hidden)]
pub fn cell_failed() {
    end().failed.get_or_insert_default();
}

/// Records that a variable was lost because its type was redefined.
#[doc(hidden)]
pub fn variable_lost(name: &str) {
    end().lost_variables.push(name.to_owned());
}

/// Records the message of the error that `?` returned.
pub(crate) fn report_error(message: String) {
    end().failed = Some(message);
}

/// Takes the outcome and resets it for the next cell.
pub(crate) fn take() -> CellEnd {
    std::mem::take(&mut end())
}

fn end() -> MutexGuard<'static, CellEnd> {
    END.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_contains_everything_that_was_reported_and_is_taken_once() {
        cell_failed();
        assert_eq!(end().failed.as_deref(), Some(""));
        report_error("no model".to_owned());
        cell_failed();
        cell_panicked();
        variable_lost("x");
        assert_eq!(
            take(),
            CellEnd {
                panicked: true,
                failed: Some("no model".to_owned()),
                lost_variables: vec!["x".to_owned()]
            }
        );
        assert_eq!(take(), CellEnd::default());
    }
}
