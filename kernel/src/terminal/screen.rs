//! A terminal as a [`Frontend`]: colored tables and a progress bar; plain lines if the output is a
//! pipe.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use graft_protocol::Block;
use tokio::sync::Notify;

use super::keyboard;
use graft_frontend::{Answer, CellError, Frontend, Rich, RichSource, Stream};

/// Capabilities of the output.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Capabilities {
    /// Whether a line can be overwritten.
    pub(crate) is_terminal: bool,
    /// Whether to use escape sequences for colors.
    pub(crate) has_color: bool,
    /// Width in columns.
    pub(crate) width: usize,
}

/// Writes output to standard output and standard error, or to the writers of a test.
pub(crate) struct Screen {
    capabilities: Capabilities,
    state: Mutex<ScreenState>,
}

struct ScreenState {
    out: Box<dyn Write + Send>,
    err: Box<dyn Write + Send>,
    /// Whether the last line is a progress bar.
    has_bar: bool,
    /// Whether the cursor is at the start of a line.
    at_line_start: bool,
    /// Generated text already on the screen, by display.
    partial_text: BTreeMap<String, String>,
    /// The last progress written as a line: label and count.
    last_progress: (String, u64),
    /// Whether the output was closed by its reader.
    is_closed: bool,
    /// Notified when the output is closed.
    closed: Arc<Notify>,
}

impl Screen {
    /// The screen of this process; respects `NO_COLOR`.
    pub(crate) fn standard() -> Self {
        let is_terminal = io::stdout().is_terminal();
        let is_plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
            || std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let width = terminal_size::terminal_size().map_or(100, |(width, _)| usize::from(width.0));
        Self::new(
            Capabilities { is_terminal, has_color: is_terminal && !is_plain, width },
            Box::new(io::stdout()),
            Box::new(io::stderr()),
        )
    }

    /// A screen with these writers.
    pub(crate) fn new(
        capabilities: Capabilities,
        out: Box<dyn Write + Send>,
        err: Box<dyn Write + Send>,
    ) -> Self {
        Self {
            capabilities,
            state: Mutex::new(ScreenState {
                out,
                err,
                has_bar: false,
                at_line_start: true,
                partial_text: BTreeMap::new(),
                last_progress: Default::default(),
                is_closed: false,
                closed: Arc::default(),
            }),
        }
    }

    /// Whether the output was closed by its reader, as with `| head`.
    pub(crate) fn is_closed(&self) -> bool {
        self.state().is_closed
    }

    /// Notified when the output is closed by its reader.
    pub(crate) fn closed(&self) -> Arc<Notify> {
        self.state().closed.clone()
    }

    /// Writes where the last error happened.
    pub(crate) fn location(&self, location: &str) {
        let mut state = self.state();
        if !state.is_closed {
            let location = graft_render::visible(location);
            state.write_error(format!("  --> {location}\n").as_bytes());
        }
    }

    fn state(&self) -> MutexGuard<'_, ScreenState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The text of a display, colored where the terminal supports it.
    fn text(&self, rich: &Rich) -> String {
        match &rich.source {
            RichSource::Blocks(blocks) if self.capabilities.has_color => blocks
                .iter()
                .map(|block| graft_render::ansi(block, self.capabilities.width))
                .collect::<Vec<_>>()
                .join("\n\n"),
            RichSource::Blocks(_) | RichSource::Progress(_) => rich.text().to_owned(),
            RichSource::Mime if rich.text().is_empty() => {
                format!("[{}]", rich.mime.keys().cloned().collect::<Vec<_>>().join(", "))
            }
            RichSource::Mime => rich.text().to_owned(),
        }
    }

    /// Shows a live display: a progress bar or text during generation. A pipe receives progress as
    /// lines, and text only when it is complete.
    fn show_live(&self, rich: &Rich, id: &str) {
        if let RichSource::Blocks(blocks) = &rich.source
            && let [Block::Generated { .. }] = blocks.as_slice()
        {
            if self.capabilities.is_terminal {
                let text = self.text(rich);
                self.state().write_partial(id, &text);
            }
            return;
        }
        let line = match &rich.source {
            RichSource::Progress(progress) if self.capabilities.has_color => {
                progress.ansi(self.capabilities.width.saturating_sub(1))
            }
            _ => rich
                .text()
                .lines()
                .next()
                .unwrap_or("")
                .chars()
                .take(self.capabilities.width.saturating_sub(1))
                .collect(),
        };
        let mut state = self.state();
        if !self.capabilities.is_terminal && state.is_repeated(rich) {
            return;
        }
        if self.capabilities.is_terminal {
            state.clear_bar();
            state.end_line();
            state.write(line.as_bytes());
            state.has_bar = true;
            state.at_line_start = true;
        } else {
            state.line(&line);
        }
    }

    fn show_final(&self, rich: &Rich, id: Option<&str>) {
        let text = self.text(rich);
        let mut state = self.state();
        state.clear_bar();
        if state.is_repeated(rich) {
            return;
        }
        if let Some(id) = id.filter(|id| state.partial_text.contains_key(*id)) {
            state.write_partial(id, &text);
            state.partial_text.remove(id);
            state.end_line();
            return;
        }
        state.line(&text);
    }
}

impl Frontend for Screen {
    fn stream(&self, stream: Stream, bytes: &[u8]) {
        let mut state = self.state();
        state.clear_bar();
        match stream {
            Stream::Stdout => state.write(bytes),
            Stream::Stderr => state.write_error(bytes),
        }
    }

    fn display(&self, rich: &Rich, display_id: Option<&str>) {
        match display_id {
            Some(id) if rich.live => self.show_live(rich, id),
            id => self.show_final(rich, id),
        }
    }

    fn update_display(&self, rich: &Rich, display_id: &str) {
        self.display(rich, Some(display_id));
    }

    fn result(&self, rich: &Rich) {
        self.show_final(rich, None);
    }

    /// Keeps the output: on a terminal it may still be of use.
    fn clear_output(&self, _: bool) {
        self.state().clear_bar();
    }

    fn error(&self, error: &CellError) {
        let has_color = self.capabilities.has_color && io::stderr().is_terminal();
        let lines: Vec<String> = error
            .traceback
            .iter()
            .map(|line| if has_color { line.clone() } else { without_escapes(line) })
            .collect();
        let text = if lines.is_empty() {
            format!("{}: {}", error.ename, error.evalue)
        } else {
            lines.join("\n")
        };
        let mut state = self.state();
        if state.is_closed {
            return;
        }
        state.clear_bar();
        state.end_line();
        state.write_error(format!("{text}\n").as_bytes());
    }

    fn page(&self, rich: &Rich) {
        self.show_final(rich, None);
    }

    /// Prints the text, because a terminal has no cells.
    fn set_next_input(&self, text: &str, _: bool) {
        self.show_final(&Rich::plain(text), None);
    }

    fn input<'a>(&'a self, prompt: &'a str, password: bool) -> Answer<'a> {
        let mut state = self.state();
        state.clear_bar();
        state.write(prompt.as_bytes());
        state.at_line_start = true;
        drop(state);
        Box::pin(async move {
            tokio::task::spawn_blocking(move || keyboard::read_line(password)).await.ok().flatten()
        })
    }

    /// Progress bars are redrawn ten times per second; pipes receive a line every two seconds.
    fn display_interval(&self) -> Duration {
        Duration::from_millis(if self.capabilities.is_terminal { 100 } else { 2000 })
    }
}

impl ScreenState {
    /// Whether this progress was already written.
    fn is_repeated(&mut self, rich: &Rich) -> bool {
        let RichSource::Progress(progress) = &rich.source else { return false };
        let current = (progress.label.clone(), progress.done);
        std::mem::replace(&mut self.last_progress, current.clone()) == current
    }

    fn write(&mut self, bytes: &[u8]) {
        let written = self.out.write_all(bytes).and_then(|()| self.out.flush());
        if written.is_err() && !std::mem::replace(&mut self.is_closed, true) {
            self.closed.notify_one();
        }
        if let Some(last) = bytes.last() {
            self.at_line_start = *last == b'\n';
        }
    }

    fn write_error(&mut self, bytes: &[u8]) {
        // If standard error fails too, the error cannot be reported.
        let _ = self.err.write_all(bytes).and_then(|()| self.err.flush());
    }

    fn line(&mut self, text: &str) {
        self.end_line();
        self.write(format!("{}\n", text.trim_end_matches('\n')).as_bytes());
    }

    /// Ends an unfinished line.
    fn end_line(&mut self) {
        if !self.at_line_start {
            self.write(b"\n");
        }
    }

    fn clear_bar(&mut self) {
        if std::mem::take(&mut self.has_bar) {
            self.write(b"\r\x1b[K");
            self.at_line_start = true;
        }
    }

    /// Writes the new part of a generated text; a text that has changed is written again from the
    /// start.
    fn write_partial(&mut self, id: &str, text: &str) {
        self.clear_bar();
        let previous = self.partial_text.insert(id.to_owned(), text.to_owned());
        let shown = previous.as_deref().unwrap_or("");
        match text.strip_prefix(shown) {
            Some(more) => {
                if shown.is_empty() {
                    self.end_line();
                }
                self.write(more.as_bytes());
            }
            None => {
                self.end_line();
                self.write(text.as_bytes());
            }
        }
    }
}

/// Removes escape sequences from `text`.
fn without_escapes(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(next) = chars.next() {
        if next == '\u{1b}' {
            chars.find(char::is_ascii_alphabetic);
        } else {
            out.push(next);
        }
    }
    out
}

#[cfg(test)]
pub(crate) mod tests;
