//! A failure converted from an error contains each message once.

use std::error::Error;
use std::fmt;

use graft_spec::{Failure, Hint};

/// An error with the message of its source, or with its own.
#[derive(Debug)]
struct Outer {
    own: Option<&'static str>,
    source: Failure,
}

impl fmt::Display for Outer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.own.unwrap_or(&self.source.message))
    }
}

impl Error for Outer {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.source)
    }
}

impl Hint for Outer {
    fn code(&self) -> &'static str {
        "test::outer"
    }
}

#[test]
fn a_source_with_the_same_message_is_not_a_cause() {
    let inner =
        || Failure::new("test::inner", "`../evil` cannot name an adapter").hint("use letters");
    assert!(Failure::from(Outer { own: None, source: inner() }).causes.is_empty());
    let other = Failure::from(Outer { own: Some("cannot attach"), source: inner() });
    assert_eq!(other.causes.len(), 1, "{other}");
}
