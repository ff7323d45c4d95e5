//! The attachment of evcxr to the child: the descriptors of a relay, which evcxr takes for its
//! runtime process.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::sync::Arc;

/// The descriptors of one relay.
pub(crate) struct Attachment {
    /// Identifies the attachment.
    pub(crate) number: u64,
    /// What evcxr reads as the child's standard output: only the control lines about the end of
    /// cells.
    pub(crate) to_evcxr: Arc<File>,
    /// Kept open, since evcxr expects an open stream. User text does not pass through evcxr.
    pub(crate) _stderr: OwnedFd,
    /// The relay lives while this is open.
    pub(crate) _lifeline: OwnedFd,
}
