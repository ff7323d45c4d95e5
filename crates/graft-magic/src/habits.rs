//! What people type out of habit: magics of IPython, arguments of Hugging Face's Python libraries, Python itself.
//!
//! What has a meaning here is taken, what has no effect is answered by one note, and the rest gets the one hint that helps. Every command
//! in a hint is typed by a test.

pub(crate) mod keys;
pub(crate) mod magics;
pub(crate) mod not_rust;

mod python;
