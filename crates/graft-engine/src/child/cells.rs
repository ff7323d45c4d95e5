//! Runs the cells that evcxr has compiled, one after the other.
//!
//! A compiled cell is a shared library with one function, which takes the variables of the cells before it and gives back its own.
#![allow(unsafe_code)]

use std::ffi::c_void;
use std::sync::mpsc::Receiver;

use super::input::Input;
use super::{Facade, Host};
use crate::control::FromChild;

/// The function of a compiled cell: variables in, variables out. It catches the panics of the user's code.
type Function = unsafe extern "C" fn(*mut c_void) -> *mut c_void;

/// A compiled cell.
pub(super) struct Cell {
    /// The shared library.
    pub(super) library: String,
    /// The function in it.
    pub(super) function: String,
}

/// Runs cells until there are no more; the exit status.
pub(super) fn run(cells: &Receiver<Cell>, facade: Facade, input: &Input, host: &Host) -> i32 {
    let mut variables = std::ptr::null_mut();
    while let Ok(cell) = cells.recv() {
        match load(&cell) {
            Ok(function) => {
                input.begin();
                // SAFETY: evcxr generated the function with this signature, and the variables are null or what the cell before has returned.
                variables = unsafe { function(variables) };
                input.end();
                // SAFETY: the facade's function takes nothing.
                unsafe { (facade.cell_ended)() };
            }
            Err(error) => host.tell(&FromChild::NotLoaded { reason: error.to_string() }),
        }
    }
    0
}

/// Opens a cell. It is never closed: its code and types are those of the variables that it leaves.
fn load(cell: &Cell) -> Result<Function, libloading::Error> {
    // SAFETY: evcxr has just compiled it; its initialisers are those of the crates that the user asked for.
    let library = unsafe { libloading::Library::new(&cell.library) }?;
    // SAFETY: evcxr generated the function with this signature.
    let function = *unsafe { library.get::<Function>(cell.function.as_bytes()) }?;
    std::mem::forget(library);
    Ok(function)
}
