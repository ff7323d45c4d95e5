//! Reads a line from the terminal.

use std::io::{BufRead, IsTerminal};
use std::process::{Command, Stdio};

/// Reads one line from standard input, without its line ending; `None` at the end of input. Blocks
/// the thread.
pub(crate) fn read_line(password: bool) -> Option<String> {
    let hidden = password && std::io::stdin().is_terminal() && set_echo(false);
    let mut text = String::new();
    let read = std::io::stdin().lock().read_line(&mut text);
    if hidden {
        set_echo(true);
    }
    read.ok().filter(|bytes| *bytes > 0)?;
    Some(text.trim_end_matches(['\n', '\r']).to_owned())
}

/// Switches the echo of the terminal on or off; `false` if this fails.
fn set_echo(on: bool) -> bool {
    Command::new("stty")
        .arg(if on { "echo" } else { "-echo" })
        .stdin(Stdio::inherit())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}
