//! A line that the user types.

use std::io::{BufRead, IsTerminal};
use std::process::{Command, Stdio};

/// Reads one line from standard input without its end; none at the end of input. Blocks.
pub(crate) fn line(password: bool) -> Option<String> {
    let hidden = password && std::io::stdin().is_terminal() && echo(false);
    let mut text = String::new();
    let read = std::io::stdin().lock().read_line(&mut text);
    if hidden {
        echo(true);
    }
    read.ok().filter(|bytes| *bytes > 0)?;
    Some(text.trim_end_matches(['\n', '\r']).to_owned())
}

/// Whether the terminal shows what is typed; false when it could not be told.
fn echo(on: bool) -> bool {
    Command::new("stty")
        .arg(if on { "echo" } else { "-echo" })
        .stdin(Stdio::inherit())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}
