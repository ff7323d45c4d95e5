//! Benchmarks of training: the same LoRA step in Graft, in plain candle and, if Python has them, in
//! PyTorch with Hugging Face PEFT.
//!
//! Each backend runs in its own process ([`backend`]), so that its peak memory can be measured.
//! [`schedule`] starts the backends alternately (A B A B), so that a change in the speed of the
//! machine affects all of them.
//!
//! * `cargo xtask bench train` compares the backends.
//! * `cargo xtask bench curves` varies length, batch size, rank, instruction set and threads
//!   ([`curves`]).
//! * `cargo xtask bench gpu` measures a step on an NVIDIA GPU ([`gpu`]).
//! * `cargo xtask bench methods` compares every fine-tuning method with plain LoRA and the frozen
//!   base model ([`methods`]).
//!
//! [`products`] computes the time of the matrix multiplications alone.

pub mod backend;
pub mod curves;
pub mod gpu;
pub mod methods;
pub mod products;
pub mod schedule;
pub mod table;
pub mod workload;

mod byte_tokenizer;
mod candle_backend;
mod environment;
mod error;
mod graft_backend;
mod peak;
mod steps;

pub use error::{BenchError, Result};
