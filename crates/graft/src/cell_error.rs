//! What is told of the error that a `?` at the top of a cell has met: its message and those of its sources.
//!
//! evcxr writes `{error}` to standard error. The session's compiler wrapper puts a call of [`typed_cell_error`] in that place, or of
//! [`cell_error`] in a cell whose `?` meets something that is no `Error`, so that the sources are reported too, and the host gets the
//! message as the cell's error instead of finding it in what the cell printed.

use std::{any::TypeId, error::Error as StdError, fmt::Display};

use crate::cell_end;

/// Errors behind a box, whose sources `Display` leaves out.
type Boxed = Box<dyn StdError>;
type Sendable = Box<dyn StdError + Send + Sync>;

/// Reports an error and its sources.
#[doc(hidden)]
pub fn typed_cell_error<T: StdError>(error: &T) {
    cell_end::report_error(chain(error.to_string(), error.source()));
}

/// Reports whatever a `?` may meet.
#[doc(hidden)]
pub fn cell_error<T: Display>(error: &T) {
    cell_end::report_error(text(error));
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
        // SAFETY: `typeid::of` does not see lifetimes, so T is `Box<dyn Error + 'a>` for some `'a`, which has the layout and the vtable of
        // `Boxed`. `Error::source` takes `&self` and its result is bounded by `'static` in the trait itself, whatever `'a` is; nothing else is
        // done with the reference, which ends with this function's borrow of `error`.
        unsafe { &*address.cast::<Boxed>() }.source()
    } else if kind == TypeId::of::<Sendable>() {
        // SAFETY: T is `Box<dyn Error + Send + Sync + 'a>`; as above.
        unsafe { &*address.cast::<Sendable>() }.source()
    } else if kind == TypeId::of::<std::io::Error>() {
        // SAFETY: T is `std::io::Error`, a type without lifetimes.
        unsafe { &*address.cast::<std::io::Error>() }.source()
    } else if kind == TypeId::of::<candle_core::Error>() {
        // SAFETY: T is `candle_core::Error`, a type without lifetimes.
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
