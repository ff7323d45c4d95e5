//! Damaged and malicious model files, and exchange with transformers.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod bounded_alloc;
mod exchange;
mod hostile;
