//! The generated builders, and the example programs.

mod builders;
mod examples;
