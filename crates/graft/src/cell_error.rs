//! The error of a `?` at the top level of a cell: its message and those of its sources.
//!
//! evcxr's generated code writes `{error}` to standard error. The session's `rustc` wrapper
//! replaces that by a call of [`typed_cell_error`], or of [`cell_error`] if the type does not
//! implement `Error`. The sources are then reported too, and the host receives the message over the
//! link instead of searching for it in the output of the cell.

use std::{any::TypeId, error::Error as StdError, fmt::Display};

use crate::cell_end;

/// Boxed errors, whose `Display` does not include their sources.
type Boxed = Box<dyn StdError>;
type Sendable = Box<dyn StdError + Send + Sync>;

/// Reports an error and its sources.
#[doc(hidden)]
pub fn typed_cell_error<T: StdError>(error: &T) {
    cell_end::report_error(chain(error.to_string(), error.source()));
}

/// Reports an error of any type that `?` accepts.
#[doc(hidden)]
pub fn cell_error<T: Display>(error: &T) {
    cell_end::report_error(text(error));
}

/// The message of an error and of each source. `anyhow` and `eyre` write the whole chain themselves
/// in the alternate form.
fn text<T: Display>(error: &T) -> String {
    chain(format!("{error:#}"), source_of(error))
}

/// A message followed by those of the sources.
fn chain(mut text: String, first: Option<&(dyn StdError + 'static)>) -> String {
    let mut source = first;
    while let Some(error) = source {
        let message = error.to_string();
        // Many messages already end with that of their source.
        if !text.ends_with(&message) {
            text.push_str("\ncaused by: ");
            text.push_str(&message);
        }
        source = error.source();
    }
    text
}

/// The source of an error of one of the types known here. `T` has no bound `Error`, so the sources
/// of other types cannot be reached.
#[allow(unsafe_code)]
fn source_of<T: Display>(error: &T) -> Option<&(dyn StdError + 'static)> {
    let kind = typeid::of::<T>();
    let address = std::ptr::from_ref(error).cast::<()>();
    if kind == TypeId::of::<Boxed>() {
        // SAFETY: `typeid::of` erases lifetimes, so T is `Box<dyn Error + 'a>` for some `'a` that
        // may be shorter than the `'static` of `Boxed`. Both have the same layout and vtable. The
        // only use of the reference is a call of `Error::source(&self)`, whose result borrows from
        // `self` and has the bound `'static` in the trait itself, so the longer lifetime gives
        // access to nothing that lives shorter. The returned borrow is limited to that of `error`.
        unsafe { &*address.cast::<Boxed>() }.source()
    } else if kind == TypeId::of::<Sendable>() {
        // SAFETY: T is `Box<dyn Error + Send + Sync + 'a>`; the same reasoning applies.
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
    fn a_boxed_error_is_reported_with_its_sources() {
        let expected = "the settings cannot be read\ncaused by: invalid digit found in string";
        let (boxed, sendable): (Boxed, Sendable) = (Box::new(outer()), Box::new(outer()));
        assert_eq!((text(&boxed).as_str(), text(&sendable).as_str()), (expected, expected));
        assert_eq!(text(&std::io::Error::other(outer())), expected);
        assert_eq!(chain(outer().to_string(), outer().source()), expected);
    }

    #[test]
    fn other_errors_are_reported_in_the_alternate_form() {
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
