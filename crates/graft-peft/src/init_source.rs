//! Where the initial weights of an adapter come from.

/// Where the weights of new parts come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InitSource {
    /// The method's own initialisation.
    Fresh,
    /// A file: whatever is cheap will do until it is read.
    Checkpoint,
}
