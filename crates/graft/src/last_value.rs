//! The display of a cell's last expression.
//!
//! evcxr compiles a cell with `(expression).evcxr_display()` and, if that fails, compiles it again
//! with `{:?}`. This trait adds the method to every type with `Debug`, so one compilation is
//! enough. An inherent method of that name takes precedence.
#![allow(unsafe_code)]

use std::fmt::{Debug, Write};

use candle_core::{Tensor, Var};
use graft_protocol::message::{CELL_FORMAT, CELL_TYPES};

use crate::{Show, Shown};

/// The value of a cell's last expression. Implemented for every type with `Debug`.
pub trait LastValue {
    /// Shows the value as the result of the cell: a tensor as a table, `()` as nothing, any other
    /// value in the format of `:fmt` (initially `{:?}`).
    fn evcxr_display(&self);
}

impl<T: Debug + ?Sized> LastValue for T {
    fn evcxr_display(&self) {
        match rich_form(self) {
            Some(Shown::Mime(forms)) => print(&forms.into_iter().collect::<Vec<_>>()),
            _ if typeid::of::<T>() == typeid::of::<()>() => {}
            _ => print(&[("text/plain".to_owned(), text(&self, std::any::type_name::<T>()))]),
        }
    }
}

/// The display of a value that has a richer form than its `Debug`.
fn rich_form<T: ?Sized>(value: &T) -> Option<Shown> {
    let kind = typeid::of::<T>();
    let address = std::ptr::from_ref(value).cast::<()>();
    if kind == typeid::of::<Tensor>() {
        // SAFETY: T is `Tensor`: `typeid::of` ignores lifetimes, and `Tensor` has none.
        Some(unsafe { &*address.cast::<Tensor>() }.shown())
    } else if kind == typeid::of::<Var>() {
        // SAFETY: T is `Var`, which has no lifetimes either.
        Some(unsafe { &*address.cast::<Var>() }.shown())
    } else {
        None
    }
}

/// The value as text. The host passes the settings of `:fmt` and `:types` in environment variables.
fn text(value: &dyn Debug, kind: &str) -> String {
    let mut text = String::new();
    if std::env::var_os(CELL_TYPES).is_some() {
        text = format!(": {kind} = ");
    }
    // Writing to a `String` cannot fail. If a `Debug` of the user fails, its partial text is shown.
    let _ = match std::env::var(CELL_FORMAT).as_deref() {
        Ok("{:#?}") => write!(text, "{value:#?}"),
        Ok("{:x?}") => write!(text, "{value:x?}"),
        Ok("{:X?}") => write!(text, "{value:X?}"),
        Ok("{:#x?}") => write!(text, "{value:#x?}"),
        _ => write!(text, "{value:?}"),
    };
    text
}

/// Prints the value in evcxr's protocol for rich output, one block per MIME type.
fn print(forms: &[(String, String)]) {
    for (kind, content) in forms {
        println!("EVCXR_BEGIN_CONTENT {kind}\n{content}\nEVCXR_END_CONTENT");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tensors_are_drawn_and_other_values_are_not() {
        let tensor = Tensor::new(&[1f32, 2.0], &candle_core::Device::Cpu).unwrap();
        assert!(
            rich_form(&tensor).is_some()
                && rich_form(&Var::from_tensor(&tensor).unwrap()).is_some()
        );
        assert!(
            rich_form("text").is_none()
                && rich_form(&[1, 2][..]).is_none()
                && rich_form(&&tensor).is_none()
        );
    }

    #[test]
    fn a_value_is_its_debug_form() {
        assert_eq!(text(&Some("a"), "x"), "Some(\"a\")");
    }

    #[test]
    fn a_method_of_the_type_takes_precedence() {
        #[derive(Debug)]
        struct Own;
        impl Own {
            fn evcxr_display(&self) -> u32 {
                7
            }
        }
        let own = &Own;
        assert_eq!((Own.evcxr_display(), own.evcxr_display()), (7, 7));
    }
}
