//! Files of models that somebody has damaged or made up.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod exchange;
mod hostile;
mod memory;
