//! Data sets.

mod error;

pub use error::DataError;
