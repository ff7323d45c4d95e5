//! The log of the kernel: lines on stderr, which Jupyter servers record. It does not reach
//! notebooks.

/// Writes a line.
pub(crate) fn line(text: &str) {
    use std::io::Write;
    // A closed stderr (the server has exited) must not stop the kernel.
    let _ = writeln!(std::io::stderr().lock(), "graft: {text}");
}

/// Formats an error and its causes on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(&format!(": {cause}"));
        next = cause.source();
    }
    text
}
