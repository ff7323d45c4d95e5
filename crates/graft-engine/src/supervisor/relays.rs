//! Accepts the relays of evcxr and passes its instructions to the child.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use super::Supervisor;
use crate::attachment::Attachment;
use crate::unix;

/// Accepts relays until the socket closes. A thread per relay passes evcxr's instructions to the
/// child.
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

/// Passes evcxr's instructions to the child. The end of the instructions is not passed on, so
/// `:clear` does not end the child.
fn feed(from: File, number: u64, supervisor: &Supervisor) {
    for line in BufReader::new(from).lines().map_while(Result::ok) {
        if !supervisor.is_attached(number) {
            // The child of this relay is dead. evcxr must notice that instead of using the next
            // child.
            return;
        }
        let Some((library, function)) = instruction(&line) else { break };
        if is_placeholder(library) {
            supervisor.skip_cell();
            continue;
        }
        if !supervisor.run_cell(library, function) {
            break;
        }
    }
    supervisor.detach(number);
}

/// Whether the rustc wrapper has not compiled the cell, because it has no effect.
fn is_placeholder(library: &str) -> bool {
    std::fs::metadata(library).is_ok_and(|file| file.len() == 0)
}

/// Library and function of evcxr's only instruction, `LOAD_AND_RUN LIBRARY FUNCTION`.
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
