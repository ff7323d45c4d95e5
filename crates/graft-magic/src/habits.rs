//! Input that is valid elsewhere: magics of IPython, arguments of Hugging Face's Python libraries,
//! and Python code.
//!
//! Arguments with an equivalent are accepted, those without effect give a note, and everything else
//! fails with a hint. A test executes every command in these hints.

pub(crate) mod keys;
pub(crate) mod magics;
pub(crate) mod not_rust;

mod python;
mod stub;
