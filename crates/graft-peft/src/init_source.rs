//! The source of an adapter's initial weights.

/// The source of an adapter's initial weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InitSource {
    /// The initialization of the method.
    Fresh,
    /// A file. The weights are allocated cheaply and then overwritten.
    Checkpoint,
}
