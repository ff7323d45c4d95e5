//! Seeded random numbers and stable hashes. The crate does not depend on tensors, so that data is
//! split and shuffled with the generator that also draws weights and dropout.

mod rng;
mod stable_hash;

pub use rng::{Rng, Stream};
pub use stable_hash::StableHasher;
