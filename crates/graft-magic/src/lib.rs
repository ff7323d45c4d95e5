//! Graft.
