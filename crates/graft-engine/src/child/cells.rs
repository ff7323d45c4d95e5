//! Runs the compiled cells one after another.
//!
//! A compiled cell is a shared library with one function, which takes the variables of the earlier
//! cells and returns its own.
#![allow(unsafe_code)]

use std::ffi::c_void;
use std::sync::mpsc::Receiver;

use super::input::Input;
use super::{Facade, Host};
use crate::control::FromChild;

/// The function of a compiled cell. It takes and returns the variables, and catches panics of the
/// user's code.
type Function = unsafe extern "C" fn(*mut c_void) -> *mut c_void;

/// A compiled cell.
pub(super) struct Cell {
    /// The shared library.
    pub(super) library: String,
    /// The function in it.
    pub(super) function: String,
}

/// Runs cells until the host has ended; returns the exit status.
pub(super) fn run(cells: &Receiver<Cell>, facade: Facade, input: &Input, host: &Host) -> i32 {
    let mut variables = std::ptr::null_mut();
    while let Ok(cell) = cells.recv() {
        match load(&cell) {
            Ok(function) => {
                input.begin();
                // SAFETY: evcxr generated the function with this signature; the variables are null
                // or those that the previous cell returned.
                variables = unsafe { function(variables) };
                input.end();
                // SAFETY: the facade's function takes no arguments.
                unsafe { (facade.cell_ended)() };
            }
            Err(error) => host.send(&FromChild::NotLoaded { reason: error.to_string() }),
        }
    }
    0
}

/// Opens a cell. It is never closed, because its variables refer to its code and types.
fn load(cell: &Cell) -> Result<Function, libloading::Error> {
    // SAFETY: evcxr has just compiled the library; its initializers are those of the crates that
    // the user has added.
    let library = unsafe { libloading::Library::new(&cell.library) }?;
    // SAFETY: evcxr generated the function with this signature.
    let function = *unsafe { library.get::<Function>(cell.function.as_bytes()) }?;
    std::mem::forget(library);
    Ok(function)
}
