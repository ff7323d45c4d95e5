//! evcxr's side of the child's streams: a relay's descriptors, for as long as evcxr keeps that relay.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use super::supervisor::Supervisor;
use crate::unix;

/// One relay's descriptors.
pub(super) struct Attachment {
    /// Tells attachments apart.
    pub(super) number: u64,
    /// What evcxr reads as the child's standard output: control lines only.
    pub(super) to_evcxr: Arc<File>,
    /// Kept open, so that evcxr sees a living stream; user text does not go through evcxr.
    _stderr: OwnedFd,
    /// While this is open, the relay lives.
    _lifeline: OwnedFd,
}

/// Takes relays until the socket ends, and feeds what evcxr sends through each to the child that lives then.
pub(super) fn take_relays(socket: &OwnedFd, supervisor: &Arc<Supervisor>) {
    let mut number = 0;
    while let Ok(Some([stdin, stdout, stderr, lifeline])) = unix::receive_descriptors(socket.as_fd()) {
        number += 1;
        supervisor.attach(Attachment { number, to_evcxr: Arc::new(File::from(stdout)), _stderr: stderr, _lifeline: lifeline });
        let supervisor = Arc::clone(supervisor);
        std::thread::spawn(move || feed(File::from(stdin), number, &supervisor));
    }
}

/// Copies evcxr's instructions to the child; their end is swallowed here, so that `:clear` does not end the child.
fn feed(mut from: File, number: u64, supervisor: &Supervisor) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        let bytes = buffer.get(..count).unwrap_or_default();
        if !supervisor.is_attached(number) {
            // The child that this relay stood for is dead: evcxr must see that, and not talk to another one.
            return;
        }
        if bytes.starts_with(b"LOAD_AND_RUN ") {
            supervisor.cell().begin();
        }
        let Some(stdin) = supervisor.stdin_of_child() else { break };
        if (&*stdin).write_all(bytes).is_err() {
            break;
        }
    }
    supervisor.detach(number);
}
