//! What is shown for the last expression of a cell.
//!
//! evcxr first compiles a cell with `(expression).evcxr_display()` and, when that does not compile, a second time with `{:?}`. This trait
//! gives the method to everything that has `Debug`, so that one compilation is enough; a type's own method of that name comes first.
#![allow(unsafe_code)]

use std::fmt::{Debug, Write};

use candle_core::{Tensor, Var};
use graft_protocol::message::{CELL_FORMAT, CELL_TYPES};

use crate::{Show, Shown};

/// The value of a cell's last expression; implemented for everything with `Debug`.
pub trait LastValue {
    /// Shows it as the cell's result: a tensor with its facts, nothing for `()`, anything else as `:fmt` says (at first `{:?}`).
    fn evcxr_display(&self);
}

impl<T: Debug + ?Sized> LastValue for T {
    fn evcxr_display(&self) {
        match picture(self) {
            Some(Shown::Mime(forms)) => print(&forms.into_iter().collect::<Vec<_>>()),
            _ if typeid::of::<T>() == typeid::of::<()>() => {}
            _ => print(&[("text/plain".to_owned(), text(&self, std::any::type_name::<T>()))]),
        }
    }
}

/// How a value is drawn that is more than its `Debug`.
fn picture<T: ?Sized>(value: &T) -> Option<Shown> {
    let kind = typeid::of::<T>();
    let address = std::ptr::from_ref(value).cast::<()>();
    if kind == typeid::of::<Tensor>() {
        // SAFETY: T is Tensor, which has no lifetimes that its id would not tell apart.
        Some(unsafe { &*address.cast::<Tensor>() }.shown())
    } else if kind == typeid::of::<Var>() {
        // SAFETY: T is Var, likewise.
        Some(unsafe { &*address.cast::<Var>() }.shown())
    } else {
        None
    }
}

/// The value in words, as the user's `:fmt` and `:types` want it; the host sets both in this process's environment.
fn text(value: &dyn Debug, kind: &str) -> String {
    let mut text = String::new();
    if std::env::var_os(CELL_TYPES).is_some() {
        text = format!(": {kind} = ");
    }
    // Writing to a String cannot fail; a Debug of the user's that fails leaves what it wrote.
    let _ = match std::env::var(CELL_FORMAT).as_deref() {
        Ok("{:#?}") => write!(text, "{value:#?}"),
        Ok("{:x?}") => write!(text, "{value:x?}"),
        Ok("{:X?}") => write!(text, "{value:X?}"),
        Ok("{:#x?}") => write!(text, "{value:#x?}"),
        _ => write!(text, "{value:?}"),
    };
    text
}

/// evcxr's protocol for rich output, one block for each form.
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
            picture(&tensor).is_some() && picture(&Var::from_tensor(&tensor).unwrap()).is_some()
        );
        assert!(
            picture("text").is_none()
                && picture(&[1, 2][..]).is_none()
                && picture(&&tensor).is_none()
        );
    }

    #[test]
    fn a_value_is_its_debug_form() {
        assert_eq!(text(&Some("a"), "x"), "Some(\"a\")");
    }

    #[test]
    fn a_method_of_the_type_comes_first() {
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
