//! What is told of the error that a `?` at the top of a cell has met: its message and those of its sources.
//!
//! evcxr writes `{error}` to standard error. The session's compiler wrapper puts a call of [`typed_cell_error`] in that place, or of
//! [`cell_error`] in a cell whose `?` meets something that is no `Error`, so that the sources are told too, and so that the host knows
//! where the message begins and ends.

use std::{any::TypeId, error::Error as StdError, fmt::Display};

use graft_protocol::mark;

/// Errors behind a box, whose sources `Display` leaves out.
type Boxed = Box<dyn StdError>;
type Sendable = Box<dyn StdError + Send + Sync>;

/// Writes an error and its sources to standard error, between the marks that the host looks for.
#[doc(hidden)]
pub fn typed_cell_error<T: StdError>(error: &T) {
    tell(&chain(error.to_string(), error.source()));
}

/// Writes whatever a `?` may meet to standard error, between the same marks.
#[doc(hidden)]
pub fn cell_error<T: Display>(error: &T) {
    tell(&text(error));
}

fn tell(message: &str) {
    eprintln!("{}{message}{}", mark::ERROR_BEGINS, mark::ERROR_ENDS);
}

/// The message, and below it each source's. Errors that write their own chain when asked for the long form (`anyhow`, `eyre`) do so.
fn text<T: Display>(error: &T) -> String {
    chain(format!("{error:#}"), source_of(error))
}

/// A message, and below it those of the sources, from the first on.
fn chain(mut text: String, first: Option<&(dyn StdError + 'static)>) -> String {
    let mut source = first;
    while let Some(error) = source {
        let said = error.to_string();
        // Many messages end in that of their source already.
        if !text.ends_with(&said) {
            text.push_str("\ncaused by: ");
            text.push_str(&said);
        }
        source = error.source();
    }
    text
}

/// The source of an error whose type is known here; what lies behind other types only they can tell.
#[allow(unsafe_code)]
fn source_of<T: Display>(error: &T) -> Option<&(dyn StdError + 'static)> {
    let kind = typeid::of::<T>();
    let address = std::ptr::from_ref(error).cast::<()>();
    if kind == TypeId::of::<Boxed>() {
        // SAFETY: T is that type, which has no lifetimes that its id would not tell apart.
        unsafe { &*address.cast::<Boxed>() }.source()
    } else if kind == TypeId::of::<Sendable>() {
        // SAFETY: likewise.
        unsafe { &*address.cast::<Sendable>() }.source()
    } else if kind == TypeId::of::<std::io::Error>() {
        // SAFETY: likewise.
        unsafe { &*address.cast::<std::io::Error>() }.source()
    } else if kind == TypeId::of::<candle_core::Error>() {
        // SAFETY: likewise.
        unsafe { &*address.cast::<candle_core::Error>() }.source()
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Outer(std::num::ParseIntError);

    impl Display for Outer {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("the settings cannot be read")
        }
    }

    impl StdError for Outer {
        fn source(&self) -> Option<&(dyn StdError + 'static)> {
            Some(&self.0)
        }
    }

    fn outer() -> Outer {
        Outer("x".parse::<i32>().unwrap_err())
    }

    #[test]
    fn a_boxed_error_is_told_with_its_sources() {
        let wanted = "the settings cannot be read\ncaused by: invalid digit found in string";
        let (boxed, sendable): (Boxed, Sendable) = (Box::new(outer()), Box::new(outer()));
        assert_eq!((text(&boxed).as_str(), text(&sendable).as_str()), (wanted, wanted));
        assert_eq!(text(&std::io::Error::other(outer())), wanted);
        assert_eq!(chain(outer().to_string(), outer().source()), wanted);
    }

    #[test]
    fn other_errors_are_their_message_in_the_long_form() {
        assert_eq!(text(&"plain"), "plain");
        struct Chain;
        impl Display for Chain {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(if f.alternate() { "outer: inner" } else { "outer" })
            }
        }
        assert_eq!(text(&Chain), "outer: inner");
    }
}
