//! evcxr's side of the child's streams: a relay's descriptors, for as long as evcxr keeps that relay.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use super::supervisor::Supervisor;
use crate::unix;

/// One relay's descriptors.
pub(crate) struct Attachment {
    /// Tells attachments apart.
    pub(crate) number: u64,
    /// What evcxr reads as the child's standard output: only how its cells end.
    pub(crate) to_evcxr: Arc<File>,
    /// Kept open, so that evcxr sees a living stream; user text does not go through evcxr.
    _stderr: OwnedFd,
    /// While this is open, the relay lives.
    _lifeline: OwnedFd,
}

/// Takes relays until the socket ends, and feeds what evcxr sends through each to the child that lives then.
pub(crate) fn take_relays(socket: &OwnedFd, supervisor: &Arc<Supervisor>) {
    let mut number = 0;
    while let Ok(Some([stdin, stdout, stderr, lifeline])) =
        unix::receive_descriptors(socket.as_fd())
    {
        number += 1;
        supervisor.attach(Attachment {
            number,
            to_evcxr: Arc::new(File::from(stdout)),
            _stderr: stderr,
            _lifeline: lifeline,
        });
        let supervisor = Arc::clone(supervisor);
        std::thread::spawn(move || feed(File::from(stdin), number, &supervisor));
    }
}

/// Has the child do what evcxr instructs; the end of the instructions is swallowed here, so that `:clear` does not end the child.
fn feed(from: File, number: u64, supervisor: &Supervisor) {
    for line in BufReader::new(from).lines().map_while(Result::ok) {
        if !supervisor.is_attached(number) {
            // The child that this relay stood for is dead: evcxr must see that, and not talk to another one.
            return;
        }
        let Some((library, function)) = instruction(&line) else { break };
        if !supervisor.run_cell(library, function) {
            break;
        }
    }
    supervisor.detach(number);
}

/// Library and function of evcxr's one instruction, `LOAD_AND_RUN LIBRARY FUNCTION`.
fn instruction(line: &str) -> Option<(&str, &str)> {
    line.strip_prefix("LOAD_AND_RUN ")?.rsplit_once(' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instruction_names_library_and_function() {
        assert_eq!(
            instruction("LOAD_AND_RUN /a b/libcode_1.so run_user_code_1"),
            Some(("/a b/libcode_1.so", "run_user_code_1"))
        );
        assert_eq!(instruction("something else"), None);
    }
}
