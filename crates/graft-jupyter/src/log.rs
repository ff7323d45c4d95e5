//! The kernel's own log: lines on its stderr, which a Jupyter server keeps. Nothing of it reaches a notebook.

/// Writes one line.
pub(crate) fn line(text: &str) {
    use std::io::Write;
    // A closed stderr (the server went away) must not take the kernel with it.
    let _ = writeln!(std::io::stderr().lock(), "graft: {text}");
}

/// An error with the chain of its causes in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(&format!(": {cause}"));
        next = cause.source();
    }
    text
}
