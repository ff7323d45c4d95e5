//! Filters cargo's `Compiling ...` lines, which evcxr copies to this process's standard error. The
//! frontend shows them as a status instead.

use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::thread::JoinHandle;

use crate::unix;

/// The beginning of the lines.
const HEAD: &[u8] = b"   Compiling ";

/// Filters standard error until it is dropped. Everything but these lines passes at once.
pub(crate) struct CargoOutputFilter {
    saved: Option<OwnedFd>,
    filter: Option<JoinHandle<()>>,
}

impl CargoOutputFilter {
    /// Installs the filter. Without free descriptors, standard error stays unfiltered.
    pub(crate) fn begin() -> Self {
        let none = Self { saved: None, filter: None };
        let Ok((mut reader, writer)) = std::io::pipe() else { return none };
        let Ok(saved) = std::io::stderr().as_fd().try_clone_to_owned() else { return none };
        let Ok(mut real) = saved.try_clone().map(std::fs::File::from) else { return none };
        if unix::replace_stderr(writer.as_fd()).is_err() {
            return none;
        }
        drop(writer);
        let filter = std::thread::spawn(move || {
            let mut filter = Filter::default();
            let mut buffer = [0; 8192];
            while let Ok(count @ 1..) = reader.read(&mut buffer) {
                let _ = real.write_all(&filter.push(buffer.get(..count).unwrap_or_default()));
            }
            let _ = real.write_all(&filter.held);
        });
        Self { saved: Some(saved), filter: Some(filter) }
    }
}

impl Drop for CargoOutputFilter {
    fn drop(&mut self) {
        let Some(saved) = self.saved.take() else { return };
        // This closes the last writing end of the pipe, unless a process started meanwhile holds
        // one; the filter then keeps running for it.
        if unix::replace_stderr(saved.as_fd()).is_ok()
            && let Some(filter) = self.filter.take().filter(JoinHandle::is_finished)
        {
            let _ = filter.join();
        }
    }
}

/// Removes the lines from a stream that arrives in chunks.
#[derive(Default)]
struct Filter {
    held: Vec<u8>,
    within_line: bool,
}

impl Filter {
    /// The part of the next chunk that passes.
    fn push(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut passed = Vec::new();
        for byte in bytes {
            self.held.push(*byte);
            let ends = *byte == b'\n';
            let begins_so = HEAD.starts_with(&self.held) || self.held.starts_with(HEAD);
            if ends && !self.within_line && self.held.starts_with(HEAD) {
                self.held.clear();
            } else if ends || self.within_line || !begins_so {
                passed.append(&mut self.held);
                self.within_line = !ends;
            }
        }
        passed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_compiling_lines_are_removed() {
        let text = b"a\n   Compiling rand v0.9\n  b\n not   Compiling x\nrest";
        for cut in 0..=text.len() {
            let mut filter = Filter::default();
            let mut passed = filter.push(&text[..cut]);
            passed.extend(filter.push(&text[cut..]));
            assert_eq!(
                String::from_utf8(passed).unwrap(),
                "a\n  b\n not   Compiling x\nrest",
                "split at {cut}"
            );
        }
    }

    #[test]
    fn text_passes_before_the_end_of_its_line() {
        assert_eq!(Filter::default().push(b"50 %"), b"50 %");
    }
}
