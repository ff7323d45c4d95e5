//! Training measured beside its peers: the same LoRA step in Graft, in plain candle and, where Python has them, in PyTorch with HF PEFT.
//!
//! A contender runs in a process of its own ([`backend`]), so that its peak memory is its own; [`schedule`] starts them in turn (A B A B), so that a
//! machine that slows down slows all of them. `cargo xtask bench train` calls it.
//! [`curves`] varies length, batch, rank, instruction set and threads; `cargo xtask bench curves`.
//! [`gpu`] measures a step on an NVIDIA card; `cargo xtask bench gpu` builds the program for it.
//! [`products`] says how far a step is from its matrix products alone.
//! [`methods`] measures every fine-tuning method beside plain LoRA and the frozen base; `cargo xtask bench methods` calls that.

pub mod backend;
pub mod curves;
pub mod gpu;
pub mod methods;
pub mod products;
pub mod schedule;
pub mod table;
pub mod workload;

mod candle_backend;
mod error;
mod graft_backend;
mod peak;

pub use error::{BenchError, Result};
