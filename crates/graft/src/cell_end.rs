//! How the running cell ends, collected until it has returned.
//!
//! evcxr has its generated code print lines for this. The session's compiler wrapper replaces them by calls of these functions: what
//! is printed can come from anybody, a call cannot.

use std::sync::{Mutex, MutexGuard, PoisonError};

use graft_protocol::CellEnd;

static END: Mutex<CellEnd> =
    Mutex::new(CellEnd { panicked: false, failed: None, lost_variables: Vec::new() });

/// The cell has panicked.
#[doc(hidden)]
pub fn cell_panicked() {
    end().panicked = true;
}

/// A `?` at the top of the cell has met an error.
#[doc(hidden)]
pub fn cell_failed() {
    end().failed.get_or_insert_default();
}

/// A variable is gone, because its type was defined again.
#[doc(hidden)]
pub fn variable_lost(name: &str) {
    end().lost_variables.push(name.to_owned());
}

/// The message of the error that a `?` has met.
pub(crate) fn report_error(message: String) {
    end().failed = Some(message);
}

/// What has been collected; the next cell begins with nothing.
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
    fn an_end_holds_everything_that_was_reported_and_is_taken_once() {
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
